// Values as one word of HAProxy's files, whatever they hold.

import { expect, test } from "bun:test";
import { configWord, mapWord, UnsafeValueError } from "../../src/template/escape.ts";
import { splitWords } from "../../src/config/sections.ts";
import { randomNumbers } from "../lab/make.ts";

test.each([
  ["plain", "plain"],
  ["a-b_c.d:8000/e@f|g,h=i*j+k%l", "a-b_c.d:8000/e@f|g,h=i*j+k%l"],
  ["", "''"],
  ["a b", "'a b'"],
  ["a\tb", "'a\tb'"],
  ["#a", "'#a'"],
  ["a#b", "'a#b'"],
  ["$HOME", "'$HOME'"],
  ["a\\b", "'a\\b'"],
  ['a"b', `'a"b'`],
  ["it's", String.raw`'it'\''s'`],
  ["'", String.raw`''\'''`],
  ["(a)", "'(a)'"],
  ["[fd00::1]:80", "[fd00::1]:80"],
  ["ü", "'ü'"],
])("%j is %s in a configuration", (value, word) => {
  expect(configWord(value)).toBe(word);
});

test.each(["a\nb", "\n", "a\r", "\0", "'\n'"])("%j is no word of a configuration", (value) => {
  const problem = "has a line break, which no HAProxy configuration can hold";
  const failure = unsafe(() => configWord(value));
  expect([failure.value, failure.problem]).toEqual([value, problem]);
  expect(failure.message).toBe(`the value ${JSON.stringify(value)} ${problem}`);
});

test("HAProxy's reading gives the value back, whatever it is", () => {
  const random = randomNumbers(3);
  const characters = "ab01 \t'\"\\#$`%{}[]()<>|&;!~*?/:.,=@-_ü€".split("");
  for (let round = 0; round < 2000; round++) {
    const value = Array.from(
      { length: Math.floor(random() * 8) },
      () => characters[Math.floor(random() * characters.length)] ?? "",
    ).join("");
    expect(splitWords(`first ${configWord(value)} last # ${value}`)).toEqual([
      "first",
      value,
      "last",
    ]);
  }
});

test.each(["a", "/foo/bar/", "a#b", "'a\"", "a\\b|2", "ü"])("%j is a word of a map", (value) => {
  expect(mapWord(value)).toBe(value);
});

test.each(["", "a b", "a\tb", "a\nb", "a\r", "\0", "#a", "a\u00a0b"])(
  "%j is no word of a map",
  (value) => {
    const failure = unsafe(() => mapWord(value));
    expect([failure.value, failure.problem]).toEqual([value, "cannot be a word of a map file"]);
  },
);

function unsafe(action: () => unknown): UnsafeValueError {
  try {
    action();
  } catch (error) {
    if (error instanceof UnsafeValueError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}
