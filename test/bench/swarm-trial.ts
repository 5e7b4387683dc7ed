// A gateway beside a large played swarm that changes: whether HAProxy is right, how soon, and what that costs.

import { join } from "node:path";
import { Churn } from "../lab/churn.ts";
import type { HaproxyVersion } from "../lab/haproxy.ts";
import { labDir } from "../lab/leftovers.ts";
import { FIRST_PORT, PlayedSwarm, PORTS, type SwarmSize } from "../lab/played-swarm.ts";
import { freePort } from "../lab/ports.ts";
import { describeTimed, Rightness } from "../lab/rightness.ts";
import { eventually } from "../lab/http.ts";
import { pause } from "../../src/lib/async.ts";
import { Gateway } from "./gateway.ts";
import { median } from "./numbers.ts";
import { childrenTime, cpuTime, ownMemory } from "./processes.ts";
import { startTinyServer } from "./tiny.ts";

/** Thousands of servers take HAProxy seconds to start with, and a busy machine longer. */
const PATIENCE = 60_000;
/** What a manager that is slow takes for an answer besides, in milliseconds. */
const SLOW = 100;
/** How often memory is looked at, in milliseconds. */
const SAMPLE_EVERY = 500;

export interface Trial extends SwarmSize {
  readonly version: HaproxyVersion;
  /** How many changes a second. */
  readonly rate: number;
  readonly seconds: number;
  /** So long it is waited after the start, and then looked how it is in calm; in seconds each. */
  readonly rest: number;
  /** A node is lost so often, for half of that time each; in seconds. */
  readonly lossEvery: number;
  /** HAProxy is to be right so soon after a change, in milliseconds. */
  readonly soon: number;
  /** Tells how it goes. */
  readonly say: (line: string) => void;
}

/** What the gateway took in a time. */
interface Cost {
  /** CPU time for a second, in milliseconds: the gateway's, and that of the checks of files. */
  readonly cpu: number;
  readonly checks: number;
  /** What it was told in a second, in megabytes. */
  readonly told: number;
  readonly passes: number;
  /** CPU time of the gateway for each pass, with all that it does beside. */
  readonly cpuOfPass: number;
}

export interface Outcome {
  readonly calm: Cost;
  readonly changing: Cost;
  /** Memory of the gateway's own in the second quarter of the time and in the last one, the median, in megabytes. */
  readonly memory: readonly [number, number];
  readonly changes: number;
  /** What it was told for each change, in megabytes. */
  readonly toldOfChange: number;
  /** How long each change took until HAProxy was right, in milliseconds: new servers, and those that go. */
  readonly served: readonly number[];
  readonly out: readonly number[];
  /** The same while the manager was slow, of both. */
  readonly slow: readonly number[];
  /** Those that took longer than `soon`, in words. */
  readonly late: readonly string[];
  /** Why HAProxy was reloaded, but for its start. */
  readonly reloads: readonly string[];
  /** What HAProxy has at the end and should not, or has not. */
  readonly wrong: readonly string[];
}

/** Runs it. */
export async function tryLargeSwarm(trial: Trial): Promise<Outcome> {
  const { version, rest, soon, say } = trial;
  const server = await startTinyServer({ first: FIRST_PORT, count: PORTS });
  const swarm = await PlayedSwarm.start(join(labDir("s"), "docker.sock"), trial);
  const admin = await freePort();
  const gateway = await Gateway.start({
    dockerHost: swarm.dockerHost,
    version,
    way: "runtime",
    flags: ["--admin", `127.0.0.1:${admin}`],
  });
  const right = new Rightness(swarm, gateway.output.replace(/cfg$/, "admin.sock"));
  try {
    await gateway.answers("/acme/app-0/");
    await eventually(
      async () => {
        const wrong = await right.audit();
        if (wrong.length > 0) throw new Error(`at first: ${wrong.slice(0, 5).join(", ")}`);
      },
      { timeoutMs: PATIENCE, everyMs: 500 },
    );
    const costs = new Costs(gateway, swarm, admin);
    // The start still goes on: files are checked, and code is compiled.
    await pause(rest * 1_000);
    await costs.begin();
    await pause(rest * 1_000);
    const calm = await costs.end();
    say(`calm: ${JSON.stringify(calm)}`);
    const before = gateway.reloads.length;
    const began = performance.now();
    const made = await change(trial, swarm, gateway, right, costs);
    say(`changing: ${JSON.stringify(made.changing)}, ${made.memory.join(" and ")} MB`);
    const unsettled = await right.settle(PATIENCE);
    const late = right.times
      .filter(({ ms }) => ms > soon)
      .map((each) => `at ${Math.round((each.since - began) / 1_000)} s: ${describeTimed(each)}`);
    const timesOf = (what: string): number[] =>
      right.times.filter((each) => each.what === what).map(({ ms }) => ms);
    return {
      ...made,
      calm,
      served: timesOf("in"),
      out: timesOf("out"),
      late,
      reloads: gateway.reloads.slice(before),
      wrong: [...unsettled, ...(await right.audit())],
    };
  } finally {
    await right.stop();
    await gateway.stop();
    await swarm.stop();
    await server.stop();
  }
}

