// What changed between two versions of a map file.

import { entryList, hasUniqueKeys, runningValue } from "../config/map-file.ts";
import type { Aliases, Operation } from "../config/operations.ts";
import { lineDifference } from "../lib/difference.ts";

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
  const cut = lineDifference(before, after);
  const gone = new Map(entryList(before.slice(cut.start, cut.before)));
  const come = new Map(entryList(after.slice(cut.start, cut.after)));
  // A key that stands there twice can only be told apart by its place.
  const isUnique = hasUniqueKeys(before) && hasUniqueKeys(after);
  const changed = [...come].filter(([key, value]) => gone.get(key) !== value);
  const removed = [...gone.keys()].filter((key) => !come.has(key));
  if (!isUnique || changed.length + removed.length >= WHOLE_FROM) {
    const entries = entryList(after).map(([key, value]): [string, string] => [key, running(value)]);
    return [{ do: "replace map", map, entries }];
  }
  return [
    ...changed.map(([key, value]): Operation => {
      const action = gone.has(key) ? "set entry" : "add entry";
      return { do: action, map, key, value: running(value) };
    }),
    ...removed.map((key): Operation => ({ do: "delete entry", map, key })),
  ];

  function running(value: string): string {
    return runningValue(value, aliases);
  }
}
