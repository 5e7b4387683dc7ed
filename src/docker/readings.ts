// Reads several containers at the same time. One that the Engine does not answer about delays no other.

import { forEachLimited, pause } from "../lib/async.ts";

/** How many of one call are read at the same time: more would only queue up in the Engine. */
const MAX_PARALLEL = 8;
/**
 * After so long without an answer, the next one is read beside it, in milliseconds. The Engine gives
 * no answer about a container as long as it stops it, and answers about the others at once.
 */
const GIVE_WAY_AFTER = 500;

/** The readings that have ended, by container ID. */
export interface Ended<T> {
  readonly results: ReadonlyMap<string, T>;
  readonly failures: ReadonlyMap<string, unknown>;
}

/** How far a reading of several containers is. */
export interface Progress {
  /** The time since the last answer, in milliseconds. */
  readonly silence: number;
  /** The longest time between two answers so far, in milliseconds. */
  readonly longest: number;
  /** The IDs of the containers that have not answered. */
  readonly unread: readonly string[];
}

export class Readings<T> {
  /** The containers that are being read or about to be, by ID. Each is resolved when that ends. */
  readonly #running = new Map<string, PromiseWithResolvers<void>>();
  #results = new Map<string, T>();
  #failures = new Map<string, unknown>();
  /** Whether `take` is waiting. */
  #isTaking = false;

  /** @param endedLate called when a reading ends while `take` is not waiting */
  constructor(
    private readonly read: (id: string, signal: AbortSignal) => Promise<T>,
    private readonly endedLate: () => void,
  ) {}

  /** Whether a container is being read or about to be. */
  has(id: string): boolean {
    return this.#running.has(id);
  }

  /** The readings that have ended since the last call; undefined if there are none. */
  ended(): Ended<T> | undefined {
    const ended = { results: this.#results, failures: this.#failures };
    if (ended.results.size + ended.failures.size === 0) return undefined;
    this.#results = new Map();
    this.#failures = new Map();
    return ended;
  }

  /** Begins to read containers by their IDs, unless they are being read already. */
  begin(ids: readonly string[], signal: AbortSignal): void {
    this.#start(
      ids.filter((id) => !this.#running.has(id)),
      signal,
    );
  }

  /**
   * Reads containers as `begin` does. Waits at most `ms` milliseconds; a reading that takes longer goes
   * on. Returns the readings that have ended.
   */
  async take(ids: readonly string[], ms: number, signal: AbortSignal): Promise<Ended<T>> {
    this.begin(ids, signal);
    const ends = ids.map((id) => this.#running.get(id)).filter((end) => end !== undefined);
    const all = Promise.all(ends.map(({ promise }) => promise));
    this.#isTaking = true;
    const ended = new AbortController();
    await Promise.race([all, pause(ms, ended.signal)]);
    ended.abort();
    this.#isTaking = false;
    return this.ended() ?? { results: new Map(), failures: new Map() };
  }

  /**
   * Reads containers as `take` does, and waits on as long as `goesOn` says. It is asked every `ms`
   * milliseconds.
   */
  async takeWhile(
    ids: readonly string[],
    ms: number,
    goesOn: (progress: Progress) => boolean,
    signal: AbortSignal,
  ): Promise<Ended<T>> {
    const results = new Map<string, T>();
    const failures = new Map<string, unknown>();
    let lastAnswerAt = Date.now();
    let longest = 0;
    let unread = ids;
    for (;;) {
      const ended = await this.take(unread, ms, signal);
      for (const [id, result] of ended.results) results.set(id, result);
      for (const [id, error] of ended.failures) failures.set(id, error);
      const now = Date.now();
      if (ended.results.size + ended.failures.size > 0) {
        longest = Math.max(longest, now - lastAnswerAt);
        lastAnswerAt = now;
      }
      unread = [...this.#running.keys()];
      const progress = { silence: now - lastAnswerAt, longest, unread };
      if (unread.length === 0 || !goesOn(progress)) return { results, failures };
    }
  }

  #start(ids: readonly string[], signal: AbortSignal): void {
    for (const id of ids) this.#running.set(id, Promise.withResolvers());
    void forEachLimited(ids, MAX_PARALLEL, async (id) => {
      const ended = new AbortController();
      void this.#readOne(id, signal).then(() => ended.abort());
      await pause(GIVE_WAY_AFTER, ended.signal);
    });
  }

  /** Never throws: a failure is one of the failures. */
  async #readOne(id: string, signal: AbortSignal): Promise<void> {
    try {
      const result = await this.read(id, signal);
      // `ended` may have made a new map since the reading began.
      this.#results.set(id, result);
    } catch (error) {
      this.#failures.set(id, error);
    }
    this.#running.get(id)?.resolve();
    this.#running.delete(id);
    if (!this.#isTaking) this.endedLate();
  }
}
