// Waits and retry delays, tested with fake timers.

import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { Backoff, forEachLimited, pause, Wakeup } from "../../src/lib/async.ts";
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
