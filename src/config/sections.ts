// src/config reads HAProxy's files as text: sections, servers, addresses and maps. It also defines
// the operations that change a running HAProxy. It may import only lib and model.ts, and it only
// computes: no input or output, no clock, no environment. This file splits a configuration into sections.

import { WeakCache } from "../lib/weak-cache.ts";
import type { Files } from "../model.ts";

/** A section of the configuration. Its lines have no comments, and one space between words. */
export interface Section {
  /** The text as the configuration has it. */
  readonly text: string;
  /** `global`, `frontend`, `backend` ... */
  readonly kind: string;
  /** Empty for a section without a name. */
  readonly name: string;
  /** Kind and name in the form of HAProxy's messages, such as `backend "foo:bar"`. */
  readonly title: string;
  /** The line that opens it, such as `backend foo:bar from _backend`. */
  readonly head: string;
  readonly lines: readonly string[];
  /** Whether it has conditional directives such as `.if`. */
  readonly conditional: boolean;
}

/** The words that open a section. Source: configuration manual, chapters 3, 4 and 12. */
const SECTION_WORDS = (
  "global defaults frontend backend listen peers resolvers userlist mailers cache http-errors " +
  "ring log-forward log-profile program fcgi-app crt-store traces acme healthcheck namespace_list"
).split(" ");
const SECTION_START = new RegExp(
  String.raw`^(?=[ \t]*(?:${SECTION_WORDS.join("|")})(?:\s|$))`,
  "m",
);
const STARTS_HERE = new RegExp(SECTION_START, "my");

const parsedFiles = new WeakCache<Files, readonly Section[]>();

/**
 * The sections of the configuration, in their order. The same files give the same objects.
 * @param previous sections to reuse, see `parseConfig`
 */
export function sectionsOf(files: Files, previous?: readonly Section[]): readonly Section[] {
  return parsedFiles.get(files, ({ config }) => parseConfig(config, previous));
}

/** The files with more sections at the end of the configuration. The others are not read again. */
export function withSections(files: Files, text: string): Files {
  const { config } = files;
  const begun = config === "" || config.endsWith("\n") ? config : `${config}\n`;
  const all = { ...files, config: begun + text };
  parsedFiles.get(all, () => [...sectionsOf(files), ...parseConfig(text)]);
  return all;
}

/**
 * Splits a configuration into its sections, in their order.
 * @param previous sections of an earlier version. Those that did not change are taken over, so that only
 * the others are parsed
 */
export function parseConfig(text: string, previous: readonly Section[] = []): readonly Section[] {
  const sections = text.search(SECTION_START);
  const first = sections < 0 ? text.length : sections;
  // Most configurations have nothing but comments before the first section.
  const begin = isEmpty(parseSection(text.slice(0, first))) ? first : 0;
  // Of thousands mostly one or two changed: only the text between those that are the same is split.
  const { start, before, left, at, end } = sameSections(text, begin, previous);
  const others = [...previous.slice(start, before), ...previous.slice(left)];
  const known = new Map(others.map((section) => [section.text, section]));
  const pieces = at === end ? [] : text.slice(at, end).split(SECTION_START);
  const between = pieces.map((each) => known.get(each) ?? parseSection(each));
  return [...previous.slice(0, start), ...between, ...previous.slice(before, left)];
}

/** Which sections of an earlier version a text begins and ends with. */
interface SameSections {
  /** It begins with so many. */
  readonly start: number;
  /** It ends with those from this one on. */
  readonly before: number;
  /** ... to this one. Those after it are in the text no more. */
  readonly left: number;
  /** Where those that it begins with end in the text, and where those that it ends with begin. */
  readonly at: number;
  readonly end: number;
}

/** @param begin where the first section is */
function sameSections(text: string, begin: number, previous: readonly Section[]): SameSections {
  const textOf = (index: number): string => previous[index]?.text ?? "";
  let [start, at] = [0, begin];
  while (start < previous.length && text.startsWith(textOf(start), at)) {
    at += textOf(start++).length;
  }
  // The text may go on with lines of the last one.
  while (start > 0 && !isBoundary(text, at)) at -= textOf(--start).length;
  let left = previous.length;
  // What was left over in HAProxy is at the end.
  while (left > start && !text.endsWith(textOf(left - 1))) left--;
  let [before, end] = [left, text.length];
  while (before > start && end - textOf(before - 1).length >= at) {
    if (!text.endsWith(textOf(before - 1), end)) break;
    end -= textOf(--before).length;
  }
  while (before < left && !isBoundary(text, end)) end += textOf(before++).length;
  return { start, before, left, at, end };
}

/** Whether a section begins or the text ends at a place. */
function isBoundary(text: string, at: number): boolean {
  STARTS_HERE.lastIndex = at;
  return at === text.length || STARTS_HERE.test(text);
}

function isEmpty({ kind, lines }: Section): boolean {
  return kind === "" && lines.length === 0;
}

/** The lines of the two backends that were looked at last: they are mostly compared with each other. */
const recent: { readonly section: Section; readonly lines: readonly string[] }[] = [];

/** A section that was read. */
class ParsedSection implements Section {
  #lines: readonly string[] | undefined;

