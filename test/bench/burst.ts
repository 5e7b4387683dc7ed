// Fifty services started at once: when all answer, how many reloads, and what others notice.

import { create, removeAll } from "../lab/containers.ts";
import type { Engine } from "../lab/engine.ts";
import type { HaproxyVersion } from "../lab/haproxy.ts";
import { Gateway, WAYS, type Way } from "./gateway.ts";
import { startLoad } from "./load.ts";
import { VERSIONS } from "./machine.ts";
import { ms } from "./numbers.ts";
import { createSturdy, importServices, importSturdy } from "./services.ts";
import type { Bench, Row } from "./table.ts";

const OTHER = "bench/other";
const RATE = 200;
const PATIENCE = 60_000;

interface Outcome {
  /** From the first start call to the last of the first answers, and from the return of the last. */
  readonly total: number;
  readonly afterLast: number;
  readonly reloads: number;
  readonly lost: number;
  readonly sent: number;
  readonly longest: number;
}

/** Part `burst`. */
export async function measureBurst({ quick, say, engine: get }: Bench): Promise<Row[]> {
  const engine = await get();
  const services = Array.from({ length: quick ? 10 : 50 }, (_, index) => `bench/burst-${index}`);
  await importServices(engine, services);
  await importSturdy(engine, OTHER);
  const rows: Row[] = [];
  for (const version of VERSIONS) {
    const outcomes: Partial<Record<Way, Outcome>> = {};
    for (const way of WAYS) {
      const outcome = await startTogether(engine, services, version, way);
      say(`${version} ${way} ${JSON.stringify(outcome)}`);
      outcomes[way] = outcome;
    }
    const { runtime: now, reload: old } = outcomes;
    if (now === undefined || old === undefined) throw new Error("nothing was measured");
    rows.push(
      {
        what: `${services.length} services started at once: all answer, after the first start call (after the last has returned)`,
        version,
        now: `${ms(now.total)} (${ms(now.afterLast)})`,
        old: `${ms(old.total)} (${ms(old.afterLast)})`,
        target: "",
        reached: undefined,
      },
      {
        what: "reloads for that",
        version,
        now: String(now.reloads),
        old: String(old.reloads),
        target: version === "2.6" ? "2" : "0",
        reached: now.reloads <= (version === "2.6" ? 2 : 0),
      },
      {
        what: `requests lost on another route meanwhile, at ${RATE}/s on new connections (longest)`,
        version,
        now: `${now.lost} of ${now.sent} (${ms(now.longest)})`,
        old: `${old.lost} of ${old.sent} (${ms(old.longest)})`,
        target: "0",
        reached: now.lost === 0,
      },
    );
  }
  return rows;
}

async function startTogether(
  engine: Engine,
  services: readonly string[],
  version: HaproxyVersion,
  way: Way,
): Promise<Outcome> {
  const gateway = await Gateway.start({ dockerHost: engine.dockerHost, version, way });
  try {
    await (await createSturdy(engine, OTHER, 0)).start();
    await gateway.answers(`/${OTHER}/`);
    const containers = [];
    for (const service of services) {
      containers.push(await create(engine, service, { name: service.replace("/", "-") }));
    }
    const reloads = gateway.reloads.length;
    const load = startLoad({
      port: gateway.port,
      path: `/${OTHER}/`,
      rate: RATE,
      count: 0,
      keepAlive: false,
    });
    const since = performance.now();
    let lastReturned = 0;
    const starting = Promise.all(containers.map((container) => container.start())).then(() => {
      lastReturned = performance.now();
    });
    const allAnswer = awaitAll(gateway, services);
    await Promise.all([starting, allAnswer]);
    const end = await allAnswer;
    load.end();
    const { failed, sent, longest } = await load.result;
    return {
      total: end - since,
      afterLast: Math.max(0, end - lastReturned),
      reloads: gateway.reloads.length - reloads,
      lost: failed,
      sent,
      longest,
    };
  } catch (error) {
    throw new Error(`with the gateway's log:\n${gateway.log}`, { cause: error });
  } finally {
    await removeAll(engine);
    await gateway.stop();
  }
}

/** Asks one after the other, as many at a time would be a load of their own; gives the time. */
async function awaitAll(gateway: Gateway, services: readonly string[]): Promise<number> {
  const missing = new Set(services);
  const end = performance.now() + PATIENCE;
  while (missing.size > 0) {
    for (const service of missing) {
      const answer = await gateway.get(`/${service}/`, 1_000).catch(() => undefined);
      if (answer?.status === 200) missing.delete(service);
    }
    if (performance.now() > end) throw new Error(`no answer of ${[...missing].join(", ")}`);
    await Bun.sleep(5);
  }
  return performance.now();
}
