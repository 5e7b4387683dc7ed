// How often a manager is asked for its tasks: it has no events for those of other nodes. It only computes.

/** While something is under way, in milliseconds: a task is drained before its application has ended. */
export const QUICK = 100;
/** In calm, in milliseconds: a task that came by itself is served within a second. */
export const CALM = 1_000;
/** What is under way and does not change for so long is taken for calm, in milliseconds. */
export const UNDERWAY_LIMIT = 30_000;
/** So long after an event something may be about to begin, in milliseconds. */
export const AFTER_EVENT = 5_000;
/** The pause is so many times as long as the answer took: a swarm with many tasks is asked less often. */
const PAUSE_PER_ANSWER = 4;

/** What is known when an answer has come. All times are in milliseconds since 1970. */
export interface Pace {
  readonly now: number;
  /** How long the answer took, in milliseconds. */
  readonly took: number;
  /** Whether a task is coming up or ending, or a service is being updated. */
  readonly isUnderway: boolean;
  /** When a task last changed. */
  readonly changedAt: number;
  /** When there was an event about a service or a node. */
  readonly eventAt: number;
}

/** How long to wait until the next question, in milliseconds. */
export function nextPause({ now, took, isUnderway, changedAt, eventAt }: Pace): number {
  const isQuick = now - eventAt < AFTER_EVENT || (isUnderway && now - changedAt < UNDERWAY_LIMIT);
  return Math.max(isQuick ? QUICK : CALM, took * PAUSE_PER_ANSWER);
}
