// What changed between two versions of the files that a configuration names.

import { isDeepStrictEqual } from "node:util";
import { mapEntries, mapOf, runningValue, type MapEntry } from "../config/map-file.ts";
import type { Aliases, Operation } from "../config/operations.ts";
import { listDifference } from "../lib/lists.ts";
import type { Asset, AssetKind, Files } from "../model.ts";
import type { Change } from "./sections.ts";

/** How a running HAProxy takes the change of an asset, by the asset's kind. */
const OPERATIONS: Readonly<
  Record<AssetKind, (path: string, before: Asset, after: Asset, aliases: Aliases) => Operation[]>
> = { map: changedMap };

/** The changes of all assets. One that is new or gone takes a reload. */
export function changedAssets(before: Files, after: Files, aliases: Aliases): Change[] {
  const paths = [...new Set([...Object.keys(before.assets), ...Object.keys(after.assets)])];
  return paths.toSorted().map((path) => {
    const [old, now] = [before.assets[path], after.assets[path]];
    if (old === undefined || now === undefined || old.kind !== now.kind) {
      const { kind } = now ?? old ?? { kind: "file" };
      return {
        operations: [],
        reasons: [`${kind} ${path} is ${old === undefined ? "new" : "gone"}`],
      };
    }
    return { operations: OPERATIONS[now.kind](path, old, now, aliases), reasons: [] };
  });
}

/** From so many changes on a map is replaced as a whole, in one transaction. */
const WHOLE_FROM = 100;

/** The operations that make a running map the new one. */
function changedMap(path: string, before: Asset, after: Asset, aliases: Aliases): Operation[] {
  const [oldLines, newLines] = [before.text.split("\n"), after.text.split("\n")];
  const cut = listDifference(oldLines, newLines);
  const old = mapEntries(oldLines.slice(cut.start, cut.before));
  const now = mapEntries(newLines.slice(cut.start, cut.after));
  const [gone, come] = [mapOf(old), mapOf(now)];
  const changed = [...come].filter(([key, value]) => gone.get(key) !== value);
  const removed = [...gone.keys()].filter((key) => !come.has(key));
  const isSame = isDeepStrictEqual(old, now);
  // A key that stands there twice can only be told apart by its place.
  const isUnique =
    old.length === gone.size &&
    now.length === come.size &&
    [...gone.keys(), ...come.keys()].every((key) => isOnce(key, before) && isOnce(key, after));
  if ((!isUnique && !isSame) || changed.length + removed.length >= WHOLE_FROM) {
    const entries = mapEntries(newLines).map(([key, value]): MapEntry => {
      return [key, runningValue(value, aliases)];
    });
    return [{ do: "replace map", map: path, entries }];
  }
  return [
    ...changed.map(([key, value]): Operation => {
      const action = gone.has(key) ? "set entry" : "add entry";
      return { do: action, map: path, key, value: runningValue(value, aliases) };
    }),
    ...removed.map((key): Operation => ({ do: "delete entry", map: path, key })),
  ];
}

/** Whether a key stands in a map at most once. */
function isOnce(key: string, { text }: Asset): boolean {
  const line = new RegExp(String.raw`^[ \t]*${RegExp.escape(key)}(?:\s|$)`, "gm");
  return !line.test(text) || !line.test(text);
}
