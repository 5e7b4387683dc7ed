// Lengths of time as text, such as `90s`.

/** The units, the longest first, in milliseconds. */
const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;
const DURATION = /^(?:\d{1,9}(?:ms|s|m|h|d))+$/;

/**
 * Makes a reader of lengths of time, such as `90s` or `1m30s`. The same length always gives the same
 * text, with the longest unit that has a whole number of it: `90s`.
 * @param shortest in milliseconds
 * @param longest in milliseconds
 */
export function durationOf(shortest: number, longest: number) {
  return (text: string): string | undefined => {
    const ms = millisecondsOf(text.toLowerCase());
    return ms === undefined || ms < shortest || ms > longest ? undefined : toDuration(ms);
  };
}

/** A length of time in milliseconds; undefined if the text is none. */
export function millisecondsOf(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined;
  const parts = text.matchAll(/(\d+)(ms|s|m|h|d)/g);
  const units = new Map<string, number>(UNITS);
  return [...parts].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (units.get(unit ?? "") ?? 0),
    0,
  );
}

/** A length of time as HAProxy writes it. */
function toDuration(ms: number): string {
  const [unit, length] = UNITS.find(([, each]) => ms >= each && ms % each === 0) ?? ["ms", 1];
  return `${ms / length}${unit}`;
}
