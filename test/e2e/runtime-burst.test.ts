// Many services at once and containers that crash all the time, with the real Engine: without a reload.

import {
  afterEach,
  beforeAll,
  beforeEach,
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
import { Traffic } from "./traffic.ts";

setDefaultTimeout(120_000);

const SERVICES = 30;
/** A HAProxy that cannot add backends may need so many reloads. */
const RELOADS_BEFORE_34 = 2;
const RESTARTS = 4;
/** Serves for a while, and ends with a failure. */
const CRASHES = ["sh", "-c", "/lab/start.sh & sleep 1; exit 1"];

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "steady:1", { expose: [8000] });
  for (let count = 0; count < SERVICES; count++) {
    await importImage(engine, `burst/service${count}:1`, { expose: [8000] });
  }
});

describe.each(haproxyVersions())(`${testFlavour()}, HAProxy %s`, (version) => {
  let gateway: Gateway;
  let reloads: number;

  beforeEach(async () => {
    gateway = await startGateway({ version, dockerHost: engine.dockerHost, flags: [BRIEF_HOLD] });
    await gateway.served("/steady/", (await run(engine, "steady:1")).name);
    // The first files take one.
    await gateway.logged(/^reload: /);
    reloads = gateway.count(/^reload: /);
  });

  afterEach(async () => {
    await removeAll(engine);
    closeGateways();
  });

  test(`${SERVICES} services at once`, async () => {
    const traffic = new Traffic({ port: gateway.port, target: "/steady/", perSecond: 50 });
    const images = Array.from({ length: SERVICES }, (_, count) => `burst/service${count}`);
    const containers = await Promise.all(images.map((image) => run(engine, `${image}:1`)));
    for (const [index, { name }] of containers.entries()) {
      await gateway.served(`/${images[index]}/`, name);
    }
    await Promise.all(containers.map((container) => container.remove()));
    for (const image of images) await gateway.answers(`/${image}/`, 403);
    const { requests, failures } = await traffic.stop();
    // The others did not notice.
    expect(requests).toBeGreaterThan(SERVICES);
    expect(failures).toEqual([]);
    expect(gateway.count(/^reload: /) - reloads).toBeLessThanOrEqual(
      version === "3.4" ? 0 : RELOADS_BEFORE_34,
    );
  });

  test("a container that crashes all the time is at the most unavailable in between", async () => {
    const container = await run(engine, "burst/service0:1", { cmd: CRASHES, restart: "always" });
    const statuses = new Set<number>();
    await gateway.served("/burst/service0/", container.name);
    await gateway.until(async () => {
      statuses.add((await gateway.get("/burst/service0/", { timeoutMs: 10_000 })).status);
      const { RestartCount } = (await container.inspect()) as { RestartCount?: number };
      expect(RestartCount).toBeGreaterThanOrEqual(RESTARTS);
    });
    // HAProxy tries again for a while, and may find it back.
    expect([...statuses].filter((status) => status !== 200 && status !== 503)).toEqual([]);
    await gateway.served("/burst/service0/", container.name);
    expect(gateway.count(/^reload: /)).toBe(reloads);
  });
});
