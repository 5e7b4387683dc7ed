// Fifty services started at once: when all answer, how many reloads, and what others notice.

import type { Engine } from "../lab/engine.ts";
import { request } from "../lab/http.ts";
import { measured, said, type Cell } from "./cell.ts";
import {
  createFor,
  leaveOut,
  ownContestants,
  running,
  type Contestant,
  type Running,
} from "./contestants.ts";
import { startLoad } from "./load.ts";
import { inTurns } from "./rounds.ts";
import { firstAnswer, importServices, importSturdy, sturdy } from "./services.ts";
import { VERSIONS } from "./machine.ts";
import { ms } from "./numbers.ts";
import type { Bench, Column, Row } from "./table.ts";

const OTHER = "bench/other";
const RATE = 200;
const PATIENCE = 60_000;
/** The most reloads on each version. */
const RELOADS = { "2.6": 2, "3.4": 0 } as const;

interface Outcome {
  /** From the first start call to the last of the first answers, and from the return of the last. */
  readonly total: number;
  readonly afterLast: number;
  readonly reloads: number | undefined;
  readonly lost: number;
  readonly sent: number;
  readonly longest: number;
}

/** Part `burst`. */
export async function measureBurst({ quick, say, peers, engine: get }: Bench): Promise<Row[]> {
  const engine = await get();
  const services = Array.from({ length: quick ? 10 : 50 }, (_, index) => `bench/burst-${index}`);
  await importServices(engine, services);
  await importSturdy(engine, OTHER);
  const outcomes = await inTurns(
    quick ? 1 : 3,
    [...ownContestants(), ...peers],
    async (contestant) => {
      const outcome = await running(engine, contestant, (started) =>
        startTogether(engine, contestant, started, services),
      );
      say(`${contestant.column} ${JSON.stringify(outcome)}`);
      return outcome;
    },
    (entrant, error) => leaveOut(entrant, error, say),
  );
  const byColumn = new Map([...outcomes].map(([{ column }, own]) => [column, own]));
  const cells = (toCell: (own: readonly Outcome[]) => Cell | undefined): Row["cells"] =>
    Object.fromEntries(
      [...byColumn].flatMap(([column, own]) => {
        const cell = toCell(own);
        return cell === undefined ? [] : [[column, cell]];
      }),
    );
  const all = (column: Column, isGood: (outcome: Outcome) => boolean): boolean =>
    byColumn.get(column)?.every(isGood) === true;
  return [
    {
      what: `${services.length} services started at once: all answer, after the first start call`,
      cells: cells((own) =>
        measured(
          own.map(({ total }) => total),
          "ms",
        ),
      ),
      target: "",
      reached: undefined,
    },
    {
      what: "the same, after the last start call has returned",
      cells: cells((own) =>
        measured(
          own.map(({ afterLast }) => afterLast),
          "ms",
        ),
      ),
      target: "",
      reached: undefined,
    },
    {
      what: "reloads for that",
      cells: cells((own) => {
        const reloads = own.flatMap((each) => each.reloads ?? []);
        return reloads.length === 0 ? undefined : said([...new Set(reloads)].join(", "));
      }),
      target: `at most ${RELOADS["2.6"]} and ${RELOADS["3.4"]}`,
      reached: VERSIONS.every((version) =>
        all(version, ({ reloads = Infinity }) => reloads <= RELOADS[version]),
      ),
    },
    {
      what: `requests lost on another route meanwhile, at ${RATE}/s on new connections (longest)`,
      cells: cells((own) => {
        const [lost, sent] = [own.map((each) => each.lost), own.map((each) => each.sent)].map(sum);
        return said(`${lost} of ${sent} (${ms(Math.max(...own.map(({ longest }) => longest)))})`);
      }),
      target: "0",
      reached: VERSIONS.every((version) => all(version, ({ lost }) => lost === 0)),
    },
  ];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, each) => total + each, 0);
}

async function startTogether(
  engine: Engine,
  contestant: Contestant,
  started: Running,
  services: readonly string[],
): Promise<Outcome> {
  const { port } = started;
  await (await createFor(engine, contestant, started, OTHER, sturdy(0))).start();
  await firstAnswer({ host: "127.0.0.1", port, target: `/${OTHER}/` }, performance.now());
  const containers = [];
  for (const service of services) {
    const name = service.replace("/", "-");
    containers.push(await createFor(engine, contestant, started, service, { name }));
  }
  const before = started.reloads ?? 0;
  const load = startLoad({ port, path: `/${OTHER}/`, rate: RATE, count: 0, keepAlive: false });
  const since = performance.now();
  let lastReturned = 0;
  const starting = Promise.all(containers.map((container) => container.start())).then(() => {
    lastReturned = performance.now();
  });
  const allAnswer = awaitAll(port, services);
  await Promise.all([starting, allAnswer]);
  const end = await allAnswer;
  load.end();
  const { failed, sent, longest } = await load.result;
  const { reloads } = started;
  return {
    total: end - since,
    afterLast: Math.max(0, end - lastReturned),
    reloads: reloads === undefined ? undefined : reloads - before,
    lost: failed,
    sent,
    longest,
  };
}

/** Asks one after the other, as many at a time would be a load of their own; gives the time. */
async function awaitAll(port: number, services: readonly string[]): Promise<number> {
  const missing = new Set(services);
  const end = performance.now() + PATIENCE;
  while (missing.size > 0) {
    for (const service of missing) {
      const answer = await request({ port, target: `/${service}/`, timeoutMs: 1_000 }).catch(
        () => undefined,
      );
      if (answer?.status === 200) missing.delete(service);
    }
    if (performance.now() > end) throw new Error(`no answer of ${[...missing].join(", ")}`);
    await Bun.sleep(5);
  }
  return performance.now();
}
