// A map file as text: its entries, and the backends that they name.

import type { Files } from "../model.ts";
import type { Aliases } from "./operations.ts";

export type MapEntry = readonly [key: string, value: string];

/** The text of each map file, by its path. */
export function mapsOf({ assets }: Files): Readonly<Record<string, string>> {
  const maps = Object.entries(assets).filter(([, { kind }]) => kind === "map");
  return Object.fromEntries(maps.map(([path, { text }]) => [path, text]));
}

/** The paths of the map files that a configuration uses. */
export function mapPathsOf(config: string): string[] {
  const paths = [...config.matchAll(/\bmap(?:_\w+)?\((\/[^,)]+)/g)].map(([, path = ""]) => path);
  return [...new Set(paths)];
}

/**
 * The entries of a map file in the order of its lines, with repeated keys.
 * Source: configuration manual, the `map` converters: a line that starts with `#` is a comment.
 */
export function mapEntries(lines: readonly string[]): MapEntry[] {
  return lines
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const space = line.search(/\s/);
      return space < 0 ? [line, ""] : [line.slice(0, space), line.slice(space).trimStart()];
    });
}

/** Whether one of these keys is in the text of a map file. */
export function hasKey(text: string, keys: readonly string[]): boolean {
  const any = keys.map((key) => RegExp.escape(key)).join("|");
  return keys.length > 0 && new RegExp(`^[^\\S\\n]*(?:${any})(?:\\s|$)`, "m").test(text);
}

/** The entries of a running map, from HAProxy's answer to `show map`. */
export function shownEntries(answer: string): MapEntry[] {
  return [...answer.matchAll(/^0x[0-9a-f]+ (\S+) (.*)$/gm)].map(([, key = "", value = ""]) => [
    key,
    value,
  ]);
}

/** The value of each key. The first entry of a key wins, as it does in HAProxy. */
export function valuesByKey(entries: Iterable<MapEntry>): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  for (const [key, value] of entries) if (!map.has(key)) map.set(key, value);
  return map;
}

/** A map's value as HAProxy has it: with the running name of the backend that it begins with. */
export function runningValue(value: string, aliases: Aliases): string {
  const backend = backendOf(value);
  return (aliases[backend] ?? backend) + value.slice(backend.length);
}

/** The backend that a map's value begins with, up to the first `|` or `~`. */
export function backendOf(value: string): string {
  return value.split(/[|~]/, 1)[0] ?? "";
}

/** The backends that the texts of maps name. Only such a backend can be served under another name. */
export function mappedBackends(texts: readonly string[]): ReadonlySet<string> {
  const entries = texts.flatMap((text) => mapEntries(text.split("\n")));
  return new Set(entries.map(([, value]) => backendOf(value).trimEnd()));
}
