// What the gateway itself costs: CPU for a change, idling, starting.

import { measured, said } from "./cell.ts";
import { columnOf } from "./contestants.ts";
import { ms, digits, median } from "./numbers.ts";
import { Gateway, WAYS, type Way } from "./gateway.ts";
import type { PlayedEngine } from "../lab/played-engine.ts";
import { playedContainer, playEngine } from "./played.ts";
import { childrenTime, cpuTime } from "./processes.ts";
import { inTurns } from "./rounds.ts";
import { row, type Bench, type Row } from "./table.ts";
import { startTinyServer } from "./tiny.ts";

const VERSION = "3.4";
const SIZES = [10, 1_000, 5_000];
/** A container that is there from the start. */
const FIRST = "/bench/app-0/";
/** Changed services have other names than those that stay. */
const CHANGING = 20_000;
/** After so long without a change the gateway is at rest, in milliseconds. */
const QUIET = 15_000;
/** Bun looks after its memory every second until so long after the last change, in milliseconds. */
const AT_REST = 40_000;
/** So many services take turns in coming and going. */
const TURNS = 50;

interface Cost {
  /** CPU time of the gateway for one change, in milliseconds. */
  readonly cpu: number;
  /** CPU time of the programs it runs, such as the check of the new files. */
  readonly children: number;
  /** From the event to HAProxy serving it. */
  readonly live: number;
}

/** Part `cost`. */
export async function measureCost({ quick, say }: Bench): Promise<Row[]> {
  const server = await startTinyServer();
  try {
    return [
      ...(await changeRows(server.port, quick, say)),
      ...(await idleRows(server.port, quick, say)),
      ...(await startRows(server.port, quick, say)),
    ];
  } finally {
    await server.stop();
  }
}

async function changeRows(port: number, quick: boolean, say: Bench["say"]): Promise<Row[]> {
  const entrants = SIZES.flatMap((size) => WAYS.map((way) => ({ size, way })));
  const pairs = { runtime: quick ? 10 : 50, reload: quick ? 3 : 5 };
  const results = await inTurns(quick ? 1 : 2, entrants, async ({ size, way }) => {
    const cost = await withGateway(size, port, way, (gateway, engine) =>
      changes(gateway, engine, port, pairs[way]),
    );
    say(`${size} containers, ${way}: ${JSON.stringify(cost)}`);
    return cost;
  });
  const medianOf = (size: number, way: Way): Cost => {
    const all = [...results].flatMap(([entrant, costs]) =>
      entrant.size === size && entrant.way === way ? costs : [],
    );
    const of = (field: keyof Cost): number => median(all.map((cost) => cost[field]));
    return { cpu: of("cpu"), children: of("children"), live: of("live") };
  };
  const cpus = SIZES.map((size) => medianOf(size, "runtime").cpu);
  const factor = Math.max(...cpus) / Math.min(...cpus);
  return [
    ...SIZES.map((size) =>
      row(
        `one change among ${size.toLocaleString("en-US")} containers: CPU of the gateway (and of \`haproxy -c\`), until live`,
        Object.fromEntries(
          WAYS.map((way) => [columnOf(VERSION, way), said(show(medianOf(size, way)))]),
        ),
      ),
    ),
    {
      what: "the dearest of these, times the cheapest",
      cells: { [VERSION]: said(`${digits(factor)} x`) },
      target: "3 x",
      reached: factor <= 3,
    },
  ];
}

function show({ cpu, children, live }: Cost): string {
  return `${ms(cpu)} (${ms(children)}), ${ms(live)}`;
}

/** A container of a new service starts, and ends; each is waited for until the files are written. */
async function changes(
  gateway: Gateway,
  engine: PlayedEngine,
  port: number,
  pairs: number,
): Promise<Cost> {
  const cpus: number[] = [];
  const lives: number[] = [];
  let children = 0;
  // The first ones are dearer: code is compiled that runs for the first time.
  for (let turn = -3; turn < pairs; turn++) {
    const container = playedContainer(CHANGING + ((turn + 3) % TURNS), port);
    const change = async (event: "routed" | "removed", make: () => void): Promise<void> => {
      const before = cpuTime(gateway.pid);
      const [written, started] = [gateway.written(), performance.now()];
      const told = gateway.says(event, container.id);
      make();
      await told;
      const live = performance.now() - started;
      await gateway.settled(written);
      if (turn < 0) return;
      lives.push(live);
      cpus.push(cpuTime(gateway.pid) - before);
    };
    await change("routed", () => engine.add(container));
    await change("removed", () => engine.remove(container.id));
    if (turn === -1) children = childrenTime(gateway.pid);
  }
  return {
    // The mean of all starts and all stops, without those that met the minute's resync.
    cpu: trimmedMean(cpus),
    children: (childrenTime(gateway.pid) - children) / (pairs * 2),
    live: median(lives),
  };
}

/** The mean without the dearest twentieth. */
function trimmedMean(values: readonly number[]): number {
  const kept = values.toSorted((a, b) => a - b).slice(0, Math.ceil(values.length * 0.95));
  return kept.reduce((sum, value) => sum + value, 0) / kept.length;
}

async function idleRows(port: number, quick: boolean, say: Bench["say"]): Promise<Row[]> {
  // Once a minute everything is read again: a whole minute has its share of that.
  const seconds = quick ? 15 : 60;
  const percent = await withGateway(100, port, "runtime", async (gateway) => {
    await Bun.sleep(quick ? QUIET : AT_REST);
    const before = cpuTime(gateway.pid);
    await Bun.sleep(seconds * 1_000);
    return (cpuTime(gateway.pid) - before) / (seconds * 10);
  });
  say(`idle ${percent} %`);
  return [
    {
      what: `idle with 100 containers, over ${seconds} s: CPU`,
      cells: { [VERSION]: said(`${percent.toFixed(3)} %`) },
      target: "0.2 %",
      reached: percent < 0.2,
    },
  ];
}

async function startRows(port: number, quick: boolean, say: Bench["say"]): Promise<Row[]> {
  const engine = playEngine(100, port);
  const times: number[] = [];
  try {
    for (let round = 0; round < (quick ? 3 : 10); round++) {
      const started = performance.now();
      const gateway = await Gateway.start({
        dockerHost: engine.dockerHost,
        version: VERSION,
        way: "runtime",
      });
      try {
        await gateway.answers(FIRST, 200, 1);
        times.push(performance.now() - started);
      } finally {
        await gateway.stop();
      }
    }
  } finally {
    await engine.stop();
  }
  say(`start to first 200: ${times.map(Math.round).join(" ")} ms`);
  return [
    row("started with 100 containers -> first 200, HAProxy's own start included", {
      [VERSION]: measured(times, "ms"),
    }),
  ];
}

async function withGateway<T>(
  containers: number,
  port: number,
  way: Way,
  task: (gateway: Gateway, engine: PlayedEngine) => Promise<T>,
): Promise<T> {
  const engine = playEngine(containers, port);
  const gateway = await Gateway.start({ dockerHost: engine.dockerHost, version: VERSION, way });
  try {
    await gateway.answers(FIRST);
    return await task(gateway, engine);
  } finally {
    await gateway.stop();
    await engine.stop();
  }
}
