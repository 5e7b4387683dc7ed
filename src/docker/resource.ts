// One resource of the Engine, such as its networks. It is read beside everything else: nothing waits
// for it longer than it wants to, and a failure is tried again.

import { Backoff, pause } from "../lib/async.ts";

interface ResourceListener {
  /** There is an answer to take, or a retry is due later: look again. */
  changed(): void;
  /** It cannot be read. @param error undefined: there is no answer yet */
  failed(error: unknown): void;
  worked(): void;
}

/** The first and the longest wait before it is read again after a failure, in milliseconds. */
const FIRST_RETRY = 1_000;
const LONGEST_RETRY = 60_000;
/** After so long without an answer somebody is told, in milliseconds. Most answers take a few. */
export const TELL_AFTER = 2_000;

/** A reading that is under way. */
interface Running {
  readonly ended: Promise<void>;
  /** In milliseconds since 1970. */
  readonly begunAt: number;
  wasTold: boolean;
}

export class Resource<T> {
  readonly #backoff = new Backoff(FIRST_RETRY, LONGEST_RETRY);
  #isMarked = true;
  /** When it may be read again, in milliseconds since 1970. */
  #retryAt = 0;
  #running: Running | undefined;
  #answer: { readonly value: T; readonly ms: number } | undefined;

  constructor(
    private readonly read: (signal: AbortSignal) => Promise<T>,
    private readonly listener: ResourceListener,
  ) {}

  /** Marks it to be read again. After a failure that waits for the retry, however often it is marked. */
  mark(): void {
    this.#isMarked = true;
  }

  /** Marks it to be read again at once. */
  markNow(): void {
    this.#isMarked = true;
    this.#retryAt = 0;
  }

  /** When to call `begin` again, in milliseconds since 1970; undefined if there is nothing to do. */
  get dueAt(): number | undefined {
    if (this.#running === undefined) return this.#isMarked ? this.#retryAt : undefined;
    return this.#running.wasTold ? undefined : this.#running.begunAt + TELL_AFTER;
  }

  /** Begins to read it if that is due. Returns whether it did. */
  begin(signal: AbortSignal): boolean {
    const now = Date.now();
    if (this.#running !== undefined) {
      if (now >= this.#running.begunAt + TELL_AFTER) this.tell();
      return false;
    }
    if (!this.#isMarked || now < this.#retryAt) return false;
    // The mark is removed before the request: a change during the request must mark it again.
    this.#isMarked = false;
    const ended = Promise.withResolvers<void>();
    const running = { ended: ended.promise, begunAt: now, wasTold: false };
    this.#running = running;
    void this.#read(running, signal).then(ended.resolve);
    return true;
  }

  /** Waits until the reading that is under way has ended, at most `ms` milliseconds. */
  async settle(ms: number): Promise<void> {
    if (this.#running === undefined || ms <= 0) return;
    const ended = new AbortController();
    await Promise.race([this.#running.ended, pause(ms, ended.signal)]);
    ended.abort();
  }

  /** Tells that there is no answer, once for each reading. */
  tell(): void {
    if (this.#running === undefined || this.#running.wasTold) return;
    this.#running.wasTold = true;
    this.listener.failed(undefined);
  }

  /** The answer and how long it took, in milliseconds; undefined if there is no new one. */
  take(): { readonly value: T; readonly ms: number } | undefined {
    const answer = this.#answer;
    this.#answer = undefined;
    return answer;
  }

  /** Never throws: a failure is told. */
  async #read(running: Running, signal: AbortSignal): Promise<void> {
    try {
      const value = await this.read(signal);
      this.#answer = { value, ms: Date.now() - running.begunAt };
      this.#retryAt = 0;
      this.#backoff.reset();
      this.listener.worked();
    } catch (error) {
      this.#isMarked = true;
      this.#retryAt = Date.now() + this.#backoff.next();
      // Nobody needs to hear again that there was no answer.
      if (!running.wasTold && !signal.aborted) this.listener.failed(error);
    }
    this.#running = undefined;
    this.listener.changed();
  }
}
