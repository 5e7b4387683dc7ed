// Several Engines as one source. Each has its own connection and events, and one that is gone takes nobody
// else with it: its containers stay as they were last known.

import { pause } from "../lib/async.ts";
import type { Logger } from "../lib/log.ts";
import {
  atEngine,
  type Container,
  type NamedEngine,
  type Snapshot,
  type Source,
  type SourceListener,
} from "../model.ts";
import type { EngineSource } from "./engine.ts";

/**
 * So long the first reading waits for Engines that do not answer, in milliseconds: by ssh it takes a second
 * to reach one.
 */
const PATIENCE_FOR_ENGINES = 3_000;

/** One of the Engines. */
export interface JoinedEngine extends NamedEngine {
  /** Whether the networks of its containers are this machine's. One Engine has those at most. */
  readonly isHere: boolean;
  readonly source: JoinedPart;
}

/** What is asked of the source of each Engine. */
export type JoinedPart = Omit<EngineSource, "snapshot" | "name">;

/** What an earlier gateway knew of the containers that it served. */
export interface Remembered {
  readonly containers: readonly Container[];
  readonly networks: Pick<Snapshot, "drivers" | "gateways">;
}

interface Part extends JoinedEngine {
  isConnected: boolean;
  /** What an earlier gateway knew of its containers, until it has told of them itself. */
  remembered: readonly Container[];
}

const NO_NETWORKS: Remembered["networks"] = { drivers: {}, gateways: [] };

export class JoinedSource implements Source {
  readonly name: string;
  readonly engines: readonly NamedEngine[];
  readonly #parts: readonly Part[];
  /** Resolves once all Engines are connected. */
  readonly #all = Promise.withResolvers<void>();
  /** Whether the first reading was done. */
  #wasRefreshed = false;
  /** Whether everything is read only once. */
  #isOnce = false;
  #begunAt = Date.now();
  /** Which Engine is asked for the tasks of a swarm, by the ID of that. */
  readonly #asked = new Map<string, Part>();
  /** Tasks, and by what name of an Engine they go, by what they are made of. */
  readonly #named = new WeakMap<Container, Container>();
  /** Whether it was told that two Engines have the same containers. */
  #hasToldDoubles = false;

