// Where two lists or texts differ, and what is put together from parts: nothing is lost at the seams.

import { describe, expect, test } from "bun:test";
import { Assembly, joinLists } from "../../src/lib/assembly.ts";
import { lineDifference, listDifference, textDifference } from "../../src/lib/difference.ts";
import { parseConfig } from "../../src/config/sections.ts";
import { mapEntries } from "../../src/config/map-file.ts";
import { changedMap } from "../../src/plan/maps.ts";
import { randomNumbers } from "../lab/make.ts";

test.each([
  ["", "", 0, 0, 0],
  ["abc", "abc", 3, 3, 3],
  ["abc", "", 0, 3, 0],
  ["", "abc", 0, 0, 3],
  ["abc", "axc", 1, 2, 2],
  ["abc", "abbc", 2, 2, 3],
  ["aaaa", "aa", 2, 4, 2],
  ["xabc", "yabc", 0, 1, 1],
  ["abcx", "abcy", 3, 4, 4],
])("%j and %j", (first, second, start, before, after) => {
  expect(textDifference(first, second)).toEqual({ start, before, after });
  expect(listDifference(first.split(""), second.split(""))).toEqual({ start, before, after });
});

test.each([
  ["a 1\nb 2\nc 3\n", "a 1\nb 3\nc 3\n", "b 2\n", "b 3\n"],
  ["a 1\nb 2\n", "a 1\nb 22\n", "b 2\n", "b 22\n"],
  ["a 1\n", "a 1\nb", "", "b"],
  ["\na\n", "\nb\n", "a\n", "b\n"],
  ["xa\n", "ya\n", "xa\n", "ya\n"],
])("%j and %j in whole lines", (first, second, one, two) => {
  const { start, before, after } = lineDifference(first, second);
  expect([first.slice(start, before), second.slice(start, after)]).toEqual([one, two]);
});

describe("put together", () => {
  test("only what is new is made", () => {
    const made: string[] = [];
    const words = new Assembly<string, string>((pieces) => pieces.join(""));
    const update = (...parts: string[]): string =>
      words.update(parts, (part) => {
        made.push(part);
        return part.repeat(2);
      });
    expect([update("a", "b", "c"), update("a", "x", "c"), update("a", "x", "c")]).toEqual([
      "aabbcc",
      "aaxxcc",
      "aaxxcc",
    ]);
    expect(made).toEqual(["a", "b", "c", "x"]);
    expect([update("c"), update(), update("d", "c")]).toEqual(["cc", "", "ddcc"]);
  });

  test("the same parts give the same list", () => {
    const lists = new Assembly<number, readonly number[]>(joinLists);
    const parts = [1, 2, 3, 4];
    const first = lists.update(parts, someOf);
    expect(first).toEqual([1, 2, 2, 4]);
    expect(lists.update([...parts], someOf)).toBe(first);
    expect(lists.update([], someOf)).toEqual([]);
  });

  test("one that fails leaves the last whole as it was", () => {
    const words = new Assembly<string, string>((pieces) => pieces.join(""));
    expect(words.update(["a", "b"], (part) => part)).toBe("ab");
    expect(() => words.update(["a", "x", "b"], fail)).toThrow("no");
    expect(words.update(["a", "y", "b"], (part) => part)).toBe("ayb");
  });

  test("more lists than a call takes arguments", () => {
    const many = Array.from({ length: 200_000 }, (_, index) => [index]);
    expect(joinLists(many)).toHaveLength(many.length);
  });
});

function someOf(part: number): number[] {
  return Array.from({ length: part % 3 }, () => part);
}

function fail(): string {
  throw new RangeError("no");
}

/** Lines that open sections, belong to them, or only look as if. */
const LINES = [
  "backend a",
  "backend b from x",
  "  server s 1.2.3.4:80",
  "global",
  "defaults x",
  " backend  c",
  "backendx",
  "frontend",
  "# backend d",
  "",
  ".if x",
  "k/ v",
  "k/ w",
  "l/ v|1",
];

/** A text with some of its lines changed, cut or added. */
function edited(text: string, random: () => number): string {
  const lines = text.split("\n");
  const line = LINES[Math.floor(random() * LINES.length)] ?? "";
  const at = Math.floor(random() * (lines.length + 1));
  const changed = lines.toSpliced(at, Math.floor(random() * 3), ...(random() < 0.7 ? [line] : []));
  // Now and then the end of a line is lost too.
  return changed.join("\n").slice(0, random() < 0.1 ? -1 : undefined);
}

test("a text read after another one says what it says alone", () => {
  const random = randomNumbers(7);
  let text = "";
  for (let round = 0; round < 3_000; round++) {
    const before = text;
    text = edited(text, random);
    if (text.length > 600) text = "";
    // Read right before, so that what both have in common is taken from it.
    parseConfig(before);
    mapEntries(before);
    const after = { config: parseConfig(text), map: mapEntries(text) };
    const operations = changedMap("/m", before, text, {});
    forget(round);
    expect({ config: parseConfig(text), map: mapEntries(text) }).toEqual(after);
    expect(applied(before, operations)).toEqual(Object.fromEntries(mapEntries(text)));
  }
});

/** Has four texts read that have nothing in common with others: the next one is read anew. */
function forget(round: number): void {
  for (const other of ["w", "x", "y", "z"]) {
    const text = `\0${other}${round} v\n${other}${round} v`;
    parseConfig(text);
    mapEntries(text);
  }
}

/** The entries of a map after operations, by the first of each key. */
function applied(before: string, operations: ReturnType<typeof changedMap>): object {
  const entries = new Map(mapEntries(before));
  for (const operation of operations) {
    if (operation.do === "replace map") {
      entries.clear();
      for (const [key, value] of operation.entries) {
        if (!entries.has(key)) entries.set(key, value);
      }
    } else if (operation.do === "delete entry") entries.delete(operation.key);
    else if ("value" in operation) entries.set(operation.key, operation.value);
  }
  return Object.fromEntries(entries);
}
