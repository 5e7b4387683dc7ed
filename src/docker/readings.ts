// Containers that are being read, side by side: one that the Engine holds back delays no other.

import { forEachLimited, pause } from "../async.ts";

/** So many are read at a time: more only queue up in the Engine. */
const WIDTH = 8;

/** What has come to its end. */
interface Ended<T> {
  readonly results: ReadonlyMap<string, T>;
  readonly failures: ReadonlyMap<string, unknown>;
}

export class Readings<T> {
  /** Those that are being read or about to be. */
  readonly #under = new Set<string>();
  #results = new Map<string, T>();
  #failures = new Map<string, unknown>();

  /** @param late called when one ends that nobody waits for any more */
  constructor(
    private readonly read: (id: string, signal: AbortSignal) => Promise<T>,
    private readonly late: () => void,
  ) {}

  /** Whether a container is being read or about to be. */
  has(id: string): boolean {
    return this.#under.has(id);
  }

  /**
   * Reads containers by their IDs and waits for them at most `ms` milliseconds; what takes longer
   * goes on. Gives what has ended since the last call; what was late then waits for nothing now.
   */
  async start(ids: readonly string[], ms: number, signal: AbortSignal): Promise<Ended<T>> {
    for (const id of ids) this.#under.add(id);
    const waiting = new AbortController();
    const all = forEachLimited(ids, WIDTH, async (id) => {
      try {
        const result = await this.read(id, signal);
        // Only now, as it may be another list than when the reading began.
        this.#results.set(id, result);
      } catch (error) {
        this.#failures.set(id, error);
      }
      this.#under.delete(id);
      if (waiting.signal.aborted) this.late();
    });
    const patience = this.#results.size + this.#failures.size > 0 ? Math.min(ms, 0) : ms;
    await (Number.isFinite(ms) ? Promise.race([all, pause(patience, waiting.signal)]) : all);
    waiting.abort();
    const ended = { results: this.#results, failures: this.#failures };
    this.#results = new Map();
    this.#failures = new Map();
    return ended;
  }
}