  constructor(
    readonly text: string,
    readonly kind: string,
    readonly name: string,
    readonly head: string,
    readonly conditional: boolean,
  ) {}

  get title(): string {
    return this.name === "" ? this.kind : `${this.kind} "${this.name}"`;
  }

  get lines(): readonly string[] {
    const known = this.#lines ?? recent.find(({ section }) => section === this)?.lines;
    if (known !== undefined) return known;
    const lines = codeLines(this.text).slice(this.kind === "" ? 0 : 1);
    // Of thousands of backends few lines are looked at: they are made of the text each time.
    if (this.kind === "backend")
      recent.splice(0, recent.length, ...recent.slice(-1), { section: this, lines });
    else this.#lines = lines;
    return lines;
  }
}

function parseSection(piece: string): Section {
  // A piece of a text keeps all of that text. Put together of its lines, it is a text of its own.
  const text = piece.split("\n").join("\n");
  const lines = codeLines(text);
  const [head = ""] = lines;
  const [word, name = ""] = splitWords(head);
  const conditional = lines.some((line) => line.startsWith("."));
  const kind = SECTION_WORDS.find((each) => each === word);
  // HAProxy also reads lines before the first section, such as `.if` or `presetenv`.
  if (kind === undefined) return new ParsedSection(text, "", "", "", conditional);
  return new ParsedSection(text, kind, name, head, conditional);
}

/**
 * The lines of a text without comments, and with one space between words. The quotes stay: lines that
 * differ only in their quotes count as changed. That costs a reload, and is rare.
 */
function codeLines(text: string): string[] {
  return text
    .split("\n")
    .map(withoutComment)
    .filter((line) => line !== "");
}

/** The path of the first `stats socket` that is a unix socket; undefined if there is none. */
export function statsSocket(sections: readonly Section[]): string | undefined {
  return statsSocketWords(sections)?.[2]?.replace(UNIX, "");
}

/** How the address of a unix socket may begin. */
const UNIX = /^unix@/;

/** The words of the line that opens that socket. */
function statsSocketWords(sections: readonly Section[]): readonly string[] | undefined {
  return globalLines(sections).find(
    ([first, second, address = ""]) =>
      first === "stats" && second === "socket" && address.replace(UNIX, "").startsWith("/"),
  );
}

/**
 * Whether a client of that socket may change HAProxy; true if there is none.
 * Source: configuration manual, section 3.1 (`stats socket`) and 5.1 (`level`): the default is
 * `operator`.
 */
export function statsSocketIsAdmin(sections: readonly Section[]): boolean {
  const words = statsSocketWords(sections);
  return words === undefined || words[words.indexOf("level") + 1] === "admin";
}

/**
 * The configuration with the path of its stats socket spelled otherwise, which names the same file.
 * Over a reload HAProxy keeps a socket whose path is spelled the same, although its file is gone.
 * Source: `sock_find_compatible_fd` in HAProxy's src/sock.c.
 */
export function respellStatsSocket(config: string): string {
  const path = statsSocket(parseConfig(config));
  if (path === undefined) return config;
  const slash = path.lastIndexOf("/");
  const other = `${path.slice(0, slash)}/.${path.slice(slash)}`;
  return config.replaceAll(/^.*\bstats[ \t]+socket[ \t].*$/gm, (line) => line.replace(path, other));
}

/** The path of the file that HAProxy loads server states from; undefined if there is none. */
export function serverStateFile(sections: readonly Section[]): string | undefined {
  const lines = [...globalLines(sections)];
  const path = lines.find(([first]) => first === "server-state-file")?.[1];
  const base = lines.find(([first]) => first === "server-state-base")?.[1];
  if (path === undefined || path.startsWith("/")) return path;
  return base === undefined ? undefined : `${base}/${path}`;
}

/** The lines of `global` as words. They are read one by one: it mostly is the first of many sections. */
function* globalLines(sections: readonly Section[]): Generator<readonly string[]> {
  for (const section of sections) {
    if (section.kind === "global") yield* section.lines.map(splitWords);
  }
}

/** A line without its comment and with one space between its words. Quotes stay. */
export function withoutComment(line: string): string {
  const words = isPlain(line) ? plainWords(line) : scanWords(line).map(({ source }) => source);
  return words.join(" ");
}

/** The words of a line as HAProxy reads them, without quotes, escapes and comment. */
export function splitWords(line: string): string[] {
  return isPlain(line) ? plainWords(line) : scanWords(line).map(({ value }) => value);
}

/** A blank that is no space. */
const OTHER_BLANK = /[^\S ]/;

/** Whether a line has no quotes and no escapes, as nearly all lines. */
function isPlain(line: string): boolean {
  return !/["'\\]/.test(line);
}

/**
 * The words of a line, as HAProxy reads them (`value`) and as they are written (`source`).
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

/** The words of a line that has no quotes and no escapes. */
function plainWords(line: string): string[] {
  const comment = line.indexOf("#");
  const code = comment < 0 ? line : line.slice(0, comment);
  // To split by an expression is slow, and only tabs need it.
  return code.split(OTHER_BLANK.test(code) ? /\s+/ : " ").filter((word) => word !== "");
}
