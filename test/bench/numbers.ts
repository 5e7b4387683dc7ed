// Sums up what was measured and writes it as people read it.

/** The value that so many percent of the values do not exceed. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const index = Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1);
  return sorted[index] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** Milliseconds with as many digits as mean something. */
export function ms(value: number): string {
  if (value >= 10_000) return `${(value / 1000).toFixed(1)} s`;
  return `${digits(value)} ms`;
}

/** Three digits that mean something, never an exponent. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

/** The 50th and the 95th percentile of some milliseconds. */
export function p50p95(values: readonly number[]): string {
  return `${digits(percentile(values, 50))} / ${digits(percentile(values, 95))} ms`;
}
