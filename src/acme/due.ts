// Decides when a certificate is asked for: for the first time, again after a failure, or anew before it ends.
// It only decides: the time is given to it. All times are in milliseconds since 1970.

/**
 * What a try ended with. `refused`: the authority refused, or could not prove a name. `authority`: it is
 * down, slow, or says that it fails itself. `here`: something here is not ready, and it was not asked.
 * `begun`: it has not ended, or the gateway did before it.
 */
export type Outcome = "refused" | "authority" | "here" | "begun";

/** A try that brought no certificate. */
export interface Try {
  readonly at: number;
  readonly outcome: Outcome;
}

/** What is known of a certificate that is wanted. It survives restarts. */
export interface Memory {
  /** The host names of the last try. */
  readonly names: readonly string[];
  /** The tries since the last certificate, the newest one last. */
  readonly tries: readonly Try[];
  /** Why the last one failed; empty: none did. */
  readonly reason: string;
  /** The directory of the authority that made the last certificate; empty: that is not known. */
  readonly directory: string;
  /** When certificates were made, in the last week. */
  readonly issued: readonly number[];
  /** The authority takes no try before this. */
  readonly notBefore: number;
  /** When the authority wants it renewed (RFC 9773), and when it is asked again for that. */
  readonly window: { readonly start: number; readonly end: number } | undefined;
  readonly askAt: number;
  /** Since when no route has these names; undefined: one has. */
  readonly unwantedSince: number | undefined;
}

/** A certificate that there is. */
export interface Lifetime {
  readonly notBefore: number;
  readonly notAfter: number;
  readonly names: readonly string[];
}

/** What decides when to ask. */
export interface Question {
  readonly names: readonly string[];
  /** The directory that is asked. */
  readonly directory: string;
  /** Since when it is wanted. */
  readonly wantedSince: number;
  readonly certificate: Lifetime | undefined;
  readonly memory: Memory;
  /** The failed tries of others with a name of this one. */
  readonly others: readonly Try[];
  /** From 0 to 1, always the same for one certificate: not all are renewed at one moment. */
  readonly chance: number;
}

/** Why a certificate is asked for. */
export type Why = "first" | "names" | "authority" | "renewal";

const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000] as const;
const WEEK = 7 * DAY;

/** Nothing was tried yet. */
export const NOTHING: Memory = {
  names: [],
  tries: [],
  reason: "",
  directory: "",
  issued: [],
  notBefore: 0,
  window: undefined,
  askAt: 0,
  unwantedSince: undefined,
};

/** A route that comes is left so long, as others of its service may come with it. */
const SETTLE = 2 * SECOND;

/** The pauses after the first failure, the second, and so on. The last one stays. */
const PAUSES: Readonly<Record<Outcome, readonly number[]>> = {
  refused: [5, 15, 30, 60, 120, 240, 480, 1_440].map((minutes) => minutes * MINUTE),
  authority: [1, 2, 5, 10, 30, 60].map((minutes) => minutes * MINUTE),
  // It costs nobody else anything, and somebody may be just mending it.
  here: [10, 20, 40, 60, 120, 300, 600].map((seconds) => seconds * SECOND),
  // The next gateway goes on at once, but not for ever if that is what ends it.
  begun: [0, 60, 300, 900, 1_800, 3_600].map((seconds) => seconds * SECOND),
};
/** A pause is longer by up to so much of itself. */
const JITTER = 0.1;

/** Let's Encrypt takes so many failed validations of a name in an hour. Source: its page "Rate Limits". */
const FAILURES_IN_AN_HOUR = 5;
/** Let's Encrypt makes so many certificates for one set of names in a week. Source: the same. */
const ISSUED_IN_A_WEEK = 5;
/** Of the life of a certificate. */
const RENEWED_AT = 2 / 3;
/** All are renewed within so much of their life before that. */
const SPREAD = 1 / 30;
/** Whatever the authority wants, it is not left longer than this. */
const LATEST = 9 / 10;
/** A new one is never renewed before so much of its life is over, and a day at most: the clock may be wrong. */
const EARLIEST = 1 / 3;

/** Decides when a certificate is asked for next, and why. */
export function nextOrder(question: Question): { readonly at: number; readonly why: Why } {
  const { memory, others, certificate, wantedSince } = question;
  const why = reasonOf(question);
  const base =
    why === "renewal" && certificate !== undefined
      ? renewalAt(certificate, question)
      : wantedSince + SETTLE;
  const made = why === "renewal" ? 0 : afterMany(memory.issued, ISSUED_IN_A_WEEK, WEEK);
  const at = Math.max(base, afterFailures(question), limitOf(memory.tries, others), made);
  return { at: Math.max(at, memory.notBefore), why };
}

