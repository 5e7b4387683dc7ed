// What the gateway itself costs: CPU for a change, memory over many changes, idling, starting.

import { ms, digits, median } from "./numbers.ts";
import { Gateway, type Way } from "./gateway.ts";
import type { PlayedEngine } from "../lab/played-engine.ts";
import { playedContainer, playEngine } from "./played.ts";
import { childrenTime, cpuTime, residentMemory } from "./processes.ts";
import type { Bench, Row } from "./table.ts";
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
      ...(await memoryRows(server.port, quick, say)),
      ...(await idleRows(server.port, quick, say)),
      ...(await startRows(server.port, quick, say)),
    ];
  } finally {
    await server.stop();
  }
}

async function changeRows(port: number, quick: boolean, say: Bench["say"]): Promise<Row[]> {
  const rows: Row[] = [];
  const costs: Cost[] = [];
  for (const size of SIZES) {
    const measure = (way: Way, pairs: number): Promise<Cost> =>
      withGateway(size, port, way, (gateway, engine) => changes(gateway, engine, port, pairs));
    const now = await measure("runtime", quick ? 10 : 100);
    const old = await measure("reload", quick ? 3 : 10);
    costs.push(now);
    say(`${size} containers: ${JSON.stringify({ now, old })}`);
    rows.push({
      what: `one change among ${size.toLocaleString("en-US")} containers: CPU of the gateway (and of \`haproxy -c\`), until live`,
      version: VERSION,
      now: show(now),
      old: show(old),
      target: "",
      reached: undefined,
    });
  }
  const cpus = costs.map(({ cpu }) => cpu);
  const factor = Math.max(...cpus) / Math.min(...cpus);
  rows.push({
    what: "the dearest of these, times the cheapest",
    version: VERSION,
    now: `${digits(factor)} x`,
    old: "",
    target: "3 x",
    reached: factor <= 3,
  });
  return rows;
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
      const [written, started] = [gateway.written, performance.now()];
      const said = gateway.says(event, container.id);
      make();
      await said;
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

async function memoryRows(port: number, quick: boolean, say: Bench["say"]): Promise<Row[]> {
  const total = quick ? 1_000 : 10_000;
  const early = 100;
  const sizes = await withGateway(10, port, "runtime", async (gateway, engine) => {
    let [count, peak] = [0, 0];
    const changeUntil = async (end: number): Promise<number> => {
      for (; count < end; count += 2) {
        const container = playedContainer(CHANGING + ((count / 2) % TURNS), port);
        const routed = gateway.says("routed", container.id);
        engine.add(container);
        await routed;
        const removed = gateway.says("removed", container.id);
        engine.remove(container.id);
        await removed;
        peak = Math.max(peak, residentMemory(gateway.pid));
      }
      // Garbage of hundreds of changes a second is given back when it is quiet again.
      await Bun.sleep(QUIET);
      return residentMemory(gateway.pid);
    };
    const before = await changeUntil(early);
    const after = await changeUntil(total);
    return { before, after, peak, reloads: gateway.reloads.slice(1) };
  });
  say(`memory in MB: ${JSON.stringify(sizes)}`);
  const { before, after, peak, reloads } = sizes;
  return [
    {
      what: `resident memory ${QUIET / 1_000} s after ${total.toLocaleString("en-US")} changes in a row, over that after ${early} (at the most meanwhile; reloads)`,
      version: VERSION,
      now: `${digits(after)} - ${digits(before)} = ${digits(after - before)} MB (${digits(peak)} MB; ${reloads.length})`,
      old: "",
      target: "20 MB",
      reached: after - before <= 20,
    },
  ];
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
      version: VERSION,
      now: `${percent.toFixed(3)} %`,
      old: "",
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
    {
      what: "started with 100 containers -> first 200, HAProxy's own start included",
      version: VERSION,
      now: ms(median(times)),
      old: "",
      target: "",
      reached: undefined,
    },
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
