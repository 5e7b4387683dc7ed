// Requests that kill the container that takes them: how far one of them gets.

import { afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { removeAll, run, type Container } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { closeGateways, startGateway, type Gateway } from "./gateway.ts";

setDefaultTimeout(120_000);

const REPLICAS = 4;
const TARGET = "/kill/me/";

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "kill/me:1", { expose: [8000] });
});

afterEach(async () => {
  closeGateways();
  await removeAll(engine);
});

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  test.each(["before the gateway", "while it runs"])(
    "containers that start %s: a GET kills two of them, anything else one",
    async (when) => {
      const startAll = (): Promise<Container[]> =>
        Promise.all(Array.from({ length: REPLICAS }, () => run(engine, "kill/me:1")));
      const early = when === "while it runs" ? undefined : await startAll();
      const gateway = await startGateway({ version, dockerHost: engine.dockerHost });
      if (early === undefined) await gateway.answers(TARGET, 403);
      const containers = early ?? (await startAll());
      await allServe(gateway, containers);

      expect(await outcomeOf(gateway, "DELETE")).toBe("502");
      const left = await living(containers, REPLICAS - 1);
      await allServe(gateway, left);
      expect(await outcomeOf(gateway, "GET")).toContain("closed the connection");
      const [last] = await living(containers, REPLICAS - 3);
      await gateway.served(TARGET, last?.name);
    },
  );

  test("the only container of a restart policy: the GET is over, and the next one is served", async () => {
    const gateway = await startGateway({ version, dockerHost: engine.dockerHost });
    const only = await run(engine, "kill/me:1", { restart: "always" });
    await gateway.served(TARGET, only.name);
    await outcomeOf(gateway, "GET");
    await gateway.served(TARGET, only.name);
  });
});

/** Waits until each of these answers, and no other. */
async function allServe(gateway: Gateway, containers: readonly Container[]): Promise<void> {
  const expected = containers.map(({ name }) => name).toSorted();
  await gateway.until(async () => {
    const names = new Set<string>();
    for (let count = 0; count < 2 * REPLICAS; count++) {
      names.add((await gateway.served(TARGET)).name);
    }
    expect([...names].toSorted()).toEqual(expected);
  });
}

/** The status of the answer to a request that kills, or what became of it. */
function outcomeOf(gateway: Gateway, method: string): Promise<string> {
  return gateway.get(`${TARGET}die`, { method, timeoutMs: 20_000 }).then(
    ({ status }) => String(status),
    (error: unknown) => String(error),
  );
}

/** The containers that still run, which must become so many and stay so many. */
async function living(containers: readonly Container[], count: number): Promise<Container[]> {
  const alive = async (): Promise<Container[]> => {
    const states = await Promise.all(containers.map((each) => each.inspect()));
    return containers.filter((_, index) => states[index]?.State.Running);
  };
  const deadline = Date.now() + 10_000;
  while ((await alive()).length > count && Date.now() < deadline) await Bun.sleep(20);
  // A request that went on would kill more within milliseconds.
  await Bun.sleep(300);
  const left = await alive();
  expect(left).toHaveLength(count);
  return left;
}
