// One Engine as a source of containers: watched, and read again where something happened.

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
  /** When a container's change was noticed, until it is live, by its ID, in ms since 1970. */
  readonly #noticed = new Map<string, number>();
  /** What was told of each container that cannot be read, by its ID. */
  readonly #told = new Map<string, string>();
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
        if (ending !== undefined) listener.ending(ending);
      },
      disconnected: () => listener.disconnected(),
    };
    return watchDocker(this.client, handlers, this.log, signal);
  }

  markAll(): void {
    this.#store.markAll();
  }

  async refresh(signal: AbortSignal): Promise<void> {
    const { marks, failures, heldBack } = await this.#store.refresh(signal);
    for (const [id, since] of marks) {
      this.#told.delete(id);
      if (!this.#noticed.has(id)) this.#noticed.set(id, since);
    }
    for (const [id, error] of failures) this.#tell(id, errorMessage(error));
    for (const id of heldBack) {
      this.#tell(id, `the Engine gave no answer in ${PATIENCE_AT_FIRST / 1000} s`);
    }
  }

  snapshot(): Snapshot {
    return this.#store.snapshot();
  }

  isEnding(id: string): boolean {
    return this.#store.isEnding(id);
  }

  get rereadAt(): number | undefined {
    return this.#store.rereadAt;
  }

  waited(id: string): number | undefined {
    const since = this.#noticed.get(id);
    return since === undefined ? undefined : Date.now() - since;
  }

  settled(): void {
    this.#noticed.clear();
  }

  /** Once for each reason: the others are read all the same, and this one again soon. */
  #tell(id: string, reason: string): void {
    if (this.#told.get(id) === reason) return;
    this.#told.set(id, reason);
    this.log.warn(`container ${id.slice(0, 12)} cannot be read and stays as it was: ${reason}`);
  }
}
