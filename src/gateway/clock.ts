// Decides when the loop goes on: one value holds every due time, and one function reads it.

/** What decides how long a reload waits. All times are in milliseconds since 1970. */
export interface QuietPeriod {
  /** The quiet period before a reload and the longest that a change waits, in milliseconds. */
  readonly limits: { readonly min: number; readonly max: number };
  /** When the first and the last waiting change came; undefined if none waits. */
  readonly waiting?: { readonly since: number; readonly last: number } | undefined;
  readonly lastReload: number;
}

/** Everything that the loop waits for. All times are in milliseconds since 1970. */
export interface Schedule {
  /** Whether something happened since the last pass began. */
  readonly awake: boolean;
  /** A pass for what happened begins no sooner. */
  readonly notBefore?: number | undefined;
  /** Whether the Engine can be read. */
  readonly connected: boolean;
  /** When everything is read again: the resync. */
  readonly resyncAt: number;
  /** When a container is read again without an event. */
  readonly rereadAt?: number | undefined;
  /** When a failed pass is tried again. */
  readonly retryAt?: number | undefined;
  /** When the gateway looks for containers that do not answer. */
  readonly lateAt?: number | undefined;
  /** When requests for a service no longer wait for a container. */
  readonly holdAt?: number | undefined;
  /** When the gateway looks whether files have changed that labels name. */
  readonly filesAt?: number | undefined;
  /** When the gateway looks which servers HAProxy has as down. */
  readonly outagesAt?: number | undefined;
  readonly quiet: QuietPeriod;
}

export interface Due {
  /** In milliseconds since 1970; never before now. */
  readonly at: number;
  /**
   * `pass`: reconcile. `late`: look for containers that do not answer. `hold`: end holds. `files`: look for
   * files that have changed. `outages`: look for servers that are down.
   */
  readonly task: "pass" | "resync" | "late" | "hold" | "files" | "outages";
}

/** Decides what comes next, and when. There is no pass as long as the Engine cannot be read. */
export function nextDue(schedule: Schedule, now: number): Due {
  const { awake, notBefore = now, connected, resyncAt, rereadAt, retryAt, quiet } = schedule;
  const { lateAt = Infinity, holdAt = Infinity, filesAt = Infinity } = schedule;
  const { outagesAt = Infinity } = schedule;
  // A change that failed waits only for its retry. Its quiet period is over.
  const changeAt = retryAt ?? quietEnd(quiet);
  const passAt = awake ? notBefore : Math.min(rereadAt ?? Infinity, changeAt);
  const dues: Due[] = [
    ...(connected ? ([{ at: passAt, task: "pass" }] as const) : []),
    { at: resyncAt, task: "resync" },
    { at: lateAt, task: "late" },
    { at: holdAt, task: "hold" },
    { at: filesAt, task: "files" },
    { at: outagesAt, task: "outages" },
  ];
  const { at, task } = dues.reduce((first, due) => (due.at < first.at ? due : first));
  return { at: Math.max(at, now), task };
}

/**
 * Decides when the reload for the waiting changes comes; Infinity if none waits. The first change
 * after a calm is not delayed. Later ones wait until nothing has changed for `min`, but no longer
 * than `max`.
 */
export function quietEnd({ limits: { min, max }, waiting, lastReload }: QuietPeriod): number {
  if (waiting === undefined) return Infinity;
  // A calm is a time of `max` without a reload, so that a single change is not delayed.
  if (waiting.since - lastReload >= max) return waiting.since;
  return Math.min(waiting.last + min, waiting.since + max);
}

/** Adds a waiting change. */
export function withChange(quiet: QuietPeriod, now: number): QuietPeriod {
  return { ...quiet, waiting: { since: quiet.waiting?.since ?? now, last: now } };
}

/** Removes the waiting changes. */
export function withoutChange(quiet: QuietPeriod): QuietPeriod {
  return { ...quiet, waiting: undefined };
}
