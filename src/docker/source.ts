// src/docker reads a Docker Engine, and never changes it. No other folder knows the Engine's JSON. It
// may import only lib and model.ts. This file makes the Engine a source of containers: it watches the
// events and reads again what they are about.

import { errorMessage } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { Snapshot, Source, SourceListener } from "../model.ts";
import type { DockerClient } from "./client.ts";
import type { DockerEvent } from "./events.ts";
import { PATIENCE_AT_FIRST, Store } from "./store.ts";
import { watchDocker } from "./watch.ts";

/**
 * Reads the containers once. One that cannot be inspected is told of, and taken for what Docker's
 * list says.
 * @throws GatewayError `docker`
 */
export async function readOnce(client: DockerClient, log: Logger): Promise<Snapshot> {
  const { signal } = new AbortController();
  const source = new DockerSource(client, log);
  await source.connect(signal);
  await source.refresh(signal);
  return source.snapshot();
}

export class DockerSource implements Source {
  readonly #store: Store;
  /** When each change that is not live yet was noticed, by container ID, in ms since 1970. */
  readonly #changedAt = new Map<string, number>();
  /** The last warning about each container that cannot be read, by its ID. */
  readonly #warned = new Map<string, string>();
  /** Whether nothing has been read yet. */
  #isFirst = true;
  #listener: SourceListener | undefined;

  constructor(
    private readonly client: DockerClient,
    private readonly log: Logger,
  ) {
    this.#store = new Store(client, () => this.#listener?.changed());
  }

  get name(): string {
    return this.client.transport.name;
  }

  async connect(signal: AbortSignal): Promise<void> {
    await this.client.connect(signal);
    this.#store.markAll();
  }

  watch(listener: SourceListener, signal: AbortSignal): Promise<void> {
    this.#listener = listener;
    const handlers = {
      connected: () => {
        listener.connected();
        this.#store.markAll();
      },
      event: (event: DockerEvent) => {
        const ending = this.#store.note(event);
        if (ending?.hasEnded === true) listener.ended(ending.id);
        else if (ending !== undefined) listener.ending(ending.id);
      },
      disconnected: () => listener.disconnected(),
    };
    return watchDocker(this.client, handlers, this.log, signal);
  }

  markAll(): void {
    this.#store.markAll();
  }

  async refresh(signal: AbortSignal): Promise<void> {
    const { marks, failures, unanswered } = await this.#store.refresh(signal);
    for (const [id, markedAt] of marks) {
      this.#warned.delete(id);
      if (!this.#changedAt.has(id)) this.#changedAt.set(id, markedAt);
    }
    for (const [id, error] of failures) this.#warn(id, errorMessage(error));
    for (const id of unanswered) {
      this.#warn(id, `the Engine gave no answer in ${PATIENCE_AT_FIRST / 1000} s`);
    }
    this.#isFirst = false;
  }

  snapshot(): Snapshot {
    return this.#store.snapshot();
  }

  isEnding(id: string): boolean {
    return this.#store.isEnding(id);
  }

  remains(id: string): boolean {
    return this.#store.remains(id);
  }

  get rereadAt(): number | undefined {
    return this.#store.rereadAt;
  }

  waited(id: string): number | undefined {
    const at = this.#changedAt.get(id);
    return at === undefined ? undefined : Date.now() - at;
  }

  settled(): void {
    this.#changedAt.clear();
  }

  /** Warns once for each reason. */
  #warn(id: string, reason: string): void {
    if (this.#warned.get(id) === reason) return;
    this.#warned.set(id, reason);
    const state = this.#isFirst ? "is served as Docker's list has it" : "stays as it was";
    this.log.warn(`container ${id.slice(0, 12)} cannot be read and ${state}: ${reason}`);
  }
}
