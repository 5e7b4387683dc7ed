// src/docker reads a Docker Engine, and never changes it. No other folder knows the Engine's JSON. It
// may import only lib and model.ts. This file makes an Engine a source of its containers: it watches the
// events and reads again what they are about. With the tasks of a swarm, `engine.ts` has them.

import { errorMessage } from "../lib/errors.ts";
import { RepeatedFailure, type Logger } from "../lib/log.ts";
import type { Snapshot, Source, SourceListener } from "../model.ts";
import { NoAnswer, type DockerClient } from "./client.ts";
import type { DockerEvent } from "./events.ts";
import { Store, type Part } from "./store.ts";
import { watchDocker } from "./watch.ts";

/** What cannot be read is told again after this time, in milliseconds: it may be meant to be so. */
const TELL_AGAIN_AFTER = 3_600_000;
/** How a user knows the parts of what an Engine tells. */
const PARTS: Readonly<Record<Part, { readonly name: string; readonly path: string }>> = {
  list: { name: "the list of containers", path: "/containers/json" },
  networks: { name: "the networks", path: "/networks" },
};

export class DockerSource implements Source {
  readonly #store: Store;
  readonly #troubles: Readonly<Record<Part, RepeatedFailure>>;
  /** When each change that is not live yet was noticed, by container ID, in ms since 1970. */
  readonly #changedAt = new Map<string, number>();
  /** The last warning about each container that cannot be read, by its ID. */
  readonly #warned = new Map<string, string>();
  /** Whether everything is read only once. */
  #isOnce = false;
  #listener: SourceListener | undefined;

  constructor(
    private readonly client: DockerClient,
    private readonly log: Logger,
  ) {
    this.#troubles = {
      list: new RepeatedFailure(log, TELL_AGAIN_AFTER),
      networks: new RepeatedFailure(log, TELL_AGAIN_AFTER),
    };
    this.#store = new Store(client, {
      changed: () => this.#listener?.changed(),
      failed: (part, error) => this.#tellTrouble(part, error),
      worked: (part) => {
        if (this.#troubles[part].forget()) log.info(`${PARTS[part].name} can be read again`);
      },
    });
  }

  get name(): string {
    return this.client.transport.name;
  }

  async connect(signal: AbortSignal): Promise<void> {
    this.#isOnce = true;
    await this.client.connect(signal);
  }

  watch(listener: SourceListener, signal: AbortSignal): Promise<void> {
    this.#listener = listener;
    const handlers = {
      connected: () => {
        listener.connected();
        this.#store.markAll();
      },
      event: (event: DockerEvent) => {
        const noted = this.#store.note(event);
        this.#store.readAhead(event, signal);
        if (noted?.what === "started") listener.started(noted.container);
        else if (noted !== undefined) listener[noted.what](noted.id);
      },
      disconnected: () => listener.disconnected(),
    };
    return watchDocker(this.client, handlers, this.log, signal);
  }

  markAll(): void {
    this.#store.markAll();
  }

  async refresh(signal: AbortSignal): Promise<void> {
    const { marks, failures, unanswered, started } = this.#isOnce
      ? await this.#store.readAll(signal)
      : await this.#store.refresh(signal);
    for (const [id, markedAt] of marks) {
      this.#warned.delete(id);
      if (!this.#changedAt.has(id)) this.#changedAt.set(id, markedAt);
    }
    for (const container of started) this.#listener?.started(container);
    for (const [id, error] of failures) this.#warn(id, error);
    for (const id of unanswered) this.#warn(id, undefined);
  }

  get isComplete(): boolean {
    return this.#store.isComplete;
  }

  learn(ids: readonly string[]): boolean {
    return this.#store.learn(ids);
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
    const at = this.#changedAt.get(id) ?? this.#store.begunAt(id);
    return at === undefined ? undefined : Date.now() - at;
  }

  settled(): void {
    this.#changedAt.clear();
  }

  /** Warns of a container once for each reason. @param error undefined: there is no answer */
  #warn(id: string, error: unknown): void {
    const isSilent = error === undefined || error instanceof NoAnswer;
    const reason = isSilent ? "the Engine gives no answer" : errorMessage(error);
    if (this.#warned.get(id) === reason) return;
    this.#warned.set(id, reason);
    const name = this.#store.nameOf(id);
    const short = id.slice(0, 12);
    const container = name === undefined ? short : `${name} (${short})`;
    const state = this.#store.isFromList(id)
      ? "is served as Docker's list has it"
      : "stays as it was";
    this.log.warn(`container ${container} cannot be read and ${state}: ${reason}`);
  }

  /** Tells once what is lost. @param error undefined: there is no answer */
  #tellTrouble(part: Part, error: unknown): void {
    const { path } = PARTS[part];
    const isSilent = error === undefined || error instanceof NoAnswer;
    const failure = isSilent
      ? new NoAnswer("docker", `Cannot read "${path}" of Docker: it gives no answer`)
      : error;
    const [note, level] = this.#consequence(part);
    this.#troubles[part].tell(failure, `${note}; trying again`, level);
  }

  /** What it means that a part cannot be read. */
  #consequence(part: Part): [note: string, level: "warn" | "error"] {
    if (part === "networks") {
      return this.#store.knowsNetworks
        ? ["the networks that are known are used on", "warn"]
        : [
            "routes are made without it: a container on a macvlan or ipvlan network may get an " +
              "address that this host cannot reach",
            "warn",
          ];
    }
    return this.#store.isComplete
      ? ["containers that are known or that its events name go on changing", "warn"]
      : ["only containers that its events name or that are served already are known", "error"];
  }
}
