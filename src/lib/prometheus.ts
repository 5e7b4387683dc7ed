// Writes metrics as Prometheus reads them.
// Source: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4).

/** A metric, as it is described. */
export interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
}

/** A value of a metric. */
export interface Sample {
  /** As `labelText` writes them; empty: none. */
  readonly labels: string;
  readonly value: number;
  /** What stands behind the name, such as `_bucket`. */
  readonly suffix?: string;
}

export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Writes labels. Who has many samples with the same ones does it once. */
export function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeValue(value)}"`)
    .join(",");
}

/** Joins texts of labels. */
export function withLabels(...texts: readonly string[]): string {
  return texts.filter((text) => text !== "").join(",");
}

/** Writes a value as a line. */
export function sampleLine({ name }: Metric, { labels, value, suffix = "" }: Sample): string {
  return `${name}${suffix}${labels === "" ? "" : `{${labels}}`} ${value}\n`;
}

/** Writes a metric; nothing if it has no lines. @param lines as `sampleLine` writes them */
export function metricText({ name, type, help }: Metric, lines: readonly string[]): string {
  if (lines.length === 0) return "";
  return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

/** Counts durations by how long they are. */
export class Histogram {
  readonly #buckets: number[];
  #sum = 0;
  #count = 0;

  /** @param bounds the longest duration of each bucket, ascending */
  constructor(private readonly bounds: readonly number[]) {
    this.#buckets = bounds.map(() => 0);
  }

  observe(value: number): void {
    const index = this.bounds.findIndex((bound) => value <= bound);
    if (index !== -1) this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    this.#sum += value;
    this.#count += 1;
  }

  samples(labels: string): readonly Sample[] {
    let below = 0;
    const buckets = this.bounds.map((bound, index): Sample => {
      below += this.#buckets[index] ?? 0;
      return bucket(String(bound), below);
    });
    return [
      ...buckets,
      bucket("+Inf", this.#count),
      { suffix: "_sum", labels, value: this.#sum },
      { suffix: "_count", labels, value: this.#count },
    ];

    function bucket(le: string, value: number): Sample {
      return { suffix: "_bucket", labels: withLabels(labels, labelText({ le })), value };
    }
  }
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeValue(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
