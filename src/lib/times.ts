// How HAProxy notes how long answers take: in buckets, each a few percent wider than the one before it, of a part of
// the requests. Both who writes its rules and who reads what it noted need that. Pure.

/** Up to so many requests a second to a service, each is noted; */
const ALL_UP_TO = 50;
/** of more, one in so many, by chance. */
const ONE_IN = 20;
/** So much wider is a bucket than the one before it: what is said of a time is off by a fifth at most. */
const GROWTH = 1.2;
/** The last bucket begins below it: an hour, as nothing waits longer. In milliseconds. */
const LONGEST = 3_600_000;

/** Where each bucket begins, in milliseconds. The first ones have one millisecond each. */
const BOUNDS = boundsOf();

function boundsOf(): readonly number[] {
  const bounds = [0];
  for (let bound = 1; bound <= LONGEST; bound = Math.max(bound + 1, Math.floor(bound * GROWTH))) {
    bounds.push(bound);
  }
  return bounds;
}

/** So many numbers there are for buckets. */
const BUCKETS = 128;
/** So many keys there are for a backend: each bucket, of all requests and of a part of them. */
const KEYS = 2 * BUCKETS;

/** What rules need: numbers, and the ranges of the buckets. */
export const NOTING = {
  allUpTo: ALL_UP_TO,
  oneIn: ONE_IN,
  buckets: BUCKETS,
  keys: KEYS,
  ranges: BOUNDS.map((from, index) => ({
    key: `${from}:${(BOUNDS[index + 1] ?? 2 ** 31) - 1}`,
    // Without the sign before it, the number could be the name of a backend.
    value: `~${index}`,
  })),
} as const;

/** How many requests were in each bucket. */
export type Counts = Map<number, number>;

/**
 * Adds what HAProxy counted for a key.
 * @param byBackend what was counted of each backend, by its number in HAProxy
 */
export function addCount(byBackend: Map<number, Counts>, key: number, count: number): void {
  const backend = Math.floor(key / KEYS);
  const [isPart, bucket] = [key % KEYS >= BUCKETS, key % BUCKETS];
  const counts = byBackend.get(backend) ?? new Map<number, number>();
  counts.set(bucket, (counts.get(bucket) ?? 0) + count * (isPart ? ONE_IN : 1));
  byBackend.set(backend, counts);
}

/**
 * The time within which a share of the requests were answered, in whole milliseconds; undefined: there were none.
 * Within a bucket the requests are taken to be spread evenly.
 * @param share from 0 to 1
 */
export function quantile(counts: Counts | undefined, share: number): number | undefined {
  const sorted = [...(counts ?? [])].toSorted(([a], [b]) => a - b);
  let left = share * sorted.reduce((sum, [, count]) => sum + count, 0);
  if (left === 0) return undefined;
  for (const [index, [bucket, count]] of sorted.entries()) {
    if (left > count && index < sorted.length - 1) {
      left -= count;
      continue;
    }
    const from = BOUNDS[bucket] ?? LONGEST;
    const last = (BOUNDS[bucket + 1] ?? from + 1) - 1;
    return Math.round(from + Math.min(1, left / count) * (last - from));
  }
  return undefined;
}
