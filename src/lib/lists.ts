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

/** So far it is looked for the place where two lists go on alike. Most changes are of a few items. */
const LOOKAHEAD = 16;

/** What two versions of a list have in common. */
interface Alignment {
  /** Where each item of the second list is in the first one; -1: it is not there. */
  readonly places: Int32Array;
  /** The indexes of the items that only the first list has. */
  readonly gone: readonly number[];
  /** Whether both have the same items in the same order. */
  readonly isSame: boolean;
}

/**
 * Finds each item of a list in another one. None is twice in a list. Both are walked through side by side, as
 * thousands of items are mostly the same: only what is left over is looked up.
 */
export function align<T>(first: readonly T[], second: readonly T[]): Alignment {
  const places = new Int32Array(second.length).fill(-1);
  const [left, right]: [number[], number[]] = [[], []];
  let [at, to] = [0, 0];
  while (at < first.length && to < second.length) {
    if (first[at] === second[to]) places[to++] = at++;
    else {
      const [skipped, added] = wayOn(first, at, second, to);
      for (const end = at + skipped; at < end; at++) left.push(at);
      for (const end = to + added; to < end; to++) right.push(to);
    }
  }
  for (; at < first.length; at++) left.push(at);
  for (; to < second.length; to++) right.push(to);
  if (left.length === 0 || right.length === 0) {
    return { places, gone: left, isSame: left.length === right.length };
  }
  const moved = new Map(left.map((index) => [first[index], index]));
  for (const index of right) {
    const item = second[index] as T;
    places[index] = moved.get(item) ?? -1;
    moved.delete(item);
  }
  return { places, gone: [...moved.values()], isSame: false };
}

/** How many items of each list to pass by so that they go on alike. */
function wayOn<T>(
  first: readonly T[],
  at: number,
  second: readonly T[],
  to: number,
): readonly [number, number] {
  for (let count = 1; count <= LOOKAHEAD; count++) {
    if (to + count < second.length && first[at] === second[to + count]) return [0, count];
    if (at + count < first.length && first[at + count] === second[to]) return [count, 0];
    if (at + count < first.length && first[at + count] === second[to + count])
      return [count, count];
  }
  return [1, 1];
}

/** The items that only one of two lists has, in their order. None is twice in a list. */
export function differingItems<T>(
  first: readonly T[],
  second: readonly T[],
): { readonly former: readonly T[]; readonly current: readonly T[] } {
  if (first === second) return { former: [], current: [] };
  const { places, gone } = align(first, second);
  return {
    former: gone.map((index) => first[index] as T),
    current: second.filter((_, index) => places[index] === -1),
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
