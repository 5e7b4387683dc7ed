// Waiting: every wait takes a signal and has a limit.

/** Waits `ms` milliseconds, or less if the signal is aborted; never throws. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done, { once: true });
  });
}

/**
 * Runs a task with a signal that is aborted when the given one is, or after `ms` milliseconds.
 * Nothing of it outlives the task: `AbortSignal.timeout` would, until its time has come.
 */
export async function withLimit<T>(
  ms: number,
  signal: AbortSignal,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const abort = (): void => limit.abort(signal.reason);
  const timer = setTimeout(() => {
    limit.abort(new DOMException("The operation timed out.", "TimeoutError"));
  }, ms);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await task(limit.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

/** Lets a task go on that nobody waits for. What it fails with is told, and ends nothing. */
export function inBackground(task: Promise<unknown>, tell: (error: unknown) => void): void {
  task.catch(tell);
}

/** Delays that double from `first` to `cap` milliseconds and have no end. */
export class Backoff {
  #next: number;

  constructor(
    private readonly first: number,
    private readonly cap: number,
  ) {
    this.#next = first;
  }

  /** The delay before the next try, in milliseconds, up to a fifth longer at random. */
  next(): number {
    const delay = this.#next;
    this.#next = Math.min(delay * 2, this.cap);
    // Many gateways that lost the same Engine should not all come back in the same moment.
    return delay + Math.random() * delay * 0.2;
  }

  reset(): void {
    this.#next = this.first;
  }
}

/** A flag that can be waited for: set by many, taken by one. */
export class Wakeup {
  #set = false;
  #resolve: (() => void) | undefined;

  /** Wakes the one that waits, or the next that will. */
  set(): void {
    this.#set = true;
    this.#resolve?.();
  }

  /** Waits until it is set, at most `ms` milliseconds, and takes it. True where it was set. */
  async wait(ms: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#set && !signal.aborted) {
      const early = new AbortController();
      this.#resolve = () => early.abort();
      await pause(ms, AbortSignal.any([signal, early.signal]));
      this.#resolve = undefined;
    }
    const was = this.#set;
    this.#set = false;
    return was;
  }
}

/** Runs `task` over all items, at most `width` at a time. The first failure is thrown. */
export async function forEachLimited<T>(
  items: readonly T[],
  width: number,
  task: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await task(item);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
}
