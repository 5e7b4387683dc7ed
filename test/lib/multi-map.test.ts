// A map of several values has those that were added and not deleted.

import { expect, test } from "bun:test";
import { MultiMap } from "../../src/lib/multi-map.ts";

test("a key has its values once each, in the order in which they came", () => {
  const map = new MultiMap<string, string>();
  expect([map.has("a"), ...map.get("a")]).toEqual([false]);
  for (const value of ["1", "1", "2", "1", "3"]) map.add("a", value);
  map.add("b", "1");
  expect([...map.get("a")]).toEqual(["1", "2", "3"]);
  expect([...map.get("b")]).toEqual(["1"]);
});

test("a key whose values are deleted is gone, and no other value with it", () => {
  const map = new MultiMap<string, string>();
  for (const value of ["1", "2"]) map.add("a", value);
  map.add("b", "1");
  map.delete("b", "2");
  map.delete("c", "1");
  for (const value of ["1", "2"]) map.delete("a", value);
  expect([map.has("a"), map.has("b")]).toEqual([false, true]);
  map.delete("b", "1");
  expect([...map.get("b")]).toEqual([]);
  map.add("b", "3");
  map.clear();
  expect(map.has("b")).toBe(false);
});
