// One service on several Engines whose containers have the same addresses and names: each request reaches its own
// container, and an Engine that is gone takes nobody else with it.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { join } from "node:path";
import type { StateDocument } from "../../src/api/state.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { detailsOf } from "../e2e/details.ts";
import { BRIEF_HOLD, closeGateways, gatewayDir, type Gateway } from "../e2e/gateway.ts";
import { runToEnd } from "../e2e/program.ts";
import { Traffic } from "../e2e/traffic.ts";
import { Machines } from "./machines.ts";

setDefaultTimeout(120_000);

const [SHOP, BLOG] = ["acme/shop", "acme/blog"] as const;
const PER_SECOND = 100;

let machines: Machines;
let gateway: Gateway;

beforeAll(async () => {
  machines = await Machines.start(2, [SHOP, BLOG]);
});
afterAll(() => machines.stop());

/** A name by which a container answers, whatever it is called. */
function env(LAB_NAME: string) {
  return { env: { LAB_NAME } };
}

/** The labels of a container that is a service of its own. */
function at(path: string): Record<string, string> {
  return { "gateway.service": path.slice(1), "gateway.path": path };
}

function traffic(target: string): Traffic {
  const { host, port } = gateway;
  return new Traffic({ host, port, target, perSecond: PER_SECOND });
}

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  // What does not depend on HAProxy's version is tested once.
  const detail = detailsOf(version);
  afterEach(async () => {
    closeGateways();
    await machines.removeContainers();
  });

  test("a service of both, and one of each, where names and addresses are the same", async () => {
    await machines.run("blue", SHOP, { name: "web", ...env("shop of blue") });
    await machines.run("red", SHOP, { name: "web", ...env("shop of red") });
    await machines.run("blue", BLOG, {
      name: "two",
      labels: at("/b"),
      ...env("b"),
    });
    await machines.run("red", BLOG, { name: "two", labels: at("/r"), ...env("r") });
    gateway = await machines.gateway(version);
    for (const each of ["shop of blue", "shop of red"]) await gateway.served("/acme/shop/", each);
    await gateway.served("/b/", "b");
    await gateway.served("/r/", "r");
    const clients = [traffic("/acme/shop/"), traffic("/b/"), traffic("/r/")];
    await gateway.until(() => {
      if (gateway.count(/^routed /) < 4) throw new Error("not all are routed");
    });
    await Bun.sleep(1_000);
    const [shop, b, r] = await Promise.all(clients.map((each) => each.stop()));
    expect([shop, b, r].flatMap((each) => each?.failures ?? ["none"])).toEqual([]);
    expect([...(shop?.answered.keys() ?? [])].toSorted()).toEqual(["shop of blue", "shop of red"]);
    expect([[...(b?.answered.keys() ?? [])], [...(r?.answered.keys() ?? [])]]).toEqual([
      ["b"],
      ["r"],
    ]);
    const names = gateway
      .lines()
      .filter(({ event }) => event === "routed")
      .map(({ container }) => String(container));
    expect(names.toSorted()).toEqual(["two@blue", "two@red", "web@blue", "web@red"]);
  });

  detail("a container that nobody can reach there is told of", async () => {
    const { docker } = machines.get("red");
    const made = await docker.createContainer({ Image: SHOP, name: "inside" });
    await made.start();
    gateway = await machines.gateway(version);
    const { message } = await gateway.logged(/^not routed/);
    expect(message).toBe(
      "not routed: container inside@red (image acme/shop): it publishes no port, and its networks " +
        "are those of Engine red: publish one (-p PORT)",
    );
    await gateway.answers("/acme/shop/", 403);
  });

  test.each(["blue", "red"])(
    "Engine %s is killed: its containers serve on, the other's change, and all is well when it is back",
    async (lost) => {
      const left = lost === "red" ? "blue" : "red";
      await machines.run(lost, SHOP, { name: "old" });
      await machines.run(left, SHOP, { name: "stays" });
      gateway = await machines.gateway(version, { flags: [BRIEF_HOLD] });
      for (const name of ["old", "stays"]) await gateway.served("/acme/shop/", name);
      await gateway.confirmed();
      const clients = traffic("/acme/shop/");
      await machines.get(lost).stopDaemon("SIGKILL");
      try {
        await gateway.logged(`(Engine ${lost}: what is served stays as it is`);
        // A new service, another container, and one that goes.
        await machines.run(left, BLOG, { name: "new" });
        await gateway.served("/acme/blog/", "new");
        const next = await machines.run(left, SHOP, { name: "next", graceMs: 200 });
        await gateway.served("/acme/shop/", "next");
        await next.stop();
        await gateway.logged(new RegExp(`^removed .*next@${left}`));
        for (const name of ["old", "stays"]) await gateway.served("/acme/shop/", name);
      } finally {
        await machines.get(lost).startDaemon();
      }
      await gateway.until(() => {
        if (gateway.count(`Engine ${lost}: connected`) < 2) throw new Error("it is not back");
      });
      const { requests, failures, answered } = await clients.stop();
      expect(failures).toEqual([]);
      expect(requests).toBeGreaterThan(100);
      expect([...answered.keys()]).toContain("old");
      // It tells of changes again.
      await machines.run(lost, SHOP, { name: "back" });
      await gateway.served("/acme/shop/", "back");
    },
  );

  test("a container that ends while its Engine is away gets no more requests, and nobody else has its place", async () => {
    const red = machines.get("red");
    const far = await machines.run("red", SHOP, { name: "far" }, 8001);
    await machines.run("red", BLOG, { name: "other" }, 8002);
    await machines.run("blue", SHOP, { name: "near" });
    gateway = await machines.gateway(version, { flags: [BRIEF_HOLD] });
    await gateway.served("/acme/shop/", "far");
    await gateway.served("/acme/blog/", "other");
    const { State } = await far.inspect();
    await red.stopDaemon("SIGKILL");
    try {
      await gateway.logged("(Engine red: what is served stays as it is");
      process.kill(State.Pid, "SIGKILL");
      await gateway.logged(/while Docker cannot be asked: far@red/);
      const clients = traffic("/acme/shop/");
      await Bun.sleep(500);
      const { failures, answered } = await clients.stop();
      expect([failures, [...answered.keys()]]).toEqual([[], ["near"]]);
      await gateway.served("/acme/blog/", "other");
    } finally {
      await red.startDaemon();
    }
    await gateway.logged(/^removed .*far@red/);
  });

  test("a gateway starts while an Engine is away: what it served of it goes on, and the other's change", async () => {
    const red = machines.get("red");
    await machines.run("red", SHOP, { name: "far" });
    await machines.run("red", BLOG, { name: "alone" });
    await machines.run("blue", SHOP, { name: "near" });
    const dir = gatewayDir();
    gateway = await machines.gateway(version, { dir });
    for (const name of ["far", "near"]) await gateway.served("/acme/shop/", name);
    await gateway.served("/acme/blog/", "alone");
    await gateway.confirmed();
    const clients = [traffic("/acme/shop/"), traffic("/acme/blog/")];
    await gateway.kill9();
    await red.stopDaemon("SIGKILL");
    try {
      gateway = await machines.gateway(version, { dir });
      await gateway.logged("what is served of Engine red stays as it was");
      const near = await machines.run("blue", BLOG, {
        name: "new",
        labels: at("/n"),
      });
      await gateway.served("/n/", "new");
      await near.stop();
      await gateway.served("/acme/shop/", "far");
    } finally {
      await red.startDaemon();
    }
    await gateway.logged(/^Engine red: connected/);
    await machines.run("red", BLOG, { name: "more" });
    await gateway.served("/acme/blog/", "more");
    const reports = await Promise.all(clients.map((each) => each.stop()));
    expect(reports.flatMap(({ failures }) => failures)).toEqual([]);
    expect([...(reports[0]?.answered.keys() ?? [])].toSorted()).toEqual(["far", "near"]);
  });

  detail("whatever tells of a container or of Docker names the Engine", async () => {
    await machines.run("blue", SHOP, { name: "web" });
    await machines.run("red", SHOP, { name: "web" });
    const stopped = await machines.run("red", BLOG, { name: "old" });
    await stopped.stop(1);
    const dir = gatewayDir();
    const admin = join(dir, "admin.sock");
    gateway = await machines.gateway(version, { dir, flags: [`--admin=unix:${admin}`] });
    await gateway.until(() => {
      if (gateway.count(/^routed /) < 2) throw new Error("not all are routed");
    });
    const command = async (...words: string[]): Promise<string> => {
      const flags = [...words, `--gateway=${join(dir, "haproxy.gateway.sock")}`];
      return (await runToEnd(flags, {}, "/", machines.get("blue").inside)).stdout;
    };
    const both = await command("explain", "web");
    expect(both).toMatch(/web@blue \(.*web@red \(/s);
    const one = await command("explain", "web@red");
    expect(one).toMatch(/^container +web@red /);
    expect(one).not.toContain("web@blue");
    expect(one).toContain(
      `${machines.get("red").address}, that of Engine red, where it publishes ports`,
    );
    expect(await command("explain", "old")).toMatch(/^container +old@red /);
    expect(await command("routes")).toMatch(/web@blue[^]*web@red/);
    const doctor = await command("doctor");
    for (const name of ["blue", "red"]) {
      expect(doctor).toMatch(
        new RegExp(`ok +Docker ${name}: (?:unix|tcp)://.*, API .*, 1 running container`),
      );
    }
    const read = async (path: string): Promise<string> =>
      (await fetch(`http://gateway${path}`, { unix: admin })).text();
    expect(await read("/metrics")).toContain('docker_connected{engine="red"} 1');
    expect(await read("/metrics")).toContain('routed_containers{engine="blue"} 1');
    const { engine, engines, services } = JSON.parse(await read("/v1/state")) as StateDocument;
    expect(engine).toMatchObject({ connected: true });
    expect(engines.map(({ name, connected }) => [name, connected])).toEqual([
      ["blue", true],
      ["red", true],
    ]);
    const containers = services.flatMap(({ servers }) => servers.map((each) => each.container));
    expect(containers.toSorted()).toEqual(["web@blue", "web@red"]);
    await machines.get("red").stopDaemon("SIGKILL");
    try {
      await gateway.logged("(Engine red: what is served stays as it is");
      expect(await read("/metrics")).toContain('docker_connected{engine="red"} 0');
      expect(await command("doctor")).toMatch(/warning +Gateway: it waits for red \(tcp:/);
    } finally {
      await machines.get("red").startDaemon();
    }
  });

  test("one that is not there at the first start holds up nobody", async () => {
    const red = machines.get("red");
    await machines.run("blue", SHOP, { name: "near" });
    await red.stopDaemon("SIGKILL");
    try {
      gateway = await machines.gateway(version);
      await gateway.served("/acme/shop/", "near");
      await gateway.logged("what is served of Engine red stays as it was");
    } finally {
      await red.startDaemon();
    }
    await machines.run("red", BLOG, { name: "late" });
    await gateway.served("/acme/blog/", "late");
  });
});