  /**
   * @param engines the first of two that know the same container tells of it
   * @param remembered undefined: there is no earlier gateway that served several Engines
   */
  constructor(
    engines: readonly JoinedEngine[],
    private readonly remembered: Remembered | undefined,
    private readonly log: Logger,
  ) {
    this.engines = engines.map(({ name, url }) => ({ name, url }));
    this.name = engines.map(({ name, url }) => `${name}=${url}`).join(", ");
    this.#parts = engines.map((engine) => ({
      ...engine,
      isConnected: false,
      remembered: (remembered?.containers ?? []).filter((each) => each.engine === engine.name),
    }));
  }

  async connect(signal: AbortSignal): Promise<void> {
    this.#isOnce = true;
    await Promise.all(this.#parts.map(({ source }) => source.connect(signal)));
    for (const part of this.#parts) part.isConnected = true;
  }

  async watch(listener: SourceListener, signal: AbortSignal): Promise<void> {
    this.#begunAt = Date.now();
    await Promise.all(
      this.#parts.map((part) =>
        part.source.watch(
          {
            connected: () => {
              part.isConnected = true;
              if (this.#parts.every(({ isConnected }) => isConnected)) this.#all.resolve();
              listener.connected(part.name);
            },
            changed: () => listener.changed(),
            started: (container) => listener.started(container),
            ending: (id) => listener.ending(id),
            ended: (id) => listener.ended(id),
            disconnected: () => {
              const wasConnected = part.isConnected;
              part.isConnected = false;
              listener.disconnected(part.name);
              // Another manager of its swarm may be asked from now on.
              if (wasConnected) listener.changed();
            },
          },
          signal,
        ),
      ),
    );
  }

  markAll(): void {
    for (const { source } of this.#parts) source.markAll();
  }

  async refresh(signal: AbortSignal): Promise<void> {
    if (!this.#wasRefreshed && !this.#isOnce) await this.#awaitAll(signal);
    this.#wasRefreshed = true;
    const connected = this.#parts.filter(({ isConnected }) => isConnected);
    await Promise.all(connected.map(({ source }) => source.refresh(signal)));
    for (const part of connected) {
      const isTold =
        part.source.isComplete || part.source.learn(part.remembered.map(({ id }) => id));
      if (isTold) part.remembered = [];
    }
  }

  get isComplete(): boolean {
    return this.#parts.every((part) => part.source.isComplete || this.#isKnownAway(part));
  }

  learn(ids: readonly string[]): boolean {
    // Each of them is asked, as all of them may be slow.
    const answers = this.#parts.map(
      (part) => this.#isKnownAway(part) || (part.isConnected && part.source.learn(ids)),
    );
    return answers.every(Boolean);
  }

  snapshot(): Snapshot {
    const told = this.#parts.map((part) => ({ part, ...part.source.parts }));
    const containers = new Map<string, Container>();
    const swarms = new Set(told.map(({ part }) => part.source.swarm));
    swarms.delete("");
    let { drivers, gateways } = NO_NETWORKS;
    for (const { part, own, tasks } of told) {
      // Those of a swarm are told by one of its managers.
      const { swarm } = part.source;
      if (tasks.length > 0 && (swarm === "" || this.#managerOf(swarm) === part)) {
        for (const task of tasks) containers.set(task.id, this.#name(task, part));
        if (swarms.size <= 1) drivers = { ...overlaysOf(own.drivers), ...drivers };
      }
      if (!part.isHere) continue;
      const isKnown = part.source.isComplete || Object.keys(own.drivers).length > 0;
      const networks = isKnown ? own : (this.remembered?.networks ?? NO_NETWORKS);
      ({ gateways } = networks);
      drivers = { ...drivers, ...networks.drivers };
    }
    for (const { part, own } of told) {
      const known = new Set(own.containers.map(({ id }) => id));
      const remembered = part.remembered.filter(
        ({ id, task }) => !known.has(id) && !swarms.has(task?.swarm ?? ""),
      );
      for (const container of [...own.containers, ...remembered]) {
        const { id } = container;
        const { engine } = containers.get(id) ?? {};
        if (engine === undefined) containers.set(id, container);
        else if (containers.get(id)?.task === undefined) this.#tellDouble(engine, part.name);
      }
    }
    return { containers: [...containers.values()], drivers, gateways };
  }

  isEnding(id: string): boolean {
    return this.#parts.some(({ source }) => source.isEnding(id));
  }

  remains(id: string): boolean {
    return this.#parts.some(({ source }) => source.remains(id));
  }

  get rereadAt(): number | undefined {
    const times = this.#parts.flatMap(({ isConnected, source }) =>
      isConnected ? (source.rereadAt ?? []) : [],
    );
    return times.length === 0 ? undefined : Math.min(...times);
  }

  waited(id: string): number | undefined {
    for (const { source } of this.#parts) {
      const ms = source.waited(id);
      if (ms !== undefined) return ms;
    }
    return undefined;
  }

  settled(): void {
    for (const { source } of this.#parts) source.settled();
  }

  /** Waits until all are connected, but no longer than the patience lasts. */
  async #awaitAll(signal: AbortSignal): Promise<void> {
    const ended = new AbortController();
    const left = this.#begunAt + PATIENCE_FOR_ENGINES - Date.now();
    if (left > 0) {
      const either = AbortSignal.any([signal, ended.signal]);
      await Promise.race([this.#all.promise, pause(left, either)]);
    }
    ended.abort();
    const away = this.#parts.filter(({ isConnected }) => !isConnected).map(({ name }) => name);
    if (away.length === 0 || signal.aborted) return;
    const names = `${away.length === 1 ? "Engine" : "Engines"} ${away.join(", ")}`;
    this.log.warn(
      this.remembered === undefined
        ? `the others are served without ${names}: of servers that are there already, none is removed before they answer`
        : `the others are served; what is served of ${names} stays as it was`,
    );
  }

  /** Whether an Engine is away, and what it served is known from an earlier gateway. */
  #isKnownAway({ isConnected, source }: Part): boolean {
    return !isConnected && (source.isComplete || this.remembered !== undefined);
  }

  /** Which Engine is asked for the tasks of a swarm: the first one that answers. */
  #managerOf(swarm: string): Part | undefined {
    const managers = this.#parts.filter(({ source }) => source.swarm === swarm);
    const connected = managers.filter(({ isConnected }) => isConnected);
    const found =
      connected.find(({ source }) => source.tellsOfSwarm) ??
      connected[0] ??
      this.#asked.get(swarm) ??
      managers[0];
    if (found !== undefined) this.#asked.set(swarm, found);
    return found;
  }

  /** The same object for the same task and Engine. */
  #name(container: Container, { name: engine, source: { swarm } }: Part): Container {
    const known = this.#named.get(container);
    if (known?.engine === engine) return known;
    const { task } = container;
    const named: Container = {
      ...container,
      name: atEngine(container.name, engine),
      engine,
      ...(task === undefined ? {} : { task: { ...task, swarm } }),
    };
    this.#named.set(container, named);
    return named;
  }

  #tellDouble(first: string, second: string): void {
    if (first === second || this.#hasToldDoubles) return;
    this.#hasToldDoubles = true;
    this.log.warn(
      `Engines ${first} and ${second} have the same containers, so they are one: leave one of them out`,
    );
  }
}

/** The networks of a swarm: their names are the same on each of its Engines. */
function overlaysOf(drivers: Snapshot["drivers"]): Snapshot["drivers"] {
  return Object.fromEntries(Object.entries(drivers).filter(([, driver]) => driver === "overlay"));
}
