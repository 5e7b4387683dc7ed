// A clock that a test moves on itself, timer by timer, with all the work between done at each.

import { afterEach, beforeEach, jest } from "bun:test";

/** So many turns of the event loop are quick; from then on each leaves a millisecond to others. */
const QUICK_TURNS = 20_000;
/** By then all is done that waits for no timer, on a loaded machine too. */
const TURNS = QUICK_TURNS + 30_000;

/** Every test of the file has a clock of its own, which stands until it is moved on. */
export function useFakeClock(): void {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => {
    jest.clearAllTimers();
    jest.useRealTimers();
  });
}

/** One turn of the event loop: files, sockets and programs go on, timers do not. */
export function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** Lets everything go on until something holds, without any time passing. */
export async function until(holds: () => boolean): Promise<void> {
  for (let turns = 0; turns < TURNS; turns++) {
    await turn();
    if (holds()) return;
    yieldAfter(turns);
  }
  throw new Error("it does not come to rest without time passing");
}

/** Lets so much time pass, in milliseconds, and at each timer waits until `isIdle` holds. */
export async function elapse(ms: number, isIdle: () => boolean = () => true): Promise<void> {
  await until(isIdle);
  const end = { isThere: false };
  setTimeout(() => (end.isThere = true), ms);
  while (!end.isThere) {
    jest.advanceTimersToNextTimer();
    await until(isIdle);
  }
}

/** Waits for a task that needs no more than timers, and lets only so much time pass as it takes. */
export async function through<T>(task: Promise<T>): Promise<T> {
  const end = { isThere: false };
  const note = (): void => void (end.isThere = true);
  task.then(note, note);
  for (let turns = 0; turns < TURNS; turns++) {
    await turn();
    if (end.isThere) return task;
    yieldAfter(turns);
    jest.advanceTimersToNextTimer();
  }
  throw new Error("it does not end");
}

/** A program that was started, or the other end of a socket, needs the processor. */
function yieldAfter(turns: number): void {
  if (turns > QUICK_TURNS) Bun.sleepSync(1);
}