/** What keeps a certificate from being asked for, whatever its age. */
export interface Limit {
  /** Until when. */
  readonly until: number;
  readonly reason: string;
}

/** What the authority would not take now; undefined: it can be asked. */
export function limitNow(
  { memory, others }: Pick<Question, "memory" | "others">,
  now: number,
): Limit | undefined {
  const limits: Limit[] = [
    {
      until: limitOf(memory.tries, others),
      reason: `it has failed ${FAILURES_IN_AN_HOUR} times within an hour`,
    },
    {
      until: afterMany(memory.issued, ISSUED_IN_A_WEEK, WEEK),
      reason: `it was made ${ISSUED_IN_A_WEEK} times within a week`,
    },
    { until: memory.notBefore, reason: "the authority wants to be left alone until then" },
  ];
  return limits.filter(({ until }) => until > now).toSorted((a, b) => b.until - a.until)[0];
}

function reasonOf({ certificate, names, directory, memory }: Question): Why {
  if (certificate === undefined) return "first";
  if (memory.directory !== "" && memory.directory !== directory) return "authority";
  return names.every((name) => certificate.names.includes(name)) ? "renewal" : "names";
}

function renewalAt({ notBefore, notAfter }: Lifetime, { memory, chance }: Question): number {
  const life = notAfter - notBefore;
  const { window } = memory;
  const wanted =
    window === undefined
      ? notBefore + life * (RENEWED_AT - SPREAD * chance)
      : window.start + (window.end - window.start) * chance;
  const issued = memory.issued.at(-1) ?? notBefore;
  const earliest = issued + Math.min(life * EARLIEST, DAY);
  // An authority that revokes wants it at once: its window is in the past.
  if (window !== undefined && window.end < notBefore + life * EARLIEST) return wanted;
  return Math.max(Math.min(wanted, notBefore + life * LATEST), earliest);
}

/** When the pause after the last failures is over. */
function afterFailures({ memory: { tries }, chance }: Question): number {
  const last = tries.at(-1);
  if (last === undefined) return 0;
  const other = tries.findLastIndex(({ outcome }) => outcome !== last.outcome);
  const pauses = PAUSES[last.outcome];
  const count = tries.length - 1 - other;
  const pause = pauses[Math.min(count, pauses.length) - 1] ?? 0;
  return last.at + pause * (1 + JITTER * chance);
}

/** When the authority may be asked again without more failures for a name than it takes. */
function limitOf(tries: readonly Try[], others: readonly Try[]): number {
  const failures = [...tries, ...others]
    .filter(({ outcome }) => outcome === "refused" || outcome === "begun")
    .map(({ at }) => at);
  return afterMany(failures, FAILURES_IN_AN_HOUR, HOUR);
}

/** When there have been fewer than so many within a time. */
function afterMany(times: readonly number[], most: number, within: number): number {
  const ordered = times.toSorted((a, b) => a - b);
  const first = ordered.at(-most);
  return first === undefined ? 0 : first + within;
}

/** A file whose routes are gone stays so long. */
const KEPT = 30 * DAY;

/** Whether files can go that nobody wants any more. */
export function canGo({ unwantedSince }: Memory, now: number): boolean {
  return unwantedSince !== undefined && now - unwantedSince > KEPT;
}

/** More tries are not remembered: the pauses grow no longer. */
const TRIES_KEPT = 12;

/** Notes that a try begins. It counts as failed until it is known how it ended. */
export function begin(memory: Memory, names: readonly string[], at: number): Memory {
  return {
    ...memory,
    names,
    tries: [...memory.tries, { at, outcome: "begun" as const }].slice(-TRIES_KEPT),
  };
}

/**
 * Notes that a try failed.
 * @param isBegun whether `begin` noted it, as the authority was asked
 * @param notBefore when the authority takes the next one; 0: it does not say
 */
export function fail(
  memory: Memory,
  outcome: Outcome,
  at: number,
  isBegun: boolean,
  notBefore = 0,
): Memory {
  const before = isBegun ? memory.tries.slice(0, -1) : memory.tries;
  return { ...memory, notBefore, tries: [...before, { at, outcome }].slice(-TRIES_KEPT) };
}

/** Notes that an authority made a certificate. */
export function succeed(memory: Memory, directory: string, at: number): Memory {
  const issued = [...memory.issued.filter((each) => at - each < WEEK), at];
  const none = { tries: [], reason: "", notBefore: 0, window: undefined, askAt: 0 };
  return { ...memory, ...none, directory, issued };
}
