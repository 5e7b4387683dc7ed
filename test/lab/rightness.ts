// Whether a HAProxy has the servers that a played swarm's tasks ask for, and how long that took after each change.

import { pause } from "../../src/lib/async.ts";
import { cli } from "./haproxy.ts";
import type { PlayedService, PlayedSwarm, PlayedTask } from "./played-swarm.ts";

/** How often HAProxy is looked at, in milliseconds. */
const LOOK_EVERY = 50;
/** The name of a server is the beginning of its container's ID. */
const NAME_LENGTH = 12;
/** `srv_op_state` of one that is up. Source: HAProxy's management guide, "show servers state". */
const UP = "2";

/** What a task's server is to be. Those that end while no other task serves may do either. */
type Wanted = "in" | "out" | "either";

interface Pending {
  readonly task: PlayedTask;
  readonly since: number;
  readonly wanted: Wanted;
}

export interface Timed {
  readonly task: PlayedTask;
  readonly what: Wanted;
  readonly since: number;
  readonly ms: number;
}

export class Rightness {
  /** When each change was, by `performance.now()`, and how long it took until HAProxy was right; in milliseconds. */
  readonly times: Timed[] = [];
  readonly #pending = new Map<string, Pending>();
  readonly #ended = new AbortController();
  readonly #looking: Promise<void>;

  constructor(
    private readonly swarm: PlayedSwarm,
    /** The socket of HAProxy's worker. */
    private readonly socket: string,
  ) {
    this.#looking = this.#look();
  }

  /** To be called for each task that changed. */
  note(changed: PlayedTask): void {
    // What one of them is to be depends on the others.
    for (const task of new Set([...changed.service.tasks, changed])) {
      const before = this.#pending.get(task.id);
      const wanted = wantedOf(task);
      if (task !== changed && before === undefined) continue;
      if (before?.wanted === wanted) continue;
      if (wanted === "either") this.#pending.delete(task.id);
      else this.#pending.set(task.id, { task, wanted, since: performance.now() });
    }
  }

  /** Waits until HAProxy has all that is to be. @returns what it still has not after `ms` */
  async settle(ms: number): Promise<string[]> {
    const limit = performance.now() + ms;
    while (this.#pending.size > 0 && performance.now() < limit) await pause(LOOK_EVERY);
    return [...this.#pending.values()].map(
      ({ task, wanted }) => `${task.service.name}.${task.slot} is not ${wanted}`,
    );
  }

  /** What is wrong of all servers, by their names, addresses and states; empty: nothing. */
  async audit(): Promise<string[]> {
    const have = new Set(
      (await this.#servers([]))
        .filter(({ isIn }) => isIn)
        .map(({ backend, name, at }) => `${backend} ${name} ${at}`),
    );
    const tasks = [...this.swarm.tasks];
    const wanted = new Set(tasks.filter((task) => wantedOf(task) === "in").map(nameOf));
    const allowed = new Set(tasks.filter((task) => wantedOf(task) === "either").map(nameOf));
    return [
      ...[...wanted.difference(have)].map((each) => `not served: ${each}`),
      ...[...have.difference(wanted).difference(allowed)].map((each) => `served: ${each}`),
    ];
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { signal } = this.#ended;
    for (; !signal.aborted; await pause(LOOK_EVERY, signal)) {
      const asked = [...this.#pending.values()];
      if (asked.length === 0) continue;
      const services = [...new Set(asked.map(({ task }) => task.service))];
      const servers = await this.#servers(services);
      const isIn = new Set(servers.filter((each) => each.isIn).map(({ name }) => name));
      const now = performance.now();
      for (const { task, since, wanted } of asked) {
        // It changed while HAProxy was asked.
        if (this.#pending.get(task.id)?.since !== since) continue;
        if (isIn.has(serverOf(task)) !== (wanted === "in")) continue;
        this.#pending.delete(task.id);
        this.times.push({ task, what: wanted, since, ms: now - since });
      }
    }
  }

  /** @param services of which; empty: of all */
  async #servers(
    services: readonly PlayedService[],
  ): Promise<{ backend: string; name: string; at: string; isIn: boolean }[]> {
    const commands =
      services.length === 0
        ? "show servers state"
        : services.map((each) => `show servers state ${backendOf(each)}`).join(";");
    const answer = await cli(this.socket, commands, 20_000);
    return answer.split("\n").flatMap((line) => {
      const fields = line.split(" ");
      const [, backend = "", , name = "", address, state, admin] = fields;
      if (fields.length < 19 || !backend.startsWith("acme:") || name.startsWith("_")) return [];
      return { backend, name, at: `${address}:${fields[18]}`, isIn: state === UP && admin === "0" };
    });
  }
}

function wantedOf(task: PlayedTask): Wanted {
  if (task.state !== "running") return "out";
  if (isHealthy(task)) return "in";
  return [...task.service.tasks].some(isHealthy) ? "out" : "either";
}

function isHealthy({ state, desired, node }: PlayedTask): boolean {
  return state === "running" && desired === "running" && node.state === "ready";
}

/** A change that took long, in words. */
export function describeTimed({ task, what, ms }: Timed): string {
  const { service, slot, node, state, desired } = task;
  const now = `it is ${state} and is to be ${desired}, its node is ${node.state}`;
  return `${service.name}.${slot} on ${node.address} was ${what} after ${Math.round(ms)} ms; ${now}`;
}

function backendOf({ name }: PlayedService): string {
  return `acme:${name}`;
}

function serverOf({ containerId }: PlayedTask): string {
  return containerId.slice(0, NAME_LENGTH);
}

function nameOf(task: PlayedTask): string {
  return `${backendOf(task.service)} ${serverOf(task)} ${task.node.address}:${task.port}`;
}
