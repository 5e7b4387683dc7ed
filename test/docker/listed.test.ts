// A list that is taken apart: each element is the text that JSON has, and nothing else is.

import { expect, test } from "bun:test";
import { listElements } from "../../src/docker/listed.ts";
import { recorded } from "./swarm/answers.ts";

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
