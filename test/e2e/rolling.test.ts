// A service is rolled over one container at a time, under load: no request fails.

import { afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { removeAll, run, type Container, type RunOptions } from "../lab/containers.ts";
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { Traffic } from "./traffic.ts";

setDefaultTimeout(120_000);

const PER_SECOND = 100;
/** Both containers are replaced so many times. */
const ROUNDS = 2;

describe.each(haproxyVersions())(`${testFlavour()}, HAProxy %s`, (version) => {
  let engine: Engine;
  let gateway: Gateway;

  beforeAll(async () => {
    engine = await sharedEngine();
    await importImage(engine, "rolling/app:1", { expose: [8000] });
    await importImage(engine, "rolling/app:2", { expose: [8000] });
  });

  afterEach(async () => {
    await removeAll(engine);
    closeGateways();
  });

  /** Replaces two containers again and again while requests come; gives what came of them. */
  async function roll(flags: readonly string[], options: RunOptions) {
    gateway = await startGateway({ version, dockerHost: engine.dockerHost, flags });
    let old: Container[] = [];
    for (let count = 0; count < 2; count++) old.push(await run(engine, "rolling/app:1", options));
    for (const { name } of old) await gateway.served("/rolling/app/", name);
    const traffic = new Traffic({
      port: gateway.port,
      target: "/rolling/app/",
      perSecond: PER_SECOND,
    });
    for (let round = 0; round < ROUNDS; round++) {
      const fresh: Container[] = [];
      for (const gone of old) {
        const next = await run(engine, `rolling/app:${(round % 2) + 1}`, options);
        fresh.push(next);
        await gateway.served("/rolling/app/", next.name);
        await gone.stop();
      }
      old = fresh;
    }
    const report = await traffic.stop();
    // Otherwise nothing has been shown.
    expect(report.requests).toBeGreaterThan(PER_SECOND);
    expect(report.answered.size).toBeGreaterThanOrEqual(2 * ROUNDS);
    return report;
  }

  test("containers that finish what they do", async () => {
    const { failures, slowestMs } = await roll([], { graceMs: 300 });
    expect(failures).toEqual([]);
    // One that was sent to a container that has gone waits for its connection for 2 s. Podman does
    // not tell that a container is to stop, only that it has, so there it happens.
    if (engine.flavour !== "podman") expect(slowestMs).toBeLessThan(1_900);
  });

  test("containers that end at once", async () => {
    const { failures } = await roll([], {});
    expect(failures).toEqual([]);
  });

  // A reload after the death, which is all that Podman tells of, is too late for some requests.
  test("containers that finish what they do, with a reload for each change", async () => {
    if (testFlavour() === "podman") return;
    const { failures } = await roll(["--always-reload"], { graceMs: 300 });
    expect(failures).toEqual([]);
  });
});
