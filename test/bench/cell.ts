// What a table says of one program in one row: a text for people, and the numbers behind it.

import { digits, median, percentile } from "./numbers.ts";

/** One cell of the table. */
export interface Cell {
  readonly text: string;
  readonly unit?: string;
  readonly median?: number;
  readonly p95?: number;
  /** One number for each round: its value, or the median of its values. */
  readonly rounds?: readonly number[];
}

/** A cell that is not one number. */
export function said(text: string): Cell {
  return { text };
}

/** The median of one value a round, and how far the rounds lie apart. */
export function measured(rounds: readonly number[], unit: string): Cell {
  const middle = median(rounds);
  const text = `${digits(middle)} ${unit}${spread(rounds)}`;
  return { text, unit, median: middle, rounds };
}

/** The 50th and the 95th percentile of all rounds' times, and how far the rounds' medians lie apart. */
export function times(rounds: readonly (readonly number[])[]): Cell {
  const all = rounds.flat();
  const [middle, p95] = [median(all), percentile(all, 95)];
  const medians = rounds.map(median);
  const text = `${digits(middle)} / ${digits(p95)} ms${spread(medians)}`;
  return { text, unit: "ms", median: middle, p95, rounds: medians };
}

/** The lowest and the highest, for behind a median; empty for a single value. */
function spread(values: readonly number[]): string {
  if (values.length < 2) return "";
  return ` (${digits(Math.min(...values))} to ${digits(Math.max(...values))})`;
}
