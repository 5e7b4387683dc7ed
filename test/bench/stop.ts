// Replicas of a service are replaced one by one under load: what fails, what stalls.

import { setTimeout as sleep } from "node:timers/promises";
import { removeAll, type Container } from "../lab/containers.ts";
import type { Engine } from "../lab/engine.ts";
import type { HaproxyVersion } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { Gateway, WAYS, type Way } from "./gateway.ts";
import { startLoad, type LoadResult } from "./load.ts";
import { VERSIONS } from "./machine.ts";
import { ms } from "./numbers.ts";
import { answersDirectly, createSturdy, importSturdy } from "./services.ts";
import type { Bench, Row } from "./table.ts";

const IMAGE = "bench/replicated";
const REPLICAS = 3;
const RATE = 500;

interface Case {
  /** How many seconds a container goes on after it is told to end. */
  readonly grace: number;
  readonly keepAlive: boolean;
}

interface Outcome extends LoadResult {
  readonly replaced: number;
}

const CASES: readonly Case[] = [0, 2].flatMap((grace) => [
  { grace, keepAlive: false },
  { grace, keepAlive: true },
]);

/** Part `stop`. */
export async function measureStop({ quick, say, engine: get }: Bench): Promise<Row[]> {
  const engine = await get();
  await importSturdy(engine, IMAGE);
  const requests = quick ? 2_500 : 10_000;
  const rows: Row[] = [];
  for (const version of VERSIONS) {
    const outcomes = new Map<string, Outcome>();
    for (const way of WAYS) {
      for (const each of CASES) {
        const outcome = await replaceUnderLoad(engine, version, way, each, requests);
        say(`${version} ${way} ${JSON.stringify({ ...each, ...outcome })}`);
        outcomes.set(way + JSON.stringify(each), outcome);
      }
    }
    for (const each of CASES) {
      const now = outcomes.get(`runtime${JSON.stringify(each)}`);
      const old = outcomes.get(`reload${JSON.stringify(each)}`);
      rows.push({
        what: `${REPLICAS} replicas replaced one by one, ending ${each.grace === 0 ? "at once" : `${each.grace} s after SIGTERM`}, ${RATE} requests/s on ${each.keepAlive ? "kept-alive" : "new"} connections: failed + stalled of ${requests.toLocaleString("en-US")} (longest; replacements)`,
        version,
        now: show(now),
        old: show(old),
        target: "0 + 0",
        reached: now?.failed === 0 && now.stalled === 0,
      });
    }
  }
  return rows;
}

function show(outcome: Outcome | undefined): string {
  if (outcome === undefined) return "-";
  const { failed, stalled, longest, replaced } = outcome;
  return `${failed} + ${stalled} (${ms(longest)}; ${replaced})`;
}

async function replaceUnderLoad(
  engine: Engine,
  version: HaproxyVersion,
  way: Way,
  { grace, keepAlive }: Case,
  requests: number,
): Promise<Outcome> {
  const gateway = await Gateway.start({ dockerHost: engine.dockerHost, version, way });
  try {
    const replicas: Container[] = [];
    for (let count = 0; count < REPLICAS; count++) replicas.push(await startOne(engine, grace));
    await gateway.answers(`/${IMAGE}/`);
    await sleep(500);
    const load = startLoad({
      port: gateway.port,
      path: `/${IMAGE}/`,
      rate: RATE,
      count: requests,
      keepAlive,
    });
    const done = new AbortController();
    const result = load.result.finally(() => done.abort());
    let replaced = 0;
    const replacing = async (): Promise<void> => {
      while (!done.signal.aborted) {
        replicas.push(await startOne(engine, grace));
        const old = replicas.shift();
        await old?.stop();
        await old?.remove();
        replaced++;
      }
    };
    const [outcome] = await Promise.all([result, replacing()]);
    return { ...outcome, replaced };
  } catch (error) {
    throw new Error(`with the gateway's log:\n${gateway.log}`, { cause: error });
  } finally {
    await removeAll(engine);
    await gateway.stop();
  }
}

/** Starts a replica and waits until it answers, as a careful deployment does. */
async function startOne(engine: Engine, grace: number): Promise<Container> {
  const container = await createSturdy(engine, IMAGE, grace);
  await container.start();
  await eventually(async () => {
    if (!(await answersDirectly(container))) throw new Error(`${container.name} does not answer`);
  });
  return container;
}
