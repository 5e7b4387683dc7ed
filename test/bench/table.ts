// The table of results, as docs/operating.md has it: a row for what is measured, a column for each program.

import type { Engine } from "../lab/engine.ts";
import type { Cell } from "./cell.ts";
import type { Contestant } from "./contestants.ts";

/** The columns in their order, each with its head. */
const HEADS = {
  itself: "the container itself",
  "2.6": "HAProxy 2.6",
  "3.4": "HAProxy 3.4",
  "2.6 reload": "2.6 by reload",
  "3.4 reload": "3.4 by reload",
  traefik: "Traefik",
  caddy: "Caddy",
  "docker-gen": "docker-gen, nginx",
  nginx: "nginx",
} as const;

/** Who is measured: this program by its HAProxy, or another one. */
export type Column = keyof typeof HEADS;

const COLUMNS = Object.keys(HEADS) as Column[];

/** One line of the table. */
export interface Row {
  readonly what: string;
  readonly cells: Readonly<Partial<Record<Column, Cell>>>;
  /** Empty where there is none. */
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
  /** The other programs that are installed. */
  readonly peers: readonly Contestant[];
  /** The program of nginx, if it is installed. */
  readonly nginx: string | undefined;
  /** Tells how it goes, beside the table. */
  readonly say: (line: string) => void;
}

/** Makes a row without a target. */
export function row(what: string, cells: Row["cells"]): Row {
  return { what, cells, target: "", reached: undefined };
}

/** The rows as Markdown. A column that no row fills is left out. */
export function toMarkdown(rows: readonly Row[]): string {
  const columns = COLUMNS.filter((column) => rows.some(({ cells }) => cells[column] !== undefined));
  const head = ["what", ...columns.map((column) => HEADS[column]), "target", "reached"];
  const lines = rows.map(({ what, cells, target, reached }) => [
    what,
    ...columns.map((column) => cells[column]?.text ?? ""),
    target,
    reached === undefined ? "" : reached ? "yes" : "**no**",
  ]);
  return [head, head.map(() => "---"), ...lines]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
}
