// Places as text: names, keys of maps, what a pattern stands for.

import { expect, test } from "bun:test";
import { covers, isWithin, keyOf, nameOf, placeOf, wildcardKey } from "../../src/lib/places.ts";

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

test.each([
  ["", "tcp port 5432", ":5432/"],
  ["db.a.org", "tcp port 5432 for db.a.org", ":5432=db.a.org"],
  ["*.a.org", "tcp port 5432 for *.a.org", ":5432/org.a."],
])("TCP for %p is %s, with the key %s", (host, name, key) => {
  const place = { host, path: "/", tcp: 5432 };
  expect(nameOf(place)).toBe(name);
  expect(keyOf(place)).toBe(key);
  expect(placeOf(key)).toEqual(place);
});

test("what no other name has is the whole port for HAProxy", () => {
  const place = { host: "*", path: "/", tcp: 5432 };
  expect(nameOf(place)).toBe("tcp port 5432 for any other name");
  expect(keyOf(place)).toBe(":5432/");
});
