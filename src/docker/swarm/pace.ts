// How often a manager is asked for tasks: it has no events for those of other nodes. It only computes.

/** While something is under way, in milliseconds: a task is drained before its application has ended. */
export const QUICK = 100;
/** In calm, in milliseconds: a task that came by itself is served within a second. */
export const CALM = 1_000;
/**
 * Where not all tasks are asked for each time: so often it is asked how many of each service run, in milliseconds.
 * What came by itself is asked for at once then, and served within a second.
 */
export const COUNT = 300;
/** What is under way and does not change for so long is taken for calm, in milliseconds. */
export const UNDERWAY_LIMIT = 30_000;
/** So long after an event something may be about to begin, in milliseconds. */
export const AFTER_EVENT = 5_000;
/** The pause is so many times as long as the answer took: a slow manager is asked less often. */
const PAUSE_PER_ANSWER = 0.5;

/** What is known of the tasks of a service. All times are in milliseconds since 1970. */
export interface Pace {
  /** Whether a task is coming up or ending, or the service is being updated. */
  readonly isUnderway: boolean;
  /** When a task last changed. */
  readonly changedAt: number;
  /** When there was an event about the service, or about a node of its. */
  readonly eventAt: number;
}

/** Whether tasks are asked for at the quick pace. */
export function isQuick({ isUnderway, changedAt, eventAt }: Pace, now: number): boolean {
  return now - eventAt < AFTER_EVENT || (isUnderway && now - changedAt < UNDERWAY_LIMIT);
}

/** How long to wait until the next question, in milliseconds. @param took how long the answer took */
export function pauseAfter(took: number, wished: number): number {
  return Math.max(wished, took * PAUSE_PER_ANSWER);
}

/** The same until the tasks are counted again. @param took how long the answer took */
export function untilNextCount(took: number): number {
  return pauseAfter(took, COUNT - took);
}
