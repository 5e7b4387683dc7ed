// Plans for maps: the operations bring the old version to the new one.

import { expect, test } from "bun:test";
import { mapEntries, valuesByKey } from "../../src/config/map-file.ts";
import type { Operation } from "../../src/config/operations.ts";
import { planAssets } from "../../src/plan/assets.ts";
import { files, randomNumbers } from "../lab/make.ts";

const LINES = ["k/ v", "k/ w", "l/ v|1", "l/ v|2", "m/ x", "# k/ y", "", "  n/ z  "];

function operations(before: string, after: string): readonly Operation[] {
  const changes = planAssets(files("", { "/m": before }), files("", { "/m": after }), {});
  expect(changes.flatMap(({ reasons }) => reasons)).toEqual([]);
  return changes.flatMap((change) => change.operations);
}

test("the operations give the new map after any change, with repeated keys too", () => {
  const random = randomNumbers(7);
  let text = "";
  for (let round = 0; round < 3_000; round++) {
    const before = text;
    const lines = text.split("\n");
    const line = LINES[Math.floor(random() * LINES.length)] ?? "";
    const at = Math.floor(random() * (lines.length + 1));
    text = lines.toSpliced(at, Math.floor(random() * 3), line).join("\n");
    if (text.length > 200) text = "";
    const expected = Object.fromEntries(valuesByKey(mapEntries(text.split("\n"))));
    expect(applied(before, operations(before, text))).toEqual(expected);
  }
});

test.each([
  ["no change", "a/ 1\nb/ 2\n", "a/ 1\nb/ 2\n", []],
  ["only a comment, or the order", "a/ 1\nb/ 2\n", "b/ 2\n# x\na/ 1\n", []],
  ["one value", "a/ 1\nb/ 2\n", "a/ 1\nb/ 3\n", ["set entry b/"]],
  ["one key added and one removed", "a/ 1\n", "b/ 2\n", ["add entry b/", "delete entry a/"]],
  [
    "a key that a line elsewhere has too",
    "a/ 1\nb/ 2\nc/ 3\n",
    "a/ 1\nb/ 2\na/ 3\n",
    ["replace map "],
  ],
  ["one at each end", "b/ 2\nc/ 3\n", "a/ 1\nb/ 2\nc/ 3\nd/ 4\n", ["add entry a/", "add entry d/"]],
  ["the order of a repeated key", "a/ 1\na/ 2\n", "a/ 2\na/ 1\n", ["replace map "]],
])("%s", (_, before, after, expected) => {
  const done = operations(before, after).map(
    (each) => `${each.do} ${"key" in each ? each.key : ""}`,
  );
  expect(done).toEqual(expected);
});

/** The value of each key in a map after operations. */
function applied(before: string, done: readonly Operation[]): object {
  const entries = new Map(valuesByKey(mapEntries(before.split("\n"))));
  for (const operation of done) {
    if (operation.do === "replace map") {
      entries.clear();
      for (const [key, value] of valuesByKey(operation.entries)) entries.set(key, value);
    } else if (operation.do === "delete entry") entries.delete(operation.key);
    else if ("value" in operation) entries.set(operation.key, operation.value);
  }
  return Object.fromEntries(entries);
}
