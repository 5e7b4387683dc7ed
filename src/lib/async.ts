// Waits, timeouts and retry delays. Every wait takes a signal and has a limit.

/** Waits `ms` milliseconds, or until the signal is aborted. Never throws. */
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

/** Between two pieces of long work: without it no event would be noticed meanwhile. */
export function breathe(): Promise<void> {
  return pause(0);
}

/**
 * Runs a task with a signal. It is aborted together with the given signal, or after `ms`
 * milliseconds. The timer ends with the task, while that of `AbortSignal.timeout` would go on.
 */
export async function withTimeout<T>(
  ms: number,
  signal: AbortSignal,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const abort = (): void => controller.abort(signal.reason);
  const timer = setTimeout(() => {
    controller.abort(new DOMException("The operation timed out.", "TimeoutError"));
  }, ms);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await task(controller.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

/** Lets a task run without waiting for it. If it fails, only `onError` learns of it. */
export function inBackground(task: Promise<unknown>, onError: (error: unknown) => void): void {
  task.catch(onError);
}

/** An endless series of delays that double, from `first` to `cap` milliseconds. */
export class Backoff {
  #next: number;

  constructor(
    private readonly first: number,
    private readonly cap: number,
  ) {
    this.#next = first;
  }

  /** The delay before the next try, in milliseconds. It is up to a fifth longer at random. */
  next(): number {
    const delay = this.#next;
    this.#next = Math.min(delay * 2, this.cap);
    // Many gateways may lose the same Engine. They should not all come back at the same moment.
    return delay + Math.random() * delay * 0.2;
  }

  reset(): void {
    this.#next = this.first;
  }
}

/** A flag for one waiting caller. Anyone can set it. */
export class Wakeup {
  #isSet = false;
  #wake: (() => void) | undefined;

  /** Wakes the caller that waits. If there is none, the next call of `wait` returns at once. */
  set(): void {
    this.#isSet = true;
    this.#wake?.();
  }

  /**
   * Waits at most `ms` milliseconds until the flag is set, and clears it.
   * @returns whether it was set
   */
  async wait(ms: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#isSet && !signal.aborted) {
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      await pause(ms, AbortSignal.any([signal, woken.signal]));
      this.#wake = undefined;
    }
    const wasSet = this.#isSet;
    this.#isSet = false;
    return wasSet;
  }
}

/** Runs `task` for every item, at most `width` at a time. Throws the first failure. */
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
