// The table of results, as the README has it.

import type { Engine } from "../lab/engine.ts";

/** One line of the table. */
export interface Row {
  readonly what: string;
  /** The HAProxy version it was measured with; empty where it does not matter. */
  readonly version: string;
  readonly now: string;
  /** The same by a reload for every change, or whatever else it is compared with. */
  readonly old: string;
  readonly target: string;
  /** Whether the target is reached; undefined where there is none. */
  readonly reached: boolean | undefined;
}

/** What every part is given. */
export interface Bench {
  /** Whether fewer rounds will do. */
  readonly quick: boolean;
  /** A real Engine, the same for all parts; started when first asked for. */
  readonly engine: () => Promise<Engine>;
  /** Tells how it goes, beside the table. */
  readonly say: (line: string) => void;
}

/** The rows as Markdown. */
export function toMarkdown(rows: readonly Row[]): string {
  const lines = rows.map(({ what, version, now, old, target, reached }) => {
    const verdict = reached === undefined ? "" : reached ? "yes" : "**no**";
    return [what, version, now, old, target, verdict];
  });
  const head = ["What", "HAProxy", "Measured", "By reload", "Target", "Reached"];
  return [head, head.map(() => "---"), ...lines]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
}
