// Two versions of a list: of thousands of items few differ, and only these need a look.

/** What lies between the common beginning and the common end of two lists. */
export interface Difference {
  /** Where the common beginning ends, in both. */
  readonly start: number;
  /** Where the common end begins in the first list. */
  readonly before: number;
  /** Where the common end begins in the second list. */
  readonly after: number;
}

/** Where two lists differ. */
export function listDifference<A, B>(
  first: readonly A[],
  second: readonly B[],
  isSame: (a: A | undefined, b: B | undefined) => boolean = Object.is,
): Difference {
  const shorter = Math.min(first.length, second.length);
  let start = 0;
  while (start < shorter && isSame(first[start], second[start])) start++;
  let [before, after] = [first.length, second.length];
  while (before > start && after > start && isSame(first[before - 1], second[after - 1])) {
    before--;
    after--;
  }
  return { start, before, after };
}

/** Whether two lists have the same items in the same order. */
export function sameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
