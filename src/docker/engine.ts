// An Engine of a swarm as a source of containers: its own ones, and the tasks of all nodes.

import type { Logger } from "../lib/log.ts";
import type { Container, Snapshot, Source, SourceListener } from "../model.ts";
import type { DockerClient } from "./client.ts";
import { isTask } from "./container.ts";
import { DockerSource } from "./source.ts";
import { Swarm } from "./swarm/swarm.ts";

/**
 * The first reading waits so long for the tasks, in milliseconds. They are known tens of milliseconds later,
 * or something is wrong.
 */
const PATIENCE_AT_FIRST = 500;

/**
 * Reads the containers once. One that cannot be inspected is told of, and taken for what Docker's
 * list says.
 * @throws GatewayError `docker`
 */
export async function readOnce(
  client: DockerClient,
  log: Logger,
  { signal }: { readonly signal: AbortSignal } = new AbortController(),
): Promise<Snapshot> {
  const source = new EngineSource(client, log);
  await source.connect(signal);
  await source.refresh(signal);
  return source.snapshot();
}

/** What an Engine has: its containers, and where it is a manager of a swarm the tasks of that. */
export class EngineSource implements Source {
  readonly #containers: DockerSource;
  readonly #swarm: Swarm;
  /** Whether everything is read only once. */
  #isOnce = false;
  #wasRefreshed = false;
  #listener: SourceListener | undefined;
  /** The tasks of this Engine with what it knows better, by what they are made of. */
  readonly #merged = new WeakMap<
    Container,
    { readonly own: Container; readonly both: Container }
  >();

  constructor(client: DockerClient, log: Logger) {
    this.#containers = new DockerSource(client, log);
    this.#swarm = new Swarm(
      client,
      client.swarm,
      {
        changed: () => this.#listener?.changed(),
        ending: (id) => this.#listener?.ending(id),
        ended: (id) => this.#listener?.ended(id),
      },
      log,
    );
  }

  get name(): string {
    return this.#containers.name;
  }

  async connect(signal: AbortSignal): Promise<void> {
    this.#isOnce = true;
    await this.#containers.connect(signal);
  }

  async watch(listener: SourceListener, signal: AbortSignal): Promise<void> {
    this.#listener = listener;
    const heard: SourceListener = {
      connected: () => {
        listener.connected();
        this.#swarm.setConnected(true);
      },
      changed: () => listener.changed(),
      started: (container) => listener.started(container),
      ending: (id) => listener.ending(id),
      ended: (id) => listener.ended(id),
      disconnected: () => {
        this.#swarm.setConnected(false);
        listener.disconnected();
      },
    };
    await Promise.all([this.#containers.watch(heard, signal), this.#swarm.watch(signal)]);
  }

  markAll(): void {
    this.#containers.markAll();
    this.#swarm.mark();
  }

  async refresh(signal: AbortSignal): Promise<void> {
    // Later passes wait for nobody: the tasks are asked for beside them.
    const patience = this.#wasRefreshed ? 0 : PATIENCE_AT_FIRST;
    this.#wasRefreshed = true;
    if (this.#isOnce) {
      // Where the containers cannot be read, that alone is told.
      await this.#containers.refresh(signal);
      await this.#swarm.readOnce(signal);
      return;
    }
    await Promise.all([this.#containers.refresh(signal), this.#swarm.settle(patience)]);
  }

  get isComplete(): boolean {
    return this.#containers.isComplete && this.#swarm.isKnown;
  }

  learn(ids: readonly string[]): boolean {
    // What this Engine does not have may be a task of another one.
    return this.#containers.learn(ids) && this.#swarm.isKnown;
  }

  snapshot(): Snapshot {
    const { own, tasks } = this.parts;
    return tasks.length === 0 ? own : { ...own, containers: [...own.containers, ...tasks] };
  }

  /** The ID of the swarm whose tasks it tells; empty if it tells none, or not of which. */
  get swarm(): string {
    return this.#swarm.id;
  }

  /** Whether it answered the last question about the swarm. */
  get tellsOfSwarm(): boolean {
    return this.#swarm.isTold;
  }

  /** What it has, apart from the tasks of a swarm that it tells. */
  get parts(): { readonly own: Snapshot; readonly tasks: readonly Container[] } {
    const snapshot = this.#containers.snapshot();
    if (!this.#swarm.isServed) return { own: snapshot, tasks: [] };
    const byId = new Map(snapshot.containers.map((container) => [container.id, container]));
    const tasks: Container[] = [];
    for (const task of this.#swarm.containers) {
      const container = task.task?.isLocal === true ? byId.get(task.id) : undefined;
      if (container !== undefined) tasks.push(this.#merge(task, container));
      else if (task.task?.isLocal !== true || !this.#containers.isComplete) tasks.push(task);
    }
    // A task that the swarm does not tell of is about to come, or has ended.
    const containers = snapshot.containers.filter((container) => !isTask(container));
    return { own: { ...snapshot, containers }, tasks };
  }

  isEnding(id: string): boolean {
    return this.#containers.isEnding(id) || this.#swarm.isEnding(id);
  }

  remains(id: string): boolean {
    return this.#containers.remains(id) || this.#swarm.remains(id) || this.#hasJustEnded(id);
  }

  /** Whether a task has ended here, and the swarm has not told it yet. */
  #hasJustEnded(id: string): boolean {
    if (this.#swarm.task(id)?.task?.isLocal !== true || !this.#containers.isComplete) return false;
    return this.#containers.snapshot().containers.every((container) => container.id !== id);
  }

  get rereadAt(): number | undefined {
    return this.#containers.rereadAt;
  }

  waited(id: string): number | undefined {
    const at = this.#swarm.noticedAt(id);
    return at === undefined ? this.#containers.waited(id) : Date.now() - at;
  }

  settled(): void {
    this.#containers.settled();
    this.#swarm.settled();
  }

  /** A task of this Engine: what happens to its container is known here first. */
  #merge(task: Container, own: Container): Container {
    const known = this.#merged.get(task);
    if (known?.own === own) return known.both;
    const stopping = own.stopping > 0 ? own.stopping : task.stopping;
    const both = { ...task, state: own.state, pid: own.pid, stopping };
    this.#merged.set(task, { own, both });
    return both;
  }
}
