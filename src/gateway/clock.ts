// When the loop goes on: one value that holds every due time, and one function that reads it.

/** The quiet period before a reload. All times are in milliseconds since 1970. */
export interface QuietPeriod {
  /** How long nothing may change before a reload, and the longest that a change waits, in ms. */
  readonly limits: { readonly min: number; readonly max: number };
  /** The first and the last change that wait; undefined where none does. */
  readonly waiting?: { readonly since: number; readonly last: number } | undefined;
  readonly lastReload: number;
}

/** Everything that the loop waits for. All times are in milliseconds since 1970. */
export interface Schedule {
  /** Whether something happened that no pass has looked at. */
  readonly awake: boolean;
  /** Whether the Engine can be read. */
  readonly connected: boolean;
  /** When everything is read again. */
  readonly resyncAt: number;
  /** When a container is read again by itself. */
  readonly rereadAt?: number | undefined;
  /** When what failed is tried again. */
  readonly retryAt?: number | undefined;
  /** When it is looked for containers that do not answer. */
  readonly lateAt?: number | undefined;
  readonly quiet: QuietPeriod;
}

export interface Due {
  /** In milliseconds since 1970; never before now. */
  readonly at: number;
  /** `late`: only to look for containers that do not answer. */
  readonly task: "pass" | "resync" | "late";
}

/** What comes next, and when. Without the Engine nothing is read, however long it is away. */
export function nextDue(schedule: Schedule, now: number): Due {
  const { awake, connected, resyncAt, rereadAt, retryAt, lateAt = Infinity, quiet } = schedule;
  // A change that failed waits for its retry: the quiet period has been waited for already.
  const changeAt = retryAt ?? quietEnd(quiet);
  const passAt = awake ? now : Math.min(rereadAt ?? Infinity, changeAt);
  const dues: Due[] = [
    ...(connected ? ([{ at: passAt, task: "pass" }] as const) : []),
    { at: resyncAt, task: "resync" },
    { at: lateAt, task: "late" },
  ];
  const { at, task } = dues.reduce((first, due) => (due.at < first.at ? due : first));
  return { at: Math.max(at, now), task };
}

/**
 * When the changes that wait for a reload go; Infinity where none does. The first change after a
 * calm goes at once; later ones when nothing has changed for `min`, but never later than `max`.
 */
export function quietEnd({ limits: { min, max }, waiting, lastReload }: QuietPeriod): number {
  if (waiting === undefined) return Infinity;
  // A calm is as long as the longest wait: then a single change is never delayed.
  if (waiting.since - lastReload >= max) return waiting.since;
  return Math.min(waiting.last + min, waiting.since + max);
}

/** The quiet period with one more change that waits. */
export function withChange(quiet: QuietPeriod, now: number): QuietPeriod {
  return { ...quiet, waiting: { since: quiet.waiting?.since ?? now, last: now } };
}

/** The quiet period when nothing waits any more. */
export function withoutChange(quiet: QuietPeriod): QuietPeriod {
  return { ...quiet, waiting: undefined };
}
