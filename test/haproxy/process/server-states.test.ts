// Proves that over a reload HAProxy goes on with what is known of the servers, and trusts no new one.

import {
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseConfig } from "../../../src/config/sections.ts";
import { saveServerStates } from "../../../src/haproxy/process/server-states.ts";
import { haproxyVersions, type Haproxy } from "../../lab/haproxy.ts";
import { eventually } from "../../lab/http.ts";
import { labDir } from "../../lab/leftovers.ts";
import { deadEnd, startApp, type App } from "../../lab/app.ts";
import { serviceOf, Site, START_MS, type Service } from "../../lab/proxy.ts";

setDefaultTimeout(START_MS);

describe.each(haproxyVersions())("states, HAProxy %s", (version) => {
  let live: App;
  let site: Site;
  let haproxy: Haproxy | undefined;
  /** Ports that nobody listens on. */
  let dead: Service;
  let alsoDead: Service;

  beforeAll(async () => {
    dead = { image: "foo", name: "dead", ...(await deadEnd()) };
    alsoDead = { image: "foo", name: "also-dead", ...(await deadEnd()) };
  });

  beforeEach(async () => {
    live = await startApp({ name: "foo" });
    site = await Site.make(version);
  }, START_MS);

  afterEach(async () => {
    await haproxy?.stop();
    haproxy = undefined;
    await live.stop();
  });

  test("what was up stays up, what was down stays down and is not asked", async () => {
    const up = serviceOf(live, { name: "up" });
    await start([up, dead]);
    await eventually(async () => expect(await statuses()).toEqual({ up: "UP", dead: "DOWN" }));

    // Another container first, so that the old ones have other numbers.
    const other = serviceOf(live, { name: "another" });
    await apply([other, up, dead]);
    expect(await statuses()).toEqual({ another: "UP", up: "UP", dead: "DOWN" });
    await askOften();
    expect((await site.servers())["dead"]?.chosen).toBe(0);
  });

  test("one that is up is believed, though it refuses just now", async () => {
    const busy = await startApp({ name: "foo" });
    const both = [serviceOf(live, { name: "up" }), serviceOf(busy, { name: "busy" })];
    await start(both);
    // It is known from checks that both are up.
    await eventually(async () => expect((await site.servers())["busy"]?.check).toBe("L4OK"));
    await busy.stop();
    await apply(both);
    // Nobody loses a request by that, and the checks find out.
    await askOften();
    await eventually(async () => expect((await statuses())["busy"]).toBe("DOWN"));
    // Whoever had looked at the port would have said that it is down from the start.
    expect((await site.servers())["busy"]?.wentDown).toBe(1);
  });

  test("a new one whose port answers is up at once", async () => {
    await start([dead]);
    await eventually(async () => expect(await statuses()).toEqual({ dead: "DOWN" }));
    await apply([dead, serviceOf(live, { name: "new" })]);
    expect(await statuses()).toEqual({ new: "UP", dead: "DOWN" });
    await askOften();
    expect(live.received.length).toBe(ASKED);
  });

  test("a new one whose port is dead gets nothing until it answers", async () => {
    const up = serviceOf(live, { name: "up" });
    await start([up]);
    await apply([up, dead, { ...alsoDead, image: "bar" }]);
    expect(await statuses()).toEqual({ up: "UP", dead: "DOWN", "also-dead": "DOWN" });
    await askOften();
    expect((await site.ask({ target: "/bar" })).status).toBe(503);
    const servers = await site.servers();
    expect([servers["dead"]?.chosen, servers["also-dead"]?.chosen]).toEqual([0, 0]);

    const late = await startApp({ ...alsoDead, name: "late" });
    try {
      await eventually(async () => expect((await statuses())["also-dead"]).toBe("UP"));
      expect((await site.ask({ target: "/bar" })).body).toBe("late");
    } finally {
      await late.stop();
    }
  });

  test("another container at the same address, or the same at another, is a new one", async () => {
    const up = serviceOf(live, { name: "up" });
    await start([up, dead, alsoDead]);
    await eventually(async () =>
      expect(await statuses()).toEqual({ up: "UP", dead: "DOWN", "also-dead": "DOWN" }),
    );
    // The name is the dead one's, the address the live one's; and the other way round.
    await apply([
      { ...dead, name: "up" },
      { ...up, name: "dead" },
      { ...up, name: "third" },
    ]);
    expect(await statuses()).toEqual({ up: "DOWN", dead: "UP", third: "UP" });
  });

  test("out and in again: nothing while it is out, and up at once when it is back", async () => {
    const one = serviceOf(live, { name: "one" });
    const other = await startApp({ name: "foo" });
    const two = serviceOf(other, { name: "two" });
    await start([one, two]);
    await apply([one, { ...two, state: "paused" }]);
    expect(await statuses()).toEqual({ one: "UP", two: "MAINT" });
    await askOften();
    expect([live.received.length, other.received.length]).toEqual([ASKED, 0]);

    await apply([one, two]);
    expect(await statuses()).toEqual({ one: "UP", two: "UP" });
    await askOften();
    expect(other.received.length).toBe(ASKED / 2);

    await apply([one, { ...two, health: "unhealthy" }]);
    await other.stop();
    await apply([one, two]);
    expect(await statuses()).toEqual({ one: "UP", two: "DOWN" });
  });

  test("a HAProxy that is just starting does not ask the dead either", async () => {
    const services = [serviceOf(live, { name: "up" }), dead];
    await site.saveStates(services, false);
    await start(services);
    expect(await statuses()).toEqual({ up: "UP", dead: "DOWN" });
  });

  test("an IPv6 address is like any other", async () => {
    const six = await startApp({ name: "six", address: "::1" });
    try {
      const up = serviceOf(six, { name: "up" });
      await start([up, { ...dead, address: "::1" }]);
      await eventually(async () => expect(await statuses()).toEqual({ up: "UP", dead: "DOWN" }));
      await apply([up, { ...dead, address: "::1", image: "six" }, { ...up, name: "new" }]);
      expect(await statuses()).toEqual({ up: "UP", dead: "DOWN", new: "UP" });
      await eventually(async () => expect((await site.ask({ target: "/six" })).body).toBe("six"));
    } finally {
      await six.stop();
    }
  });

  /** How many requests `askOften` sends; even, so that two servers get the same. */
  const ASKED = 20;

  /** Every one of many requests is answered. */
  async function askOften(): Promise<void> {
    live.forget();
    for (let count = 0; count < ASKED; count++) {
      expect((await site.ask({ target: "/foo" })).status).toBe(200);
    }
  }

  async function start(services: readonly Service[]): Promise<void> {
    haproxy = await site.start(services);
  }

  async function apply(services: readonly Service[]): Promise<void> {
    if (haproxy === undefined) throw new Error("HAProxy was not started");
    await site.apply(services, haproxy);
  }

  async function statuses(): Promise<Record<string, string>> {
    const servers = Object.entries(await site.servers());
    return Object.fromEntries(servers.map(([name, { status }]) => [name, status]));
  }
});

