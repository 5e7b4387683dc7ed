// Containers that are being read, side by side: one that the Engine holds back delays no other.

import { forEachLimited, pause } from "../lib/async.ts";

/** So many are read at a time: more only queue up in the Engine. */
const WIDTH = 8;

/** What has come to its end. */
export interface Ended<T> {
  readonly results: ReadonlyMap<string, T>;
  readonly failures: ReadonlyMap<string, unknown>;
}

export class Readings<T> {
  /** Those that are being read or about to be, each with its end. */
  readonly #under = new Map<string, PromiseWithResolvers<void>>();
  #results = new Map<string, T>();
  #failures = new Map<string, unknown>();
  /** Whether somebody waits. */
  #waiting = false;

  /** @param late called when one ends and nobody waits */
  constructor(
    private readonly read: (id: string, signal: AbortSignal) => Promise<T>,
    private readonly late: () => void,
  ) {}

  /** The containers that are being read or about to be, by their IDs. */
  get underWay(): readonly string[] {
    return [...this.#under.keys()];
  }

  /** Whether a container is being read or about to be. */
  has(id: string): boolean {
    return this.#under.has(id);
  }

  /** What has ended since it was last asked; undefined where nothing has. */
  ended(): Ended<T> | undefined {
    const ended = { results: this.#results, failures: this.#failures };
    if (ended.results.size + ended.failures.size === 0) return undefined;
    this.#results = new Map();
    this.#failures = new Map();
    return ended;
  }

  /**
   * Reads containers by their IDs, where that is not under way, and waits for them at most `ms`
   * milliseconds; what takes longer goes on. Gives what has ended.
   */
  async take(ids: readonly string[], ms: number, signal: AbortSignal): Promise<Ended<T>> {
    this.#start(
      ids.filter((id) => !this.#under.has(id)),
      signal,
    );
    const ends = ids.map((id) => this.#under.get(id)).filter((end) => end !== undefined);
    const all = Promise.all(ends.map(({ promise }) => promise));
    this.#waiting = true;
    if (Number.isFinite(ms)) {
      const ended = new AbortController();
      await Promise.race([all, pause(ms, ended.signal)]);
      ended.abort();
    } else await all;
    this.#waiting = false;
    return this.ended() ?? { results: new Map(), failures: new Map() };
  }

  #start(ids: readonly string[], signal: AbortSignal): void {
    for (const id of ids) this.#under.set(id, Promise.withResolvers());
    void forEachLimited(ids, WIDTH, async (id) => {
      try {
        const result = await this.read(id, signal);
        // Only now, as it may be another list than when the reading began.
        this.#results.set(id, result);
      } catch (error) {
        this.#failures.set(id, error);
      }
      this.#under.get(id)?.resolve();
      this.#under.delete(id);
      if (!this.#waiting) this.late();
    });
  }
}
