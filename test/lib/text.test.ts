// Two versions of a text: which lines differ.

import { expect, test } from "bun:test";
import { lineDifference } from "../../src/lib/text.ts";
import { randomNumbers } from "../lab/make.ts";

test.each<[string, string, string, string]>([
  ["", "", "", ""],
  ["a\nb\nc\n", "a\nb\nc\n", "", ""],
  ["a\n", "a\nb\n", "", "b\n"],
  ["a\nb\nc\n", "a\nx\nc\n", "b\n", "x\n"],
  ["a\nbc\nd\n", "a\nbx\nd\n", "bc\n", "bx\n"],
  ["", "a\nb", "", "a\nb"],
  ["a\nb", "a\nbc", "b", "bc"],
])("%j and %j differ in %j and %j", (first, second, gone, come) => {
  const { start, before, after } = lineDifference(first, second);
  const [left, right] = [first.slice(start, before), second.slice(start, after)];
  // A line more on both sides is no mistake.
  expect(first.slice(0, start) + left + first.slice(before)).toBe(first);
  expect([left.startsWith(gone), right.startsWith(come)]).toEqual([true, true]);
  expect(left.slice(gone.length)).toBe(right.slice(come.length));
});

test("what lies around is the same in both, and of whole lines", () => {
  const random = randomNumbers(3);
  const pick = (from: string): string => from.charAt(Math.floor(random() * from.length));
  const text = (): string => Array.from({ length: random() * 12 }, () => pick("ab\n\n")).join("");
  for (let round = 0; round < 5_000; round++) {
    const [a, b] = [text(), text()];
    const { start, before, after } = lineDifference(a, b);
    expect(a.slice(0, start)).toBe(b.slice(0, start));
    expect(a.slice(before)).toBe(b.slice(after));
    expect([before >= start, after >= start]).toEqual([true, true]);
    for (const part of [a.slice(0, start), a.slice(start, before), b.slice(start, after)]) {
      const isLast = part === a.slice(start, before) ? before === a.length : after === b.length;
      expect(part === "" || part.endsWith("\n") || isLast).toBe(true);
    }
  }
});

test("of thousands of lines only those are found that differ", () => {
  const lines = Array.from({ length: 5_000 }, (_, index) => `/app-${index}/ app-${index}\n`);
  const [first, second] = [lines.join(""), lines.toSpliced(2_500, 1, "/new/ new\n").join("")];
  const { start, before, after } = lineDifference(first, second);
  expect(first.slice(start, before).split("\n").length).toBeLessThanOrEqual(3);
  expect(second.slice(start, after)).toStartWith("/new/ new\n");
});
