// Most replicas of a service go in one moment, in whatever way: the one that stays takes it all.

import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { removeAll, run, type Container } from "../lab/containers.ts";
import { sharedEngine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { closeGateways, startGateway } from "./gateway.ts";
import { states } from "./running-haproxy.ts";
import { Traffic } from "./traffic.ts";

setDefaultTimeout(120_000);

const REPLICAS = 6;
const ROUNDS = 2;
/**
 * Docker tells of a crash some 100 ms later. Until then requests that go round the servers in step
 * with one another may meet dead ones only, though hardly ever.
 */
const ALLOWED_SHARE = 0.005;
/** So many may have been at two containers that end. */
const GIVEN_UP_SHARE = 0.02;

afterEach(async () => {
  closeGateways();
  await removeAll(await sharedEngine());
});

const WAYS: Readonly<Record<string, (container: Container) => Promise<unknown>>> = {
  stopped: (container) => container.stop(),
  killed: (container) => container.kill("SIGKILL"),
  crashed: async (container) => process.kill((await container.inspect()).State.Pid, "SIGKILL"),
};

function isGivenUp(failure: string): boolean {
  return failure.endsWith('closed the connection after ""');
}

describe.each(haproxyVersions())("all but one at once, HAProxy %s", (version) => {
  test.each(Object.entries(WAYS))("%s", async (_, end) => {
    const engine = await sharedEngine();
    await importImage(engine, "many:1", { expose: [8000] });
    const gateway = await startGateway({ version, dockerHost: engine.dockerHost });
    const start = (): Promise<Container> => run(engine, "many:1");
    const stays = await start();
    await gateway.served("/many/", stays.name);
    const traffic = new Traffic({ port: gateway.port, target: "/many/", perSecond: 150 });
    for (let round = 0; round < ROUNDS; round++) {
      const others = await Promise.all(Array.from({ length: REPLICAS - 1 }, start));
      await gateway.until(async () => {
        const all = Object.values(await states(gateway));
        expect(all).toEqual(Array.from({ length: REPLICAS }, () => "UP"));
      });
      await Promise.all(others.map(end));
      await gateway.until(async () => {
        expect(Object.values(await states(gateway))).toEqual(["UP"]);
      });
    }
    const { failures, requests } = await traffic.stop();
    // A GET that two containers left without an answer, as both ended with it, is given up: it may be
    // what ends them. Its connection is closed.
    const [given, lost] = [failures.filter(isGivenUp), failures.filter((each) => !isGivenUp(each))];
    if (lost.length > requests * ALLOWED_SHARE) expect(lost).toEqual([]);
    if (given.length > requests * GIVEN_UP_SHARE) expect(given).toEqual([]);
    expect(requests).toBeGreaterThan(100);
  });
});
