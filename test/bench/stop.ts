// Replicas of a service are replaced one by one under load: what fails, what stalls.

import { setTimeout as sleep } from "node:timers/promises";
import type { Container } from "../lab/containers.ts";
import type { Engine } from "../lab/engine.ts";
import { eventually } from "../lab/http.ts";
import { said, type Cell } from "./cell.ts";
import {
  createFor,
  leaveOut,
  ownContestants,
  running,
  type Contestant,
  type Running,
} from "./contestants.ts";
import { startLoad, type LoadResult } from "./load.ts";
import { VERSIONS } from "./machine.ts";
import { ms } from "./numbers.ts";
import { inTurns } from "./rounds.ts";
import { answersDirectly, firstAnswer, importSturdy, sturdy } from "./services.ts";
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
export async function measureStop({ quick, say, peers, engine: get }: Bench): Promise<Row[]> {
  const engine = await get();
  await importSturdy(engine, IMAGE);
  const rounds = quick ? 1 : 2;
  const requests = quick ? 2_500 : 5_000;
  const entrants = [...ownContestants(), ...peers];
  const rows: Row[] = [];
  for (const each of CASES) {
    const results = await inTurns(
      rounds,
      entrants,
      async (contestant) => {
        const outcome = await running(engine, contestant, (started) =>
          replaceUnderLoad(engine, contestant, started, each, requests),
        );
        say(`${contestant.column} ${JSON.stringify({ ...each, ...outcome })}`);
        return outcome;
      },
      (entrant, error) => leaveOut(entrant, error, say),
    );
    const all = (rounds * requests).toLocaleString("en-US");
    rows.push({
      what: `${REPLICAS} replicas replaced one by one, ending ${each.grace === 0 ? "at once" : `${each.grace} s after SIGTERM`}, ${RATE} requests/s on ${each.keepAlive ? "kept-alive" : "new"} connections: failed + stalled of ${all} (longest; replacements)`,
      cells: Object.fromEntries([...results].map(([{ column }, own]) => [column, toCell(own)])),
      target: "0 + 0",
      reached: [...results].every(
        ([{ column }, own]) =>
          !VERSIONS.some((version) => version === column) ||
          own.every(({ failed, stalled }) => failed === 0 && stalled === 0),
      ),
    });
  }
  return rows;
}

function toCell(outcomes: readonly Outcome[]): Cell {
  const sum = (of: (outcome: Outcome) => number): number =>
    outcomes.reduce((total, outcome) => total + of(outcome), 0);
  const longest = ms(Math.max(...outcomes.map((outcome) => outcome.longest)));
  const lost = `${sum(({ failed }) => failed)} + ${sum(({ stalled }) => stalled)}`;
  return said(`${lost} (${longest}; ${sum(({ replaced }) => replaced)})`);
}

async function replaceUnderLoad(
  engine: Engine,
  contestant: Contestant,
  started: Running,
  { grace, keepAlive }: Case,
  requests: number,
): Promise<Outcome> {
  const startOne = (): Promise<Container> => startReplica(engine, contestant, started, grace);
  const [port, path] = [started.port, `/${IMAGE}/`];
  const replicas: Container[] = [];
  for (let count = 0; count < REPLICAS; count++) replicas.push(await startOne());
  await firstAnswer({ host: "127.0.0.1", port, target: path }, performance.now());
  await sleep(500);
  const load = startLoad({ port, path, rate: RATE, count: requests, keepAlive });
  const done = new AbortController();
  const result = load.result.finally(() => done.abort());
  let replaced = 0;
  const replacing = async (): Promise<void> => {
    while (!done.signal.aborted) {
      replicas.push(await startOne());
      const old = replicas.shift();
      await old?.stop();
      await old?.remove();
      replaced++;
    }
  };
  const [outcome] = await Promise.all([result, replacing()]);
  return { ...outcome, replaced };
}

/** Starts a replica and waits until it answers, as a careful deployment does. */
async function startReplica(
  engine: Engine,
  contestant: Contestant,
  started: Running,
  grace: number,
): Promise<Container> {
  const container = await createFor(engine, contestant, started, IMAGE, sturdy(grace));
  await container.start();
  await eventually(async () => {
    if (!(await answersDirectly(container))) throw new Error(`${container.name} does not answer`);
  });
  return container;
}
