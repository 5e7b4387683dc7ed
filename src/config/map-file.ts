// A map file as text: its entries, and the backends that they lead to.

import type { Files } from "../model.ts";
import type { Aliases } from "./operations.ts";

export type MapEntry = readonly [key: string, value: string];

/** The text of each map file, by its path. */
export function mapsOf({ assets }: Files): Readonly<Record<string, string>> {
  const maps = Object.entries(assets).filter(([, { kind }]) => kind === "map");
  return Object.fromEntries(maps.map(([path, { text }]) => [path, text]));
}

/** The map files that a configuration asks. */
export function mapPathsOf(config: string): string[] {
  const paths = [...config.matchAll(/\bmap(?:_\w+)?\((\/[^,)]+)/g)].map(([, path = ""]) => path);
  return [...new Set(paths)];
}

/**
 * The entries of a map file's lines in their order, repeated keys too.
 * Source: configuration manual, the `map` converters: `#` starts a comment line.
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

/** What a map says: the first entry of a key wins, as it does in HAProxy. */
export function mapOf(entries: Iterable<MapEntry>): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  for (const [key, value] of entries) if (!map.has(key)) map.set(key, value);
  return map;
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
export function isMapped(backend: string, files: Files): boolean {
  const value = new RegExp(String.raw`^\s*\S+\s+${RegExp.escape(backend)}\s*(?:\||$)`, "m");
  return Object.values(mapsOf(files)).some((text) => value.test(text));
}
