// The only container of a service goes away and comes back under load: no request is lost, and none
// waits much longer than the container was away. Then what comes after the hold.

import {
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { reloadProcess } from "../../src/haproxy/process/master.ts";
import { startApp, type App } from "../lab/app.ts";
import { removeAll, run, type Container, type RunOptions } from "../lab/containers.ts";
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { connect, eventually, request, type RawConnection } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import { median } from "../bench/numbers.ts";
import { flagsOf } from "./asking.ts";
import { closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { runToEnd } from "./program.ts";
import { ask, wantedOf } from "./running-haproxy.ts";
import { Stage } from "./stage.ts";
import { costOf, WaitingTraffic, type Outage } from "./waiting-traffic.ts";

setDefaultTimeout(120_000);

/** The server of the lab's containers starts a shell for each request: more would be its own limit. */
const PER_SECOND = 20;
const ROUNDS = 2;
/**
 * Nobody waits longer than the container was away and 100 ms, as `npm run bench -- hold` shows. The
 * rest is what a loaded machine with two cores adds. In milliseconds.
 */
const EXCESS = 100 + 700;
/** What others would notice: so many times what a request takes alone. It is 1.0 to 1.4 times that. */
const NOTICED = 10;

describe.each(haproxyVersions())(`${testFlavour()}, HAProxy %s`, (version) => {
  let engine: Engine;

  beforeAll(async () => {
    engine = await sharedEngine();
    await importImage(engine, "hold/only:1", { expose: [8000] });
  });

  afterEach(async () => {
    await removeAll(engine);
    closeGateways();
  });

  /** Starts a container, and waits until it answers by itself. */
  async function start(options: RunOptions): Promise<Container> {
    const container = await run(engine, "hold/only:1", options);
    await answersDirectly(container);
    return container;
  }

  const OUTAGES: Record<string, (container: Container) => Promise<Container>> = {
    "is replaced at once": async (container) => {
      await container.remove();
      return start({});
    },
    "is replaced in good order": async (container) => {
      await container.stop();
      await container.remove();
      return start({});
    },
    "is restarted": async (container) => {
      await container.stop();
      await container.start();
      await answersDirectly(container);
      return container;
    },
    "is paused": async (container) => {
      await engine.docker.getContainer(container.id).pause();
      await Bun.sleep(300);
      await engine.docker.getContainer(container.id).unpause();
      return container;
    },
    "is unhealthy": async (container) => {
      await setHealth(container, false);
      await setHealth(container, true);
      return container;
    },
  };
  // Podman without systemd never checks by itself.
  if (testFlavour() === "podman") delete OUTAGES["is unhealthy"];

  test.each(Object.keys(OUTAGES))("the only container %s", async (how) => {
    const gateway = await startGateway({ version, dockerHost: engine.dockerHost });
    const isChecked = how === "is unhealthy";
    let container = await start(isChecked ? { healthcheck: { intervalMs: 100 } } : {});
    if (isChecked) await setHealth(container, true);
    await gateway.served("/hold/only/", container.name);
    const traffic = new WaitingTraffic(gateway.port, "/hold/only/", PER_SECOND);
    const outages: Outage[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await Bun.sleep(200);
      const from = performance.now();
      container = (await OUTAGES[how]?.(container)) ?? container;
      outages.push({ from, to: performance.now() });
      await gateway.served("/hold/only/", container.name);
    }
    const { lost, requests, excess } = costOf(await traffic.stop(), outages);
    expect(lost).toEqual([]);
    expect(requests).toBeGreaterThan(PER_SECOND / 2);
    expect(excess).toBeLessThan(EXCESS);
    expect(gateway.count(/^reload: /)).toBeLessThanOrEqual(1);
  });

  test("the only one that asks for a route is replaced, while another of its service runs", async () => {
    const gateway = await startGateway({ version, dockerHost: engine.dockerHost });
    const other = await start({ labels: { "gateway.host": "other.test" } });
    const first = await start({});
    await gateway.served("/hold/only/", first.name);
    const traffic = new WaitingTraffic(gateway.port, "/hold/only/", PER_SECOND);
    await first.remove();
    await gateway.served("/hold/only/", other.name);
    await Bun.sleep(1_500);
    const next = await start({});
    await gateway.served("/hold/only/", next.name);
    const { lost, requests } = costOf(await traffic.stop(), []);
    expect(lost).toEqual([]);
    expect(requests).toBeGreaterThan(PER_SECOND);
  });
});

/** Makes a container healthy or not, and waits until Docker says so. */
async function setHealth(container: Container, healthy: boolean): Promise<void> {
  await container.setHealthy(healthy);
  await eventually(async () => {
    const { State } = await container.inspect();
    expect(State.Health?.Status).toBe(healthy ? "healthy" : "unhealthy");
  });
}

/** Waits until a container itself answers. */
async function answersDirectly(container: Container): Promise<void> {
  await eventually(
    async () => {
      const host = await container.ip();
      expect((await request({ host, port: 8000, timeoutMs: 500 })).status).toBe(200);
    },
    { everyMs: 1 },
  );
}

describe.each(haproxyVersions())("a played Engine, HAProxy %s", (version) => {
  let stage: Stage;
  let gateway: Gateway;
  let app: App;
  const open: RawConnection[] = [];

  beforeEach(async () => {
    stage = new Stage();
    app = await startApp();
  });

  afterEach(async () => {
    for (const connection of open.splice(0)) connection.close();
    closeGateways();
    await stage.stop();
    await app.stop();
  });

  /** Starts a gateway that serves `/foo` from the container `one`, and `/other`. */
  async function serving(hold: string): Promise<void> {
    const flags = [`--hold=${hold}`];
    gateway = await startGateway({ version, dockerHost: stage.dockerHost, flags });
    stage.start("one", { image: "foo", ip: app.address, port: app.port });
    stage.start("another", { image: "other", ip: app.address, port: app.port });
    await gateway.answers("/foo", 200);
    await gateway.answers("/other", 200);
  }

  /** The container `one` ends. Docker has it still. */
  async function end(): Promise<void> {
    stage.change("one", { status: "exited" });
    stage.tell("one", "die");
    await gateway.until(async () => expect(await wantedOf(gateway, "one")).not.toBe("on"));
  }

  /** Sends a request whose answer may take long. */
  async function send(target: string): Promise<RawConnection> {
    const connection = await connect({ port: gateway.port, timeoutMs: 30_000 });
    open.push(connection);
    connection.send(`POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody`);
    return connection;
  }

  /** How long requests take, one after the other, in milliseconds. */
  async function timesOf(target: string): Promise<number[]> {
    const times: number[] = [];
    for (let count = 0; count < 50; count++) {
      const start = performance.now();
      expect((await gateway.get(target)).status).toBe(200);
      times.push(performance.now() - start);
    }
    return times;
  }

  /** How many requests HAProxy has for the backend of `one`. */
  async function underWay(): Promise<number> {
    const [head = "", ...lines] = (await ask(gateway, "show stat -1 2 -1")).split("\n");
    const column = head.replace("# ", "").split(",").indexOf("scur");
    const counts = lines
      .filter((line) => !line.startsWith("other,"))
      .map((line) => Number(line.split(",")[column] ?? 0));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Reloads HAProxy, as its operator may. */
  async function reload(): Promise<void> {
    const { master } = await gateway.haproxy();
    await reloadProcess(join(gateway.dir, "haproxy.master.sock"), master);
  }

  /** The last container of a service has ended, and its requests wait. */
  async function waits(name: string): Promise<void> {
    stage.change(name, { status: "exited" });
    stage.tell(name, "die");
    await gateway.logged(`requests for /${name === "one" ? "foo" : name} wait`);
  }

  test("after the hold it is 503 at once, and 403 once the container is removed", async () => {
    await serving("500ms");
    await end();
    const waited = await gateway.get("/foo");
    expect([waited.status, waited.header("Retry-After")]).toEqual([503, "5"]);
    await gateway.logged("no container: requests for /foo are answered 503");
    const start = performance.now();
    const refused = await gateway.get("/foo");
    expect(performance.now() - start).toBeLessThan(200);
    expect([refused.status, refused.header("Retry-After")]).toEqual([503, "5"]);
    stage.drop("one");
    stage.tell("one", "destroy");
    await gateway.answers("/foo", 403);
  });

  test("a request waits for the next container, and routes and explain say so", async () => {
    await serving("20s");
    await end();
    const waiting = await send("/foo/cart");
    const flags = flagsOf(gateway, stage, version);
    const routes = async (): Promise<string> => (await runToEnd(["routes", ...flags])).stdout;
    // The server of the last container is there until nobody uses it.
    await gateway.until(async () => {
      expect(await routes()).toMatch(/^\/foo +foo +- +- +waiting for a container$/m);
    });
    const explained = (await runToEnd(["explain", "/foo/cart", ...flags])).stdout;
    expect(explained).toContain("answer   waits for a container");
    app.forget();
    stage.start("two", { image: "foo", ip: app.address, port: app.port });
    expect((await waiting.response()).status).toBe(200);
    expect(app.received.map(({ method, target, body }) => [method, target, body])).toEqual([
      ["POST", "/cart", "body"],
    ]);
    await gateway.until(async () => expect(await routes()).not.toContain("waiting"));
  });

  test("at most 1,000 wait, others notice nothing, and who gives up is forgotten", async () => {
    await serving("20s");
    await end();
    const alone = await timesOf("/other");
    const before = open.length;
    for (let count = 0; count < 1_000; count++) await send("/foo");
    await gateway.until(async () => expect(await underWay()).toBe(1_000));
    const refused = await gateway.get("/foo");
    expect([refused.status, refused.header("Retry-After")]).toEqual([503, "5"]);
    const beside = await timesOf("/other");
    for (const connection of open.splice(before)) connection.close();
    await gateway.until(async () => expect(await underWay()).toBe(0));
    alone.push(...(await timesOf("/other")));
    expect(median(beside)).toBeLessThan(NOTICED * median(alone));
    app.forget();
    stage.start("two", { image: "foo", ip: app.address, port: app.port });
    expect((await gateway.get("/foo")).status).toBe(200);
    // What the others asked for is not done.
    expect(app.received).toHaveLength(1);
  });

  test("one that restarts again and again, at once and later, takes no reload", async () => {
    await serving("20s");
    for (let round = 0; round < 20; round++) {
      const name = `short-${round}`;
      stage.start(name, { image: name, ip: app.address, port: app.port });
      await gateway.answers(`/${name}/`, 200);
      stage.change(name, { status: "restarting" });
      stage.tell(name, "die");
      // HAProxy removes a server once the last of its connections has ended: that may be just now.
      const waiting = await Promise.all([send(`/${name}/`), send(`/${name}/`)]);
      await Bun.sleep(10 * round);
      stage.change(name, { status: "running" });
      stage.tell(name, "start");
      for (const each of waiting) expect((await each.response()).status).toBe(200);
    }
    expect(gateway.count(/^reload: /)).toBeLessThanOrEqual(1);
  });

  describe("requests that wait while HAProxy reloads", () => {
    test.each(["another", "the same"])("get %s container", async (which) => {
      await serving("20s");
      await waits("one");
      const waiting = await send("/foo/cart");
      await reload();
      app.forget();
      const name = which === "another" ? "two" : "one";
      stage.start(name, { image: "foo", ip: app.address, port: app.port });
      expect((await waiting.response()).status).toBe(200);
      expect(app.received.map(({ target, body }) => [target, body])).toEqual([["/cart", "body"]]);
    });

    test("get the container of a service that came while HAProxy ran", async () => {
      await serving("20s");
      stage.start("late", { image: "late", ip: app.address, port: app.port });
      await gateway.answers("/late", 200);
      await waits("late");
      const waiting = await send("/late/cart");
      await reload();
      stage.start("later", { image: "late", ip: app.address, port: app.port });
      expect((await waiting.response()).status).toBe(200);
    });

    test("get the container that HAProxy is reloaded for, after two more reloads", async () => {
      await serving("20s");
      await waits("one");
      const waiting = await send("/foo/cart");
      await reload();
      await reload();
      const labels = { "gateway.timeout": "77s" };
      stage.start("two", { image: "foo", ip: app.address, port: app.port, labels });
      expect((await waiting.response()).status).toBe(200);
      expect(gateway.config()).toContain("77s");
    });

    test("and those that come in parts get to nobody who has the address by now", async () => {
      await serving("20s");
      await waits("one");
      const waiting = await send("/foo/cart");
      const half = await connect({ port: gateway.port, timeoutMs: 30_000 });
      open.push(half);
      half.send("GET /foo HTTP/1.1\r\nHost: x\r\n");
      await reload();
      const own = await startApp();
      stage.start("two", { image: "foo", ip: own.address, port: own.port });
      expect((await waiting.response()).status).toBe(200);
      stage.end("two");
      stage.start("stranger", { image: "stranger", ip: own.address, port: own.port });
      await gateway.answers("/stranger", 200);
      own.forget();
      half.send("\r\n");
      expect((await half.response()).status).toBe(503);
      expect(own.received).toEqual([]);
      await own.stop();
    });

    test("get nothing that is not spoken to as they were to be", async () => {
      await serving("3s");
      const server = createServer((_, response) => response.end("HTTP/2")).listen(0, app.address);
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      const part = { image: "rpc", ip: app.address, port, labels: { "gateway.scheme": "h2c" } };
      stage.start("rpc", part);
      await gateway.answers("/rpc", 200);
      await waits("rpc");
      const waiting = await send("/rpc/cart");
      await reload();
      stage.start("next", part);
      // Before 3.0, nothing leads to a server with HTTP/2.
      expect((await waiting.response()).status).toBe(version === "2.6" ? 503 : 200);
      expect((await gateway.get("/rpc")).status).toBe(200);
      server.close();
    });
  });

  test("with --hold 0 nobody waits", async () => {
    await serving("0");
    stage.end("one");
    await gateway.answers("/foo", 403);
    expect(gateway.config()).not.toContain("_wait");
  });
});
