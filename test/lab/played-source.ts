// A source of containers that says what the test tells it, and fails where the test wants it to.

import type { Container, Snapshot, Source, SourceListener } from "../../src/model.ts";
import { turn } from "./fake-clock.ts";
import { snapshot } from "./make.ts";

export class PlayedSource implements Source {
  readonly name = "played";
  /** When each pass began to read, in milliseconds since 1970. */
  readonly reads: number[] = [];
  /** What reading fails with; undefined where it does not. */
  failure: unknown;
  isComplete = true;
  /** What it knows of containers by their IDs where it is not complete. */
  readonly known = new Set<string>();
  /** The IDs that it was told to learn about, and did not know. */
  readonly unknown = new Set<string>();
  #listener: SourceListener | undefined;
  #containers: readonly Container[] = [];
  readonly #ending = new Set<string>();
  /** The IDs of stopped containers that were not removed. */
  readonly stopped = new Set<string>();
  #held: PromiseWithResolvers<void> | undefined;
  #isIdle = false;
  /** When containers began that no pass has taken in yet, by their IDs, in milliseconds since 1970. */
  readonly #begunAt = new Map<string, number>();

  /** Whether the loop waits. */
  readonly isIdle = (): boolean => this.#isIdle;

  /** The loop asks this before it waits, and also before it reads again. */
  get rereadAt(): undefined {
    this.#isIdle = true;
    return undefined;
  }

  /** Something happened: these are the containers from now on. */
  change(...containers: readonly Container[]): void {
    this.#containers = containers;
    for (const { id } of containers) this.known.add(id);
    this.#listener?.changed();
  }

  /** A container that was about to start runs now. */
  begin(container: Container): void {
    const begun: Container = { ...container, state: "running" };
    this.#begunAt.set(begun.id, Date.now());
    this.change(...this.#containers.map((each) => (each.id === begun.id ? begun : each)));
    this.#listener?.started(begun);
  }

  /** A container is told to end. */
  end({ id }: Container): void {
    this.#ending.add(id);
    this.#listener?.ending(id);
  }

  /** Whoever reads waits from now on. */
  hold(): void {
    this.#held ??= Promise.withResolvers();
  }

  /** Lets the one that reads go on, but not the next. */
  letOne(): void {
    const held = this.#held;
    this.#held = Promise.withResolvers();
    held?.resolve();
  }

  watch(listener: SourceListener, signal: AbortSignal): Promise<void> {
    this.#listener = listener;
    listener.connected();
    listener.changed();
    return new Promise((resolve) => {
      signal.addEventListener("abort", () => resolve());
    });
  }

  connect(): Promise<void> {
    return Promise.resolve();
  }

  markAll(): void {
    this.#listener?.changed();
  }

  async refresh(): Promise<void> {
    this.#isIdle = false;
    this.reads.push(Date.now());
    await this.#held?.promise;
    // A loop that never pauses must not keep the test from seeing it.
    await turn();
    if (this.failure !== undefined) throw this.failure;
  }

  learn(ids: readonly string[]): boolean {
    const unknown = ids.filter((id) => ![...this.known].some((each) => each.startsWith(id)));
    for (const id of unknown) this.unknown.add(id);
    return unknown.length === 0;
  }

  snapshot(): Snapshot {
    return snapshot(this.#containers);
  }

  /** The source can be read no more. */
  disconnect(): void {
    this.#listener?.disconnected();
  }

  /** A container has ended. It is there still, unless it is removed too. */
  die({ id }: Container, how: "stopped" | "removed" = "stopped"): void {
    if (how === "stopped") this.stopped.add(id);
    this.#ending.add(id);
    this.#listener?.ended(id);
    this.change(...this.#containers.filter((each) => each.id !== id));
  }

  remains(id: string): boolean {
    return this.stopped.has(id);
  }

  isEnding(id: string): boolean {
    return this.#ending.has(id);
  }

  waited(id: string): number | undefined {
    const at = this.#begunAt.get(id);
    return at === undefined ? undefined : Date.now() - at;
  }

  settled(): void {
    this.#begunAt.clear();
  }
}
