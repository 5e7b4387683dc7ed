// HAProxy's configuration as text: its sections, its words, and the few things read from it.

import { Assembly, joinLists } from "../lib/assembly.ts";
import { textDifference } from "../lib/difference.ts";
import { memoByText } from "../lib/memo.ts";

/** A section with its lines, without comments, blanks as one space. */
export interface Section {
  /** `global`, `frontend`, `backend` ... */
  readonly kind: string;
  /** Empty for a section without a name. */
  readonly name: string;
  /** The line that opens it, such as `backend foo:bar from _backend`. */
  readonly head: string;
  readonly lines: readonly string[];
  /** Whether it has `.if` and the like. */
  readonly conditional: boolean;
}

/** The words that open a section: configuration manual, chapters 3, 4 and 12. */
const SECTION_WORDS = (
  "global defaults frontend backend listen peers resolvers userlist mailers cache http-errors " +
  "ring log-forward log-profile program fcgi-app crt-store traces acme healthcheck namespace_list"
).split(" ");
const SECTION_START = new RegExp(
  String.raw`^(?=[ \t]*(?:${SECTION_WORDS.join("|")})(?:\s|$))`,
  "m",
);

/** So many configurations are remembered: what HAProxy runs, what it should, and some to spare. */
const REMEMBERED = 4;
/** The sections of the last configurations by their text: of thousands few change at a time. */
let known = new Map<string, Section>();

/** A text in pieces: what stands before the first section, and the sections. */
interface Pieces {
  readonly text: string;
  /** Where each piece begins, in characters. */
  readonly starts: readonly number[];
  readonly sections: readonly Section[];
}

interface Config {
  readonly sections: readonly Section[];
  /** The sections with conditions. */
  readonly conditional: readonly Section[];
}

/** The last text: the next one is mostly the same. */
let last: Pieces = { text: "", starts: [], sections: [] };
const allFilled = new Assembly<Section, readonly Section[]>(joinLists);
const allConditional = new Assembly<Section, readonly Section[]>(joinLists);

const parse: (text: string) => Config = memoByText(REMEMBERED, (text) => {
  last = parsePieces(text, last);
  const { sections } = last;
  if (known.size > (sections.length + 100) * REMEMBERED) known = new Map();
  return {
    sections: allFilled.update(sections, (section) => (isEmpty(section) ? [] : [section])),
    conditional: allConditional.update(sections, (section) =>
      section.conditional ? [section] : [],
    ),
  };
});

/**
 * Splits a configuration into its sections, in their order. The same text gives the same objects,
 * as long as it is one of the last few.
 */
export function parseConfig(text: string): readonly Section[] {
  return parse(text).sections;
}

/** Whether a configuration has conditions (`.if`): nobody but HAProxy knows what counts then. */
export function hasConditions(text: string): boolean {
  return parse(text).conditional.length > 0;
}

function isEmpty({ kind, lines }: Section): boolean {
  return kind === "" && lines.length === 0;
}

/** @param model another text, of which the pieces are taken that both have at their ends */
function parsePieces(text: string, model: Pieces): Pieces {
  const { starts, sections } = model;
  const { start, before } = textDifference(model.text, text);
  // One piece more on each side is split anew: where it ends hangs on what follows, and whether
  // it begins there on what precedes.
  const head = Math.max(0, starts.findLastIndex((at) => at <= start) - 1);
  const same = starts.findIndex((at) => at >= before);
  const tail = same < 0 ? starts.length : same + 1;
  const moved = text.length - model.text.length;
  let at = starts[head] ?? 0;
  const end = tail < starts.length ? (starts[tail] ?? 0) + moved : text.length;
  const pieces = text.slice(at, end).split(SECTION_START);
  const between = pieces.map((piece) => {
    const here = at;
    at += piece.length;
    return here;
  });
  return {
    text,
    starts: [...starts.slice(0, head), ...between, ...starts.slice(tail).map((old) => old + moved)],
    sections: [...sections.slice(0, head), ...pieces.map(parseSection), ...sections.slice(tail)],
  };
}

function parseSection(text: string): Section {
  const before = known.get(text);
  if (before !== undefined) return before;
  const lines = text
    .split("\n")
    .map(scanWords)
    .filter((words) => words.length > 0);
  const [kind = "", name = ""] = lines[0]?.map(({ value }) => value) ?? [];
  // As it stands there: two lines that only quote differently are worth a reload, not a thought.
  const sources = lines.map((words) => words.map(({ source }) => source).join(" "));
  // Lines before any section (`.if`, a presetenv) still are part of what HAProxy reads.
  const conditional = sources.some((line) => line.startsWith("."));
  const section = SECTION_WORDS.includes(kind)
    ? { kind, name, head: sources[0] ?? "", lines: sources.slice(1), conditional }
    : { kind: "", name: "", head: "", lines: sources, conditional };
  known.set(text, section);
  return section;
}

/** The path of the configuration's first `stats socket` on a unix socket; undefined without one. */
export function statsSocket(text: string): string | undefined {
  for (const words of globalLines(text)) {
    const [first, second, address = ""] = words;
    if (first !== "stats" || second !== "socket") continue;
    const path = address.replace(/^unix@/, "");
    if (path.startsWith("/")) return path;
  }
  return undefined;
}

/** The path of the file that server states are loaded from; undefined without one. */
export function serverStateFile(text: string): string | undefined {
  const lines = globalLines(text);
  const path = lines.find(([first]) => first === "server-state-file")?.[1];
  const base = lines.find(([first]) => first === "server-state-base")?.[1];
  if (path === undefined || path.startsWith("/")) return path;
  return base === undefined ? undefined : `${base}/${path}`;
}

/** The `server` lines of a configuration as words, each with its backend's name. */
export function serverLines(text: string): { backend: string; words: readonly string[] }[] {
  return parseConfig(text)
    .filter(({ kind }) => kind === "backend" || kind === "listen")
    .flatMap(({ name, lines }) => lines.map((line) => ({ backend: name, words: splitWords(line) })))
    .filter(({ words }) => words[0] === "server");
}

/** The lines of `global` as words. Remembered: every command to HAProxy asks for its socket. */
const globalLines: (text: string) => readonly (readonly string[])[] = memoByText(
  REMEMBERED,
  (text) =>
    parseConfig(text)
      .filter(({ kind }) => kind === "global")
      .flatMap(({ lines }) => lines.map(splitWords)),
);

/** The words of a line, without quotes, escapes and comment. */
export function splitWords(line: string): string[] {
  return scanWords(line).map(({ value }) => value);
}

/**
 * The words of a line as HAProxy reads them (`value`) and as they stand there (`source`).
 * Source: configuration manual, section 2.2 (Quoting and escaping).
 */
function scanWords(line: string): { readonly value: string; readonly source: string }[] {
  const words: { value: string; source: string }[] = [];
  let word: { value: string; source: string } | undefined;
  let quote = "";
  for (let index = 0; index < line.length; index++) {
    let char = line.charAt(index);
    if (quote === "" && char === "#") break;
    if (quote === "" && /\s/.test(char)) {
      word = undefined;
      continue;
    }
    if (word === undefined) words.push((word = { value: "", source: "" }));
    if (char === "\\" && quote !== "'") char += line.charAt(++index);
    word.source += char;
    if (char === quote) quote = "";
    else if (quote === "" && (char === '"' || char === "'")) quote = char;
    else word.value += char.length === 2 ? char.charAt(1) : char;
  }
  return words;
}
