// A list that is taken apart: each element is the text that JSON has, and nothing else is.

import { describe, expect, test } from "bun:test";
import { ListReader } from "../../src/docker/listed.ts";
import { recorded } from "./swarm/answers.ts";

const listElements = (json: Uint8Array) => new ListReader<unknown>().read(json);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test.each([
  ["nothing", []],
  ["what looks like an end within a text", [{ a: "}],[{" }, { b: '\\"}' }]],
  ["a text that ends with a backslash", [{ a: "\\" }, { a: "\\\\" }]],
  ["lists and objects within", [{ a: [{ b: {} }, []] }, {}]],
  ["letters of more than one byte", [{ ä: "日本 🐳" }, { a: "\u2028" }]],
])("%s", (_, list) => {
  for (const text of [JSON.stringify(list), ` ${JSON.stringify(list, undefined, 2)}\n`]) {
    expect(listElements(bytes(text)).map((each) => each.parse())).toEqual(list);
  }
});

test.each(["docker-20.10", "docker-28"])("what a manager of %s answers", async (engine) => {
  const { tasks, services } = await recorded(engine);
  for (const list of [tasks, services]) {
    const listed = listElements(bytes(JSON.stringify(list)));
    expect(listed.map((each) => each.parse())).toEqual([...list]);
  }
});

test("the mark is that of the text", () => {
  const [first, second, third] = listElements(bytes('[{"a":1},{"a":2},{"a":1}]'));
  expect(third?.mark).toBe(first?.mark);
  expect(second?.mark).not.toBe(first?.mark);
});

test.each(["", "null", "{}", '[{"a":1}', '[{"a":"]', '{"message":"no"}', "no"])(
  "%p is no list",
  (text) => {
    expect(() => listElements(bytes(text))).toThrow("it is not a list, or not all of one");
  },
);

test("what is no JSON within an element fails where it is parsed", () => {
  const [element] = listElements(bytes("[{a}]"));
  expect(() => element?.parse()).toThrow(SyntaxError);
});

const task = (id: number, more: object): object => ({
  ID: String(id).padStart(25, "0"),
  Version: { Index: 1 },
  ...more,
});

describe("one answer after the other", () => {
  test.each([
    ["the same", [task(1, {}), task(2, {})], [task(1, {}), task(2, {})]],
    [
      "fewer, and in another order",
      [1, 2, 3].map((id) => task(id, {})),
      [task(3, {}), task(1, {})],
    ],
    ["one that is longer", [task(1, {}), task(2, {})], [task(1, { a: "}]" }), task(2, {})]],
    ["one that is shorter", [task(1, { a: [{}] }), task(2, {})], [task(1, {}), task(2, {})]],
    ["one as long as before", [task(1, { a: 1 })], [task(1, { a: 2 })]],
    [
      "twice the same ID",
      [task(1, { a: 1 }), task(1, { a: 22 })],
      [task(1, { a: 1 }), task(1, {})],
    ],
    ["none", [task(1, {})], []],
  ])("%s", (_, first, second) => {
    const reader = new ListReader<unknown>();
    for (const list of [first, second, first, second, second]) {
      const listed = reader.read(bytes(JSON.stringify(list)));
      expect(listed.map((each) => each.parse())).toEqual(list);
      const anew = new ListReader<unknown>().read(bytes(JSON.stringify(list)));
      expect(listed.map(({ mark }) => mark)).toEqual(anew.map(({ mark }) => mark));
    }
  });

  test("what is cut off is no list, also where all of it was there before", () => {
    const reader = new ListReader<unknown>();
    const text = JSON.stringify([task(1, {}), task(2, {})]);
    reader.read(bytes(text));
    for (const end of [text.length - 1, text.length - 2, 60]) {
      expect(() => reader.read(bytes(text.slice(0, end)))).toThrow("not all of one");
    }
  });

  test("thousands that come and go", () => {
    const reader = new ListReader<{ ID: string }>();
    for (let round = 0; round < 30; round++) {
      const list = Array.from({ length: 500 }, (_, index) => task(round * 250 + index, { round }));
      const listed = reader.read(bytes(JSON.stringify(list)));
      expect(listed.map((each) => each.parse())).toEqual(list as { ID: string }[]);
    }
  });
});
