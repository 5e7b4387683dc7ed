// Where two lists or two texts differ: of thousands of items few do, and only these need a look.

/** What lies between the common beginning and the common end of two lists or texts. */
export interface Difference {
  /** Where the common beginning ends. */
  readonly start: number;
  /** Where the common end begins in the first. */
  readonly before: number;
  /** Where the common end begins in the second. */
  readonly after: number;
}

/** Where two lists differ: items are the same where they are the same object. */
export function listDifference<T>(first: readonly T[], second: readonly T[]): Difference {
  const shorter = Math.min(first.length, second.length);
  let start = 0;
  while (start < shorter && first[start] === second[start]) start++;
  let [before, after] = [first.length, second.length];
  while (before > start && after > start && first[before - 1] === second[after - 1]) {
    before--;
    after--;
  }
  return { start, before, after };
}

/** Where two texts differ. */
export function textDifference(first: string, second: string): Difference {
  const shorter = Math.min(first.length, second.length);
  const start = longest(shorter, (from, to) => first.slice(from, to) === second.slice(from, to));
  const [one, two] = [first.length, second.length];
  const end = longest(
    shorter - start,
    (from, to) => first.slice(one - to, one - from) === second.slice(two - to, two - from),
  );
  return { start, before: one - end, after: two - end };
}

/** Where two texts differ, in whole lines. */
export function lineDifference(first: string, second: string): Difference {
  const { start, before, after } = textDifference(first, second);
  const line = first.lastIndexOf("\n", start - 1) + 1;
  // The line in which the common end begins is whole in both only from the next one on.
  const next = first.indexOf("\n", before);
  const more = next < 0 ? first.length - before : next + 1 - before;
  return { start: start === 0 ? 0 : line, before: before + more, after: after + more };
}

/**
 * The longest length up to `limit` for which two texts are the same, found by halves: to compare
 * two pieces costs next to nothing, to compare them character by character does not.
 */
function longest(limit: number, isSame: (from: number, to: number) => boolean): number {
  let [sure, open] = [0, limit];
  while (sure < open) {
    const middle = Math.ceil((sure + open) / 2);
    if (isSame(sure, middle)) sure = middle;
    else open = middle - 1;
  }
  return sure;
}
