// The keys of session tickets: they are turned, and taken over.

import { expect, test } from "bun:test";
import { TicketKeys } from "../../../src/gateway/certificates/ticket-keys.ts";

const HOUR = 3_600_000;

function keysAt(keys: TicketKeys, now: number): string[] {
  return keys.at(now).split("\n").filter(Boolean);
}

test("three keys of 80 bytes, which stay for an hour, and then move up", () => {
  const keys = new TicketKeys();
  const first = keysAt(keys, 10 * HOUR);
  expect(first.map((key) => Buffer.from(key, "base64").length)).toEqual([80, 80, 80]);
  expect(new Set(first).size).toBe(3);
  expect(keysAt(keys, 11 * HOUR - 1)).toEqual(first);
  expect(keys.isDue(11 * HOUR - 1)).toBe(false);
  expect(keys.isDue(11 * HOUR)).toBe(true);
  const second = keysAt(keys, 11 * HOUR);
  expect(second.slice(0, 2)).toEqual(first.slice(1));
  expect(first).not.toContain(second[2] ?? "");
  expect(keys.isDue(11 * HOUR)).toBe(false);
});

test("after a long time none of before is left", () => {
  const keys = new TicketKeys();
  const first = keysAt(keys, 10 * HOUR);
  const later = keysAt(keys, 13 * HOUR);
  expect(later.filter((key) => first.includes(key))).toEqual([]);
});

test("those of an earlier gateway are used on, as long as they may be", () => {
  const text = new TicketKeys().at(10 * HOUR);
  const next = new TicketKeys();
  next.adopt(text, 10 * HOUR);
  expect(next.at(10.5 * HOUR)).toBe(text);
  expect(keysAt(next, 11 * HOUR).slice(0, 2)).toEqual(text.split("\n").slice(1, 3));
});

test.each([
  ["empty", () => ""],
  ["cut off", () => new TicketKeys().at(10 * HOUR).slice(0, 150)],
  [
    "of two keys",
    () =>
      new TicketKeys()
        .at(10 * HOUR)
        .split("\n")
        .slice(1)
        .join("\n"),
  ],
  ["of other words", () => "a\nb\nc\n"],
])("a file that is %s is none", (_, text) => {
  const keys = new TicketKeys();
  keys.adopt(text(), 10 * HOUR);
  expect(keys.isDue(10 * HOUR)).toBe(true);
  expect(keysAt(keys, 10 * HOUR)).toHaveLength(3);
});

test("a clock that goes back brings others, and not none for ever", () => {
  const keys = new TicketKeys();
  const before = keysAt(keys, 10 * HOUR);
  expect(keys.isDue(2 * HOUR)).toBe(true);
  expect(keysAt(keys, 2 * HOUR)).not.toEqual(before);
  expect(keys.isDue(2 * HOUR)).toBe(false);
});
