// HAProxy that dies, is restarted, replaced or edited by hand while containers come and go.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startApp, type App } from "../lab/app.ts";
import { haproxyVersions, startHaproxy, type Haproxy } from "../lab/haproxy.ts";
import { closeGateways, gatewayDir, startGateway, type Gateway } from "./gateway.ts";
import { freePort } from "../lab/ports.ts";
import { isAlive, showProcesses } from "./processes.ts";
import { states, wantedOf } from "./running-haproxy.ts";
import { idOf, Stage, type Part } from "./stage.ts";

setDefaultTimeout(120_000);

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  let stage: Stage;
  let app: App;
  let gateway: Gateway;

  beforeEach(async () => {
    stage = new Stage();
    app = await startApp();
  });

  afterEach(async () => {
    closeGateways();
    await stage.stop();
    await app.stop();
  });

  describe("of the gateway's own", () => {
    beforeEach(async () => {
      gateway = await startGateway({ version, dockerHost: stage.dockerHost });
      await gateway.answers("/", 403);
    });

    test.each(["worker", "master"] as const)("its %s is killed amid changes", async (victim) => {
      const names = Array.from({ length: 40 }, (_, index) => `busy-${index}`);
      for (const [index, name] of names.entries()) {
        stage.start(name, part(index % 4 === 0 ? name : "foo"));
        if (index % 3 === 2) stage.end(names[index - 2] ?? "");
        if (index === 20) process.kill((await gateway.haproxy())[victim], "SIGKILL");
        await Bun.sleep(20);
      }
      const left = names.filter((_, index) => index % 3 !== 0 || index === 39);
      await allServed(left);
      await gateway.logged(/^HAProxy \(process \d+\) ended by itself/);
      onlyOneMaster();
      // And so it is on disk.
      await gateway.until(() => {
        const ids = [...gateway.config().matchAll(/^ +server ([0-9a-f]{12}) /gm)];
        expect(new Set(ids.map(([, id]) => id))).toEqual(new Set(left.map(shortId)));
      });
    });

    test("what changes while it is dead does not start another one", async () => {
      stage.start("one", part("foo"));
      await gateway.until(async () => expect(await wantedOf(gateway, "one")).toBe("on"));
      const { master } = await gateway.haproxy();
      process.kill(master, "SIGKILL");
      for (let count = 0; count < 5; count++) stage.start(`more-${count}`, part("foo"));
      await gateway.logged(/ended by itself; starting it again/);
      await allServed(["one", "more-0", "more-1", "more-2", "more-3", "more-4"]);
      // The restart would come within 600 ms.
      await Bun.sleep(1_000);
      onlyOneMaster();
      expect((await gateway.get("/foo")).status).toBe(200);
    });
  });

  describe("of somebody else's", () => {
    let haproxy: Haproxy;

    beforeEach(async () => {
      const options = { version, dir: gatewayDir(), port: await freePort(), managed: false };
      const { dockerHost } = stage;
      const flags = ["--once", "--reload-cmd", "/bin/true"];
      const first = await startGateway({ ...options, dockerHost, flags });
      expect(await first.exited).toBe(0);
      const config = readFileSync(first.output, "utf8");
      haproxy = await startHaproxy({ version, dir: options.dir, config });
      const socket = ["--master-socket", haproxy.masterSocket];
      gateway = await startGateway({ ...options, dockerHost, flags: socket });
      stage.start("one", part("foo"));
      stage.start("two", part("bar"));
      await allServed(["one", "two"]);
      expect(gateway.count(/^reload: /)).toBe(0);
    });

    afterEach(() => haproxy.stop());

    // Files for 3.4 have words that versions before it do not know.
    const ways = version === "3.4" ? ["restarted"] : ["restarted", "replaced by a later version"];

    test.each(ways)("%s by hand", async (how) => {
      await written(["one", "two"]);
      await haproxy.stop();
      haproxy = await startHaproxy({
        version: how === "restarted" ? version : "3.4",
        dir: gateway.dir,
        config: gateway.config(),
      });
      await reread();
      stage.start("three", part("foo"));
      await allServed(["one", "two", "three"]);
      for (const path of ["/foo", "/bar"]) expect((await gateway.get(path)).status).toBe(200);
      expect(gateway.count(/^reload: /)).toBe(0);
    });

    test("restarted by hand, and something changes before anybody looks", async () => {
      await written(["one", "two"]);
      await haproxy.stop();
      haproxy = await startHaproxy({ version, dir: gateway.dir, config: gateway.config() });
      stage.start("three", part("foo"));
      await allServed(["one", "two", "three"]);
      stage.end("one");
      await allServed(["two", "three"]);
      expect((await gateway.get("/foo")).status).toBe(200);
      expect(gateway.count(/^reload: /)).toBe(0);
    });

    test("its file is edited: it is written again, and HAProxy not bothered", async () => {
      await written(["one", "two"]);
      const before = gateway.config();
      appendFileSync(gateway.output, "# mine\n");
      await reread();
      await gateway.logged(/was changed by somebody else: it is written again, and .*\.edited$/);
      await gateway.until(() => expect(gateway.config()).toBe(before));
      expect(readFileSync(`${gateway.output}.edited`, "utf8")).toBe(`${before}# mine\n`);
      expect(gateway.count(/^reload: /)).toBe(0);
    });

    test("its file is edited, and HAProxy reloaded: both are set right", async () => {
      await written(["one", "two"]);
      const before = gateway.config();
      appendFileSync(gateway.output, "backend mine from _backend\n");
      const { worker } = await showProcesses(haproxy.masterSocket);
      expect(await haproxy.reload()).toBe(true);
      // Before it has ended, it may be the one that answers the gateway.
      await gateway.until(() => expect(isAlive(worker)).toBe(false));
      await reread();
      await gateway.logged(`reload: ${gateway.output} was changed by somebody else (`);
      await gateway.until(() => expect(gateway.config()).toBe(before));
      await allServed(["one", "two"]);
    });
  });

  function part(image: string): Part {
    return { image, ip: app.address, port: app.port };
  }

  /** Waits until HAProxy has just the servers of these containers, and each is up. */
  async function allServed(names: string[]): Promise<void> {
    const expected = Object.fromEntries(names.map((name) => [shortId(name), "UP"]));
    await gateway.until(async () => expect(await states(gateway)).toEqual(expected));
  }

  /** Waits until the files have the servers of these containers. */
  function written(names: string[]): Promise<void> {
    return gateway.until(() => {
      for (const name of names) expect(gateway.config()).toContain(shortId(name));
    });
  }

  /** Lets the gateway compare everything, and waits until it has. */
  async function reread(): Promise<void> {
    gateway.signal("SIGHUP");
    await gateway.logged("reading everything again (SIGHUP)");
    stage.start("probe", part("foo"));
    await gateway.until(async () => expect(await wantedOf(gateway, "probe")).toBe("on"));
    stage.end("probe");
    await gateway.until(async () => expect(await wantedOf(gateway, "probe")).toBeUndefined());
  }

  /** A second one would share the port, and serve what it likes. */
  function onlyOneMaster(): void {
    const masters = readdirSync("/proc").filter((pid) => {
      if (!/^\d+$/.test(pid)) return false;
      const words = commandLine(pid);
      // The worker has the same words; its parent is the master.
      return words.includes(gateway.output) && words.includes("-W") && !hasMaster(pid);
    });
    expect(masters).toHaveLength(1);
  }
});

function shortId(name: string): string {
  return idOf(name).slice(0, 12);
}

function commandLine(pid: string): string[] {
  try {
    return readFileSync(join("/proc", pid, "cmdline"), "utf8").split("\0");
  } catch {
    return [];
  }
}

function hasMaster(pid: string): boolean {
  const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(join("/proc", pid, "status"), "utf8"))?.[1];
  return commandLine(parent ?? "").includes("-W");
}
