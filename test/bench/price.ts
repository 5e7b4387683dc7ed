// What a request costs with real containers: the CPU of all processes of a contestant, and their memory.

import type { Engine } from "../lab/engine.ts";
import { measured } from "./cell.ts";
import {
  createFor,
  leaveOut,
  ownContestants,
  running,
  type Contestant,
  type Running,
} from "./contestants.ts";
import { cpuTime, jointMemory, withDescendants } from "./processes.ts";
import { inTurns } from "./rounds.ts";
import { firstAnswer, importServices, importSturdy, sturdy } from "./services.ts";
import { row, type Bench, type Row } from "./table.ts";
import { askManyTimes } from "./wrk.ts";

/** The service that is asked for. */
const ASKED = "bench/asked";
const OTHERS = Array.from({ length: 9 }, (_, index) => `bench/price-${index}`);

interface Price {
  /** CPU time of all processes for one request, in microseconds. */
  readonly cpu: number;
  readonly rate: number;
  /** Of all processes, in megabytes. */
  readonly memory: number;
}

/** Part `price`. */
export async function measurePrice({ quick, say, peers, engine: get }: Bench): Promise<Row[]> {
  const engine = await get();
  await importServices(engine, OTHERS);
  await importSturdy(engine, ASKED);
  const results = await inTurns(
    quick ? 2 : 4,
    [...ownContestants(["runtime"]), ...peers],
    async (contestant) => {
      const price = await running(engine, contestant, (started) =>
        priceOf(engine, contestant, started, quick ? 1 : 4),
      );
      say(`${contestant.column} ${JSON.stringify(price)}`);
      return price;
    },
    (entrant, error) => leaveOut(entrant, error, say),
  );
  const cells = (field: keyof Price, unit: string): Row["cells"] =>
    Object.fromEntries(
      [...results].map(([{ column }, all]) => [
        column,
        measured(
          all.map((each) => each[field]),
          unit,
        ),
      ]),
    );
  const count = OTHERS.length + 1;
  return [
    row(`${count} containers: CPU of all processes for one request`, cells("cpu", "µs")),
    row("requests/s meanwhile, on all cores, beside what asks", cells("rate", "/s")),
    row("memory of all processes after that", cells("memory", "MB")),
  ];
}

async function priceOf(
  engine: Engine,
  contestant: Contestant,
  started: Running,
  seconds: number,
): Promise<Price> {
  const { port, pids } = started;
  for (const [image, options] of [
    ...OTHERS.map((name) => [name, { name: name.replace("/", "-") }] as const),
    [ASKED, sturdy(0)] as const,
  ]) {
    await (await createFor(engine, contestant, started, image, options)).start();
  }
  for (const name of [...OTHERS, ASKED]) {
    await firstAnswer({ host: "127.0.0.1", port, target: `/${name}/` }, performance.now());
  }
  const url = `http://127.0.0.1:${port}/${ASKED}/`;
  await askManyTimes(url, 1);
  const all = withDescendants(pids);
  const spent = (): number => all.reduce((sum, pid) => sum + cpuTime(pid), 0);
  const before = spent();
  const { requests, rate } = await askManyTimes(url, seconds);
  return { cpu: ((spent() - before) * 1_000) / requests, rate, memory: jointMemory(all) };
}
