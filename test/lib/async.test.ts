// Waits and retry delays, tested with fake timers.

import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import {
  Backoff,
  forEachLimited,
  inBackground,
  pause,
  Wakeup,
  withTimeout,
} from "../../src/lib/async.ts";
import { errorMessage } from "../../src/lib/errors.ts";

/** Lets all promises settle that do not wait for a timer. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

/** Tells whether a promise is resolved, and its value. */
function watch<T>(promise: Promise<T>): { value?: T; done: boolean } {
  const state: { value?: T; done: boolean } = { done: false };
  void promise.then((value) => {
    state.value = value;
    state.done = true;
  });
  return state;
}

/** A task that ends only with its signal, and then with its reason. */
const endless = (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(signal.reason));
    if (signal.aborted) resolve(signal.reason);
  });

describe("pause and Wakeup", () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  test("a pause lasts its time", async () => {
    const state = watch(pause(100));
    jest.advanceTimersByTime(99);
    await settle();
    expect(state.done).toBe(false);
    jest.advanceTimersByTime(1);
    await settle();
    expect(state.done).toBe(true);
  });

  test("an aborted signal ends a pause, and leaves no timer", async () => {
    const end = new AbortController();
    const state = watch(pause(100, end.signal));
    end.abort();
    await settle();
    expect(state.done).toBe(true);
    expect(jest.getTimerCount()).toBe(0);
    expect(watch(pause(100, AbortSignal.abort())).done).toBe(false);
    expect(jest.getTimerCount()).toBe(0);
  });

  test("a set flag wakes the waiting caller before the time is up", async () => {
    const wakeup = new Wakeup();
    const state = watch(wakeup.wait(1000, new AbortController().signal));
    await settle();
    expect(state.done).toBe(false);
    wakeup.set();
    wakeup.set();
    await settle();
    expect(state).toEqual({ done: true, value: true });
    expect(jest.getTimerCount()).toBe(0);
  });

  test("a flag that was set before the wait is not lost, and wakes only once", async () => {
    const wakeup = new Wakeup();
    const { signal } = new AbortController();
    wakeup.set();
    expect(await wakeup.wait(1000, signal)).toBe(true);
    const second = watch(wakeup.wait(1000, signal));
    jest.advanceTimersByTime(1000);
    await settle();
    expect(second).toEqual({ done: true, value: false });
  });

  test("an aborted signal ends the wait for a flag", async () => {
    const end = new AbortController();
    const state = watch(new Wakeup().wait(1000, end.signal));
    end.abort();
    await settle();
    expect(state).toEqual({ done: true, value: false });
  });
});

describe("a limit", () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  test("ends a task that takes too long", async () => {
    const state = watch(withTimeout(100, new AbortController().signal, endless));
    jest.advanceTimersByTime(99);
    await settle();
    expect(state.done).toBe(false);
    jest.advanceTimersByTime(1);
    await settle();
    expect((state.value as Error).name).toBe("TimeoutError");
  });

  test.each([true, false])("and the signal does, aborted before: %p", async (before) => {
    const end = new AbortController();
    if (before) end.abort("enough");
    const state = watch(withTimeout(100, end.signal, endless));
    if (!before) end.abort("enough");
    await settle();
    expect(state).toEqual({ done: true, value: "enough" });
    expect(jest.getTimerCount()).toBe(0);
  });

  test("leaves nothing of a task that ends or fails by itself", async () => {
    const { signal } = new AbortController();
    expect(await withTimeout(100, signal, () => Promise.resolve("done"))).toBe("done");
    const failing = withTimeout(100, signal, () => Promise.reject(new Error("no")));
    expect(await failing.catch(errorMessage)).toBe("no");
    expect(jest.getTimerCount()).toBe(0);
  });
});

test("what a task in the background fails with is told, and ends nothing", async () => {
  const told: unknown[] = [];
  const error = new Error("no");
  inBackground(Promise.reject(error), (failure) => told.push(failure));
  inBackground(Promise.resolve(1), (failure) => told.push(failure));
  await new Promise((resolve) => void setImmediate(resolve));
  expect(told).toEqual([error]);
});

describe("Backoff", () => {
  test("doubles up to its cap and stays there, at most a fifth longer", () => {
    const backoff = new Backoff(100, 1000);
    for (const expected of [100, 200, 400, 800, 1000, 1000, 1000]) {
      const delay = backoff.next();
      expect(delay).toBeGreaterThanOrEqual(expected);
      expect(delay).toBeLessThanOrEqual(expected * 1.2);
    }
    backoff.reset();
    expect(backoff.next()).toBeLessThanOrEqual(120);
  });

  test("is random, so that many gateways do not retry at the same moment", () => {
    const delays = Array.from({ length: 20 }, () => new Backoff(100, 1000).next());
    expect(new Set(delays).size).toBeGreaterThan(1);
  });
});

describe("forEachLimited", () => {
  test("runs for all items, at most so many at a time", async () => {
    let running = 0;
    let most = 0;
    const seen: number[] = [];
    await forEachLimited([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
      most = Math.max(most, ++running);
      await settle();
      running--;
      seen.push(item);
    });
    expect(new Set(seen)).toEqual(new Set([1, 2, 3, 4, 5, 6, 7]));
    expect(most).toBe(3);
  });

  test("takes an empty list, and fewer items than may run at a time", async () => {
    const seen: number[] = [];
    const note = (item: number): Promise<void> => Promise.resolve(void seen.push(item));
    await forEachLimited([], 3, note);
    await forEachLimited([1], 3, note);
    expect(seen).toEqual([1]);
  });

  test("throws the first failure", async () => {
    const failing = forEachLimited([1, 2, 3], 2, async (item) => {
      await settle();
      if (item > 1) throw new Error(`no ${item}`);
    });
    expect(await failing.catch(errorMessage)).toBe("no 2");
  });
});