/** Changes the swarm for the whole time. In its last quarter the manager is slow. */
async function change(
  { rate, seconds, lossEvery, say }: Trial,
  swarm: PlayedSwarm,
  gateway: Gateway,
  right: Rightness,
  costs: Costs,
): Promise<Pick<Outcome, "changing" | "memory" | "changes" | "toldOfChange" | "slow">> {
  const churn = new Churn(swarm, rate);
  const ended = new AbortController();
  swarm.onChange = (task) => {
    churn.note(task);
    right.note(task);
  };
  const losing = loseNodes(swarm, lossEvery, ended.signal);
  await costs.begin();
  const quarter = (seconds / 4) * 1_000;
  await churn.run(quarter);
  const second = await memoryDuring(gateway.pid, () => churn.run(quarter));
  await churn.run(quarter);
  const changing = await costs.end();
  const toldOfChange = costs.told / churn.changes;
  say(`begun: ${JSON.stringify(churn.begun)}, ${churn.changes} changes`);
  const count = right.times.length;
  const { slowness } = swarm;
  swarm.slowness = { ...slowness, each: SLOW };
  const last = await memoryDuring(gateway.pid, () => churn.run(quarter));
  swarm.slowness = slowness;
  ended.abort();
  await losing;
  const slow = right.times.slice(count).map(({ ms }) => ms);
  return { changing, memory: [second, last], changes: churn.changes, toldOfChange, slow };
}

/** The memory of a process's own while something goes on, the median, in megabytes: it rises and falls all the time. */
async function memoryDuring(pid: number, task: () => Promise<void>): Promise<number> {
  const samples: number[] = [];
  const timer = setInterval(() => samples.push(ownMemory(pid)), SAMPLE_EVERY);
  await task();
  clearInterval(timer);
  return median(samples);
}

/** One node after the other is lost, and comes back. */
async function loseNodes(swarm: PlayedSwarm, every: number, signal: AbortSignal): Promise<void> {
  for (let turn = 0; !signal.aborted; turn++) {
    const node = swarm.nodes[turn % swarm.nodes.length];
    await pause(every * 500, signal);
    if (node === undefined || signal.aborted) return;
    const lost = swarm.lose(node);
    await pause(every * 500, signal);
    swarm.regain(node);
    await lost;
  }
}

/** Counts what the gateway takes. */
class Costs {
  #before = { at: 0, cpu: 0, checks: 0, passes: 0 };

  constructor(
    private readonly gateway: Gateway,
    private readonly swarm: PlayedSwarm,
    private readonly admin: number,
  ) {}

  async begin(): Promise<void> {
    this.swarm.answered.clear();
    this.#before = await this.#now();
  }

  async end(): Promise<Cost> {
    const [before, now] = [this.#before, await this.#now()];
    const seconds = (now.at - before.at) / 1_000;
    const passes = now.passes - before.passes;
    return {
      cpu: (now.cpu - before.cpu) / seconds,
      checks: (now.checks - before.checks) / seconds,
      told: this.told / seconds,
      passes,
      cpuOfPass: (now.cpu - before.cpu) / Math.max(passes, 1),
    };
  }

  /** What the gateway was told since the beginning, in megabytes. */
  get told(): number {
    return [...this.swarm.answered.values()].reduce((sum, { bytes }) => sum + bytes / 1e6, 0);
  }

  async #now(): Promise<{ at: number; cpu: number; checks: number; passes: number }> {
    const { pid } = this.gateway;
    const metrics = await (await fetch(`http://127.0.0.1:${this.admin}/metrics`)).text();
    const passes = Number(/^\w*gateway_passes_total\s+(\d+)/m.exec(metrics)?.[1]);
    return { at: performance.now(), cpu: cpuTime(pid), checks: childrenTime(pid), passes };
  }
}