describe("a state file that cannot be written", () => {
  const LOST = "the states of servers are not kept over reloads:";
  const UNKNOWN = "after a reload HAProxy takes servers for up until it has checked them";

  test("is told, with what it means", async () => {
    const file = join(labDir("states"), "nowhere/state");
    const why = `(ENOENT: no such file or directory, open '${file}')`;
    expect(await save(file)).toBe(`${LOST} ${file} cannot be written ${why}; ${UNKNOWN}`);
  });

  test("leaves no half states and no old ones", async () => {
    const dir = smallDisk();
    const file = join(dir, "state");
    expect(await save(file)).toBeUndefined();
    expect(readFileSync(file, "utf8")).toContain(" b 0 s 127.0.0.1 ");
    rmSync(file);
    shell(`dd if=/dev/zero of=${dir}/filler bs=1k 2>&1; touch ${file}`);
    expect(await save(file)).toMatch(
      new RegExp(`${file} cannot be written \\(ENOSPC: .*; ${UNKNOWN}$`),
    );
    expect(existsSync(file)).toBe(false);
  });

  test("and not be removed either: who is asked to remove it is told why", async () => {
    const dir = smallDisk();
    shell(`mount -o remount,ro ${dir}`);
    expect(await save(join(dir, "state"))).toMatch(
      /\(EROFS: .*\); HAProxy reads what it said before, and may send requests to dead servers: remove it$/,
    );
  });
});

function save(file: string): Promise<string | undefined> {
  const config = `global\n    server-state-file ${file}\nbackend b\n    server s 127.0.0.1:1 check\n`;
  return saveServerStates(parseConfig(config), undefined, String);
}

function shell(command: string): void {
  const { status, stderr } = spawnSync("sh", ["-c", command], { encoding: "utf8" });
  if (status !== 0) throw new Error(`Cannot ${command}: ${stderr}`);
}

/** A small disk with a file of old states on it. */
function smallDisk(): string {
  const dir = labDir("states");
  shell(`mount -t tmpfs -o size=64k states-test ${dir} && echo stale >${dir}/state`);
  return dir;
}
