// Places as text: names, keys of maps, what a pattern stands for.

import { expect, test } from "bun:test";
import { covers, isWithin, keyOf, nameOf, placeOf } from "../../src/lib/places.ts";
import { wildcardKey } from "../../src/template/wildcards.ts";

test.each([
  ["", "/foo/bar", "/foo/bar", "/foo/bar/"],
  ["", "/", "/", "/"],
  ["a.org", "/", "http://a.org/", "a.org/"],
  ["*.a.org", "/x/y", "http://*.a.org/x/y", "*.a.org/x/y/"],
])("%p %p is %s, with the key %s", (host, path, name, key) => {
  expect(nameOf({ host, path })).toBe(name);
  expect(keyOf({ host, path })).toBe(key);
  expect(placeOf(key)).toEqual({ host, path });
});

test.each([
  ["a.org", "a.org", true],
  ["a.org", "x.a.org", false],
  ["*.a.org", "x.a.org", true],
  ["*.a.org", "y.x.a.org", true],
  ["*.a.org", "*.a.org", true],
  ["*.a.org", "*.x.a.org", true],
  ["*.x.a.org", "*.a.org", false],
  ["*.a.org", "a.org", false],
  ["*.a.org", "xa.org", false],
  ["*.a.org", "*.xa.org", false],
])("%s stands for %s: %p", (pattern, host, does) => {
  expect(covers(pattern, host)).toBe(does);
});

test.each([
  ["/a", "/a", true],
  ["/a/b", "/a", true],
  ["/ab", "/a", false],
  ["/a", "/a/b", false],
  ["/a", "/", true],
  ["/", "/", true],
])("%s is within %s: %p", (path, prefix, does) => {
  expect(isWithin(path, prefix)).toBe(does);
});

test("a wildcard's key has its labels from the last to the first", () => {
  expect(wildcardKey("*.eu.example.com")).toBe("com.example.eu.");
  expect(wildcardKey("*.com")).toBe("com.");
});
