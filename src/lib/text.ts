// Compares and formats text: order, differences, likeness, versions, tables, durations.

import { closest, distance } from "fastest-levenshtein";
import type { Difference } from "./lists.ts";

/** Compares by code units, so that the order does not depend on the machine's locale. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Finds the range of lines in which two texts differ, as places in the texts. Of thousands of lines few
 * differ, and only those need to be split.
 */
export function lineDifference(first: string, second: string): Difference {
  const shorter = Math.min(first.length, second.length);
  const common = longest(shorter, (from, to) => first.slice(from, to) === second.slice(from, to));
  const start = common === 0 ? 0 : first.lastIndexOf("\n", common - 1) + 1;
  const commonEnd = longest(
    shorter - start,
    (from, to) =>
      first.slice(first.length - to, first.length - from) ===
      second.slice(second.length - to, second.length - from),
  );
  // Behind a line's end that both have: so a line begins there in both.
  const newline = first.indexOf("\n", first.length - commonEnd);
  const end = newline < 0 || commonEnd === 0 ? 0 : first.length - newline - 1;
  return { start, before: first.length - end, after: second.length - end };
}

/** The largest number up to which all parts are the same, found by halves. */
function longest(most: number, isSame: (from: number, to: number) => boolean): number {
  let [low, high] = [0, most];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (isSame(low, middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The name that was probably meant. Undefined if no name is similar. */
export function nearest(word: string, names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  const name = closest(word, names);
  // A word that differs in more than a third of its letters was not meant.
  return distance(word, name) <= Math.max(2, word.length / 3) ? name : undefined;
}

/** Negative if `a` is older than `b`, 0 if they are the same. Missing parts count as 0. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split(".").map(Number));
  for (let index = 0; index < Math.max(left?.length ?? 0, right?.length ?? 0); index++) {
    const difference = (left?.[index] ?? 0) - (right?.[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** `2.6` for version `2.6.12`. */
export function shortVersion(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}

/**
 * Formats rows as lines with aligned columns. Numbers are aligned to the right.
 * @param columns the width of the terminal; longer lines are cut
 */
export function formatTable(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  columns: number,
): string {
  const widths = head.map((title, index) =>
    Math.max(title.length, ...rows.map((row) => String(row[index] ?? "").length)),
  );
  const line = (cells: readonly (string | number)[]): string =>
    cells
      .map((cell, index) => {
        const width = widths[index] ?? 0;
        return typeof cell === "number" ? String(cell).padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd()
      .slice(0, columns);
  return [head, ...rows].map((row) => `${line(row)}\n`).join("");
}

/** Formats a duration in its largest unit, such as `3 s`, `5 min`, `2 h`, `4 d`. */
export function formatDuration(seconds: number): string {
  const units = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
  ] as const;
  for (const [size, unit] of units) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.floor(seconds)} s`;
}

/**
 * The same text in one piece, for a text of HAProxy's files that is kept. One that was put together
 * keeps its pieces until it is read, which are dozens, and ten times as large.
 */
export function inOnePiece(text: string): string {
  // This reads it. A NUL is in no such file.
  return text.replaceAll("\0", "");
}

/** A day as a person reads it, such as `2027-01-31`, in UTC. @param time in milliseconds since 1970 */
export function formatDay(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
