// What containers go through, one by one, and what is served meanwhile.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { BRIEF_HOLD, closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { createNetwork } from "./network.ts";

setDefaultTimeout(120_000);

/** Serves until somebody makes the file, and ends with a failure then. */
const CRASHES = [
  "sh",
  "-c",
  "/lab/start.sh & until [ -e /lab/crash ]; do usleep 20000; done; usleep 300000; exit 1",
];

describe.each(haproxyVersions())(`${testFlavour()}, HAProxy %s`, (version) => {
  let engine: Engine;
  let gateway: Gateway;

  beforeAll(async () => {
    engine = await sharedEngine();
    await importImage(engine, "life/one:1", { expose: [8000] });
    await importImage(engine, "life/two:1", { expose: [8000] });
    gateway = await startGateway({ version, dockerHost: engine.dockerHost, flags: [BRIEF_HOLD] });
    await gateway.answers("/", 403);
  });

  afterEach(async () => {
    await removeAll(engine);
    await gateway.idle();
  });
  afterAll(closeGateways);

  test("started, it is served; stopped, it is not; started again, it is; removed, it never was", async () => {
    const container = await run(engine, "life/one:1");
    await gateway.served("/life/one/", container.name);
    const target = `${await container.ip()}:8000`;
    const line = await gateway.logged(
      `routed /life/one -> ${target} (container ${container.name}, `,
    );
    expect(line.message).toMatch(/, \d+ ms\)$/);
    expect(line).toMatchObject({
      level: "info",
      event: "routed",
      route: "/life/one",
      server: target,
    });

    await container.stop();
    const unavailable = await gateway.answers("/life/one/", 503);
    expect(unavailable.header("Retry-After")).toBe("5");
    await gateway.logged(
      `removed /life/one -> ${target} (container ${container.name}, it has ended, `,
    );
    await gateway.logged("waiting for a container: requests for /life/one wait");
    await gateway.logged("no container: requests for /life/one are answered 503");

    await container.start();
    await gateway.served("/life/one/", container.name);

    await container.remove();
    const denied = await gateway.answers("/life/one/", 403);
    expect(denied.body).toBe("Nothing is served here.\n");
    await gateway.logged("no route: nothing is served at /life/one any more");
  });

  test("killed", async () => {
    const container = await run(engine, "life/one:1");
    await gateway.served("/life/one/", container.name);
    await container.kill("SIGKILL");
    await gateway.answers("/life/one/", 503);
  });

  test("a signal that it survives changes nothing", async () => {
    const container = await run(engine, "life/one:1");
    await gateway.logged(new RegExp(`^routed .*container ${container.name},`));
    const before = gateway.lines().length;
    await container.kill("SIGHUP");
    // What comes later shows that the signal has been seen by then.
    const later = await run(engine, "life/two:1");
    await gateway.logged(new RegExp(`^routed .*container ${later.name},`));
    await gateway.served("/life/one/", container.name);
    const ofIt = gateway.lines().filter((line) => line.container === container.name);
    expect(ofIt.slice(0, -1)).toEqual([]);
    expect(gateway.lines().slice(before)).not.toContain(ofIt[0]);
  });

  test("crashed", async () => {
    const container = await run(engine, "life/one:1", { cmd: CRASHES });
    await gateway.served("/life/one/", container.name);
    await container.exec(["touch", "/lab/crash"]);
    await gateway.answers("/life/one/", 503);
    expect((await container.inspect()).State.ExitCode).toBe(1);
  });

  test("restarted with another address", async () => {
    await createNetwork(engine, "moving");
    const container = await run(engine, "life/one:1", { network: "moving" });
    await gateway.served("/life/one/", container.name);
    const former = await container.ip();
    await container.stop();
    // Another one takes its address while it is down.
    const other = await run(engine, "life/two:1", {
      network: "moving",
      create: {
        NetworkingConfig: { EndpointsConfig: { moving: { IPAMConfig: { IPv4Address: former } } } },
      },
    });
    await gateway.served("/life/two/", other.name);
    await container.start();
    expect(await container.ip()).not.toBe(former);
    await gateway.served("/life/one/", container.name);
    await gateway.served("/life/two/", other.name);
  });

  test("paused, alone: its route says so at once and comes back", async () => {
    const container = await run(engine, "life/one:1");
    await gateway.served("/life/one/", container.name);
    await engine.docker.getContainer(container.id).pause();
    const unavailable = await gateway.answers("/life/one/", 503);
    expect(unavailable.header("Retry-After")).toBe("5");
    await gateway.logged(
      new RegExp(`^no requests for /life/one .*${container.name}, it is paused`),
    );
    await engine.docker.getContainer(container.id).unpause();
    await gateway.served("/life/one/", container.name);
  });

  test("paused, one of two: the other one takes over", async () => {
    const [first, second] = await Promise.all([
      run(engine, "life/one:1"),
      run(engine, "life/one:1"),
    ]);
    await gateway.served("/life/one/", first.name);
    await gateway.served("/life/one/", second.name);
    await engine.docker.getContainer(first.id).pause();
    await gateway.logged(new RegExp(`^no requests for .*${first.name}, it is paused`));
    for (let count = 0; count < 10; count++) {
      const response = await gateway.get("/life/one/");
      expect(response.header("X-Container")).toBe(second.name);
    }
    await engine.docker.getContainer(first.id).unpause();
    await gateway.served("/life/one/", first.name);
  });

  test("a crash loop is unavailable, not unknown", async () => {
    const container = await run(engine, "life/one:1", {
      cmd: ["sh", "-c", "exit 1"],
      restart: "always",
    });
    await gateway.answers("/life/one/", 503);
    // Between two starts it is an ended container there, which nothing counts.
    if (engine.flavour === "podman") return;
    for (let restarts = 0; restarts < 4;) {
      const response = await gateway.get("/life/one/");
      expect([response.status, response.header("Retry-After")]).toEqual([503, "5"]);
      restarts = ((await container.inspect()) as { RestartCount?: number }).RestartCount ?? 0;
      await Bun.sleep(50);
    }
  });

  test("only healthy containers get requests", async () => {
    const container = await run(engine, "life/one:1", {
      // In its start period a failure does not make it unhealthy yet. Podman without systemd never
      // checks by itself, and in that period counts no failure even of one that has been healthy.
      healthcheck: { intervalMs: 100, startPeriodMs: engine.flavour === "podman" ? 0 : 60_000 },
    });
    const refused = async (health: string): Promise<void> => {
      const response = await gateway.answers("/life/one/", 503);
      expect(response.header("Retry-After")).toBe("5");
      const line = new RegExp(`^no requests for /life/one .*${container.name}, it is ${health}`);
      await gateway.logged(line);
    };
    await refused("starting");
    await container.setHealthy(true);
    await checkHealth(engine, container.id);
    await gateway.served("/life/one/", container.name);
    await container.setHealthy(false);
    await checkHealth(engine, container.id);
    await refused("unhealthy");
    await container.setHealthy(true);
    await checkHealth(engine, container.id);
    await gateway.served("/life/one/", container.name);
  });

  test("renamed, it goes on under its new name", async () => {
    const container = await run(engine, "life/one:1");
    await gateway.served("/life/one/", container.name);
    await gateway.logged(new RegExp(`^routed .*\\(container ${container.name}, `));
    const changes = (): number => gateway.count(/^(routed|removed|no requests for)/);
    const before = changes();
    const server = ` server ${container.id.slice(0, 12)} `;
    for (const name of [`${container.name}-renamed`, container.name]) {
      await engine.docker.getContainer(container.id).rename({ name });
      await gateway.until(() =>
        expect(gateway.config()).toMatch(new RegExp(`${server}.*# ${name}\n`)),
      );
      // The server in it still calls itself what it was told at its start.
      await gateway.served("/life/one/", container.name);
    }
    // It is the same server all the time.
    expect(changes()).toBe(before);
  });
});

/** Lets Podman check a container's health, which is systemd's task there; Docker does it itself. */
async function checkHealth(engine: Engine, id: string): Promise<void> {
  if (engine.flavour !== "podman") return;
  const url = `http://podman/v4.0.0/libpod/containers/${id}/healthcheck`;
  const response = await fetch(url, { unix: engine.socket });
  if (!response.ok) throw new Error(`Cannot check the health: ${await response.text()}`);
}
