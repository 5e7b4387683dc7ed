// A map file as text: its entries, and the backends that they lead to.

import { lineDifference } from "../lib/difference.ts";
import { memoByText } from "../lib/memo.ts";
import type { Files } from "../model.ts";
import type { Aliases } from "./operations.ts";

/** The map files that a configuration asks. */
export function mapPathsOf(config: string): string[] {
  const paths = [...config.matchAll(/\bmap(?:_\w+)?\((\/[^,)]+)/g)].map(([, path = ""]) => path);
  return [...new Set(paths)];
}

/** A map's value begins with a backend's name, up to a `|`: here with the name HAProxy has. */
export function runningValue(value: string, aliases: Aliases): string {
  const backend = backendOf(value);
  return (aliases[backend] ?? backend) + value.slice(backend.length);
}

/** The backend that a map's value leads to. */
export function backendOf(value: string): string {
  return value.split("|", 1)[0] ?? "";
}

/** Whether no key stands in a map twice. */
export function hasUniqueKeys(text: string): boolean {
  return parse(text).isUnique;
}

/** Whether a map leads to a backend: only then it can be served under another name. */
export function isMapped(backend: string, maps: Files["maps"]): boolean {
  return Object.values(maps).some((text) => parse(text).leadsTo(backend));
}

/** The entries of a map file, the first of each key winning as it does in HAProxy. */
export function mapEntries(text: string): ReadonlyMap<string, string> {
  return parse(text).entries;
}

/** A map file's text, and what it says. */
interface ParsedMap {
  readonly text: string;
  readonly entries: ReadonlyMap<string, string>;
  /** Whether no key stands there twice. */
  readonly isUnique: boolean;
  leadsTo(backend: string): boolean;
}

/** The last text: the next one is mostly the same. */
let last: ParsedMap = toMap("", [], new Map());

const parse: (text: string) => ParsedMap = memoByText(4, (text) => {
  last = parseLike(last, text) ?? toMap(text, entryList(text), new Map());
  return last;
});

/** Reads what differs from another text; undefined where a key stands in one of them twice. */
function parseLike(model: ParsedMap, text: string): ParsedMap | undefined {
  if (!model.isUnique) return undefined;
  const { start, before, after } = lineDifference(model.text, text);
  const entries = new Map(model.entries);
  for (const [key] of entryList(model.text.slice(start, before))) entries.delete(key);
  const parsed = toMap(text, entryList(text.slice(start, after)), entries);
  return parsed.isUnique ? parsed : undefined;
}

/** @param entries takes those of the list, the first of each key */
function toMap(
  text: string,
  list: readonly (readonly [key: string, value: string])[],
  entries: Map<string, string>,
): ParsedMap {
  const expected = entries.size + list.length;
  for (const [key, value] of list) if (!entries.has(key)) entries.set(key, value);
  let backends: Set<string> | undefined;
  return {
    text,
    entries,
    isUnique: entries.size === expected,
    leadsTo(backend) {
      backends ??= new Set([...entries.values()].map(backendOf));
      return backends.has(backend);
    },
  };
}

/** All entries in their order, repeated keys too. */
export function entryList(text: string): [key: string, value: string][] {
  return lines(text).map((line) => {
    const space = line.search(/\s/);
    return space < 0 ? [line, ""] : [line.slice(0, space), line.slice(space).trimStart()];
  });
}

/** Source: configuration manual, the `map` converters: `#` starts a comment line. */
function lines(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}
