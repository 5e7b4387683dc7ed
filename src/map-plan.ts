// What changed between two versions of a map file.

import { memoByText } from "./memo.ts";
import type { Files } from "./model.ts";
import type { Aliases, Operation } from "./operations.ts";

/** From so many changes on a map is replaced as a whole, in one transaction. */
const WHOLE_FROM = 100;

/** The operations that make a running map the new one. */
export function changedMap(
  map: string,
  before: string,
  after: string,
  aliases: Aliases,
): Operation[] {
  if (before === after) return [];
  const [{ entries: old, isUnique: wasUnique }, { entries: now, isUnique }] = [
    parse(before),
    parse(after),
  ];
  // A key that stands there twice can only be told apart by its place.
  if (!wasUnique || !isUnique) {
    return [{ do: "replace map", map, entries: entryList(after).map(running) }];
  }
  const operations: Operation[] = [];
  for (const [key, wanted] of now) {
    const was = old.get(key);
    if (was === wanted) continue;
    const value = runningValue(wanted, aliases);
    operations.push({ do: was === undefined ? "add entry" : "set entry", map, key, value });
  }
  for (const key of old.keys())
    if (!now.has(key)) operations.push({ do: "delete entry", map, key });
  if (operations.length < WHOLE_FROM) return operations;
  return [{ do: "replace map", map, entries: [...now].map(running) }];

  function running([key, value]: readonly [string, string]): [string, string] {
    return [key, runningValue(value, aliases)];
  }
}

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

/** Whether a map leads to a backend: only then it can be served under another name. */
export function isMapped(backend: string, maps: Files["maps"]): boolean {
  return Object.values(maps).some((text) => parse(text).leadsTo(backend));
}

/** The entries of a map file, the first of each key winning as it does in HAProxy. */
export function mapEntries(text: string): ReadonlyMap<string, string> {
  return parse(text).entries;
}

const parse = memoByText(4, (text) => {
  const list = entryList(text);
  const entries = new Map<string, string>();
  for (const [key, value] of list) if (!entries.has(key)) entries.set(key, value);
  let backends: Set<string> | undefined;
  return {
    entries,
    isUnique: entries.size === list.length,
    /** The backends that the entries lead to; made when first asked for. */
    leadsTo(backend: string): boolean {
      backends ??= new Set(list.map(([, value]) => backendOf(value)));
      return backends.has(backend);
    },
  };
});

function entryList(text: string): [key: string, value: string][] {
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
