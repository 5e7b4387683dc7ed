// Compares two versions of a list. Of thousands of items few differ, and only those are looked at.

/** The range in which two lists differ, between their common beginning and their common end. */
export interface Difference {
  /** How many items the lists have in common at their beginning: where the range starts in both. */
  readonly start: number;
  /** Where the range ends in the first list: the index after its last item. */
  readonly before: number;
  /** Where the range ends in the second list. */
  readonly after: number;
}

/** Finds the range in which two lists differ. */
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

/**
 * The items that only one of two lists has, in their order. Where several changes lie far apart, the range
 * between them is mostly the same in both.
 */
export function differingItems<T extends object>(
  first: readonly T[],
  second: readonly T[],
): { readonly former: readonly T[]; readonly current: readonly T[] } {
  const { start, before, after } = listDifference(first, second);
  const [old, now] = [first.slice(start, before), second.slice(start, after)];
  if (old.length === 0 || now.length === 0) return { former: old, current: now };
  const [inOld, inNow] = [new Set(old), new Set(now)];
  return {
    former: old.filter((item) => !inNow.has(item)),
    current: now.filter((item) => !inOld.has(item)),
  };
}

const NONE: readonly never[] = Object.freeze([]);

/** The same list; all empty ones are one. Thousands of services have a dozen such lists each. */
export function shared<T>(list: readonly T[]): readonly T[] {
  return list.length === 0 ? NONE : list;
}

/** Whether two lists have the same items in the same order. */
export function sameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
