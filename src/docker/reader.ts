// Reads what changed on the Docker host: what cannot be read is told once, and read again soon.

import type { Store } from "./store.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";

/** What could not be read is read again after this time, in milliseconds. */
const REREAD_AFTER = 1_000;

export class Reader {
  /** When a container's change was noticed, until it is live, by its ID. */
  readonly #noticed = new Map<string, number>();
  #rereadAt = Infinity;
  /** What was told of each container that cannot be read, by its ID. */
  readonly #told = new Map<string, string>();

  constructor(
    private readonly store: Store,
    private readonly log: Logger,
  ) {}

  /** When something is to be read again whatever happens, in milliseconds since 1970. */
  get rereadAt(): number {
    return this.#rereadAt;
  }

  /** Reads what is marked. @throws GatewayError `docker` where nothing can be read */
  async read(signal: AbortSignal): Promise<void> {
    const { marks, failures } = await this.store.refresh(signal);
    for (const [id, since] of marks) {
      if (!this.#noticed.has(id)) this.#noticed.set(id, since);
    }
    this.#rereadAt = failures.size > 0 ? Date.now() + REREAD_AFTER : Infinity;
    for (const id of marks.keys()) this.#told.delete(id);
    for (const [id, error] of failures) {
      const reason = errorMessage(error);
      if (this.#told.get(id) === reason) continue;
      this.#told.set(id, reason);
      this.log.warn(`container ${id.slice(0, 12)} cannot be read and stays as it was: ${reason}`);
    }
  }

  /** How long ago a container's change was noticed, in milliseconds. */
  waited(id: string): number | undefined {
    const since = this.#noticed.get(id);
    return since === undefined ? undefined : Date.now() - since;
  }

  /** Notes that everything that was noticed is live. */
  done(): void {
    this.#noticed.clear();
  }
}
