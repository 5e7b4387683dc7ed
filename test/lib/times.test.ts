// How long answers take, from what HAProxy counts in buckets.

import { describe, expect, test } from "bun:test";
import { addCount, NOTING, quantile, type Counts } from "../../src/lib/times.ts";

/** The bucket of a time. */
function bucketOf(ms: number): number {
  const found = NOTING.ranges.find(({ key: range }) => {
    const [from = 0, to = 0] = range.split(":").map(Number);
    return from <= ms && ms <= to;
  });
  return Number(found?.value.slice(1));
}

/** What HAProxy counts of these times. */
function countsOf(times: readonly number[]): Counts {
  const counts: Counts = new Map();
  for (const ms of times) counts.set(bucketOf(ms), (counts.get(bucketOf(ms)) ?? 0) + 1);
  return counts;
}

/** The key under which HAProxy counts a time. @param isPart whether only a part of the requests is noted */
function key(backend: number, isPart: boolean, ms: number): number {
  return backend * NOTING.keys + (isPart ? NOTING.buckets : 0) + bucketOf(ms);
}

test("each time has one bucket, without a gap, and there are enough numbers for them", () => {
  let next = 0;
  for (const [index, { key: range, value }] of NOTING.ranges.entries()) {
    const [from = 0, to = 0] = range.split(":").map(Number);
    expect([from, value]).toEqual([next, `~${index}`]);
    expect(to).toBeGreaterThanOrEqual(from);
    next = to + 1;
  }
  expect(next).toBe(2 ** 31);
  expect(NOTING.ranges.length).toBeLessThanOrEqual(NOTING.buckets);
});

describe("the time within which a share was answered", () => {
  test.each<[string, readonly number[], number, number]>([
    ["all alike", Array.from({ length: 100 }, () => 4), 4, 4],
    ["under a millisecond", [0, 0, 0], 0, 0],
    ["one alone", [7], 7, 7],
    ["evenly from 1 to 1,000", Array.from({ length: 1_000 }, (_, index) => index + 1), 500, 950],
    [
      "one in ten is late",
      [...Array.from({ length: 90 }, () => 3), ...Array.from({ length: 10 }, () => 2_000)],
      3,
      2_000,
    ],
    ["an hour and more", [3_600_000, 4_000_000, 5_000_000], 3_600_000, 3_600_000],
  ])("%s", (_, times, half, most) => {
    const counts = countsOf(times);
    for (const [share, wanted] of [
      [0.5, half],
      [0.95, most],
    ] as const) {
      const found = quantile(counts, share) ?? -1;
      expect(Math.abs(found - wanted)).toBeLessThanOrEqual(wanted * 0.1);
    }
  });

  test("is off by a fifth at most, also where all are alike", () => {
    for (let ms = 1; ms < 3_000_000; ms = Math.ceil(ms * 1.01)) {
      const counts = countsOf(Array.from({ length: 20 }, () => ms));
      for (const share of [0.01, 0.5, 0.95, 1]) {
        expect(Math.abs((quantile(counts, share) ?? 0) - ms)).toBeLessThanOrEqual(ms * 0.2);
      }
    }
  });

  test("of none it is not known", () => {
    expect(quantile(undefined, 0.5)).toBeUndefined();
    expect(quantile(new Map(), 0.5)).toBeUndefined();
  });

  test("those of which only a part is noted count for all", () => {
    const byBackend = new Map<number, Counts>();
    // 100 requests in a calm minute, then 2,000 in a second, of which 100 are noted.
    addCount(byBackend, key(3, false, 2), 100);
    addCount(byBackend, key(3, true, 50), 100);
    addCount(byBackend, key(4, false, 9), 1);
    expect([...byBackend.keys()]).toEqual([3, 4]);
    expect(quantile(byBackend.get(3), 0.04)).toBe(2);
    expect(Math.abs((quantile(byBackend.get(3), 0.5) ?? 0) - 50)).toBeLessThanOrEqual(5);
    expect(quantile(byBackend.get(4), 0.5)).toBe(9);
  });
});
