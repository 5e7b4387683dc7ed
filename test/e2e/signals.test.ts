// What the gateway does when it is told to read everything again, and when it is told to end.

import { afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { cli } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { closeGateways, gatewayDir, startGateway } from "./gateway.ts";
import { isAlive } from "./processes.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "sig/one:1", { expose: [8000] });
});

afterEach(async () => {
  await removeAll(engine);
  closeGateways();
});

test("SIGHUP sets right what somebody else has changed in HAProxy", async () => {
  const gateway = await startGateway({ dockerHost: engine.dockerHost });
  const container = await run(engine, "sig/one:1");
  await gateway.routed("/sig/one/", container.name);
  await gateway.confirmed();
  const map = join(gateway.dir, "haproxy.routes.map");
  await cli(join(gateway.dir, "haproxy.admin.sock"), `clear map ${map}`);
  expect((await gateway.get("/sig/one/")).status).toBe(403);
  gateway.signal("SIGHUP");
  await gateway.served("/sig/one/", container.name);
  expect(gateway.count("reading everything again (SIGHUP)")).toBe(1);
});

test.each(["SIGTERM", "SIGINT"] as const)("%s ends it while it waits for Docker", async (name) => {
  const gateway = await startGateway({ dockerHost: `unix://${gatewayDir()}/none.sock` });
  await gateway.logged("Cannot reach Docker");
  expect(await gateway.stop(name)).toBe(0);
});

test("a second SIGTERM ends HAProxy without waiting for its requests", async () => {
  const gateway = await startGateway({ dockerHost: engine.dockerHost });
  const container = await run(engine, "sig/one:1");
  await gateway.served("/sig/one/", container.name);
  const { master } = await gateway.haproxy();
  const slow = gateway.get("/sig/one/slow?ms=9000", { timeoutMs: 20_000 });
  const cut = slow.then(
    ({ status }) => status,
    () => "cut off",
  );
  await gateway.until(async () => {
    const sessions = await cli(join(gateway.dir, "haproxy.admin.sock"), "show sess");
    // A service that came after the first reload has a spare backend.
    expect(sessions).toMatch(/ be=(sig:one|_spare_\d+) /);
  });
  const start = performance.now();
  gateway.signal("SIGTERM");
  await gateway.logged(/^ending HAProxy/);
  expect(isAlive(master)).toBe(true);
  expect(await gateway.stop("SIGTERM")).toBe(0);
  expect(performance.now() - start).toBeLessThan(5_000);
  expect(isAlive(master)).toBe(false);
  expect(await cut).not.toBe(200);
});
