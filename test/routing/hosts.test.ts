// The host names of services, and which service gets one that several could have.

import { expect, test } from "bun:test";
import { assignHosts } from "../../src/routing/hosts.ts";
import { randomNumbers, shuffle } from "../lab/make.ts";

/** @param repositories the oldest first */
function assign(...repositories: string[]) {
  const claimants = repositories.map((name, created) => ({ name, created }));
  const { names, warnings } = assignHosts(claimants, "ex.org");
  return { names: Object.fromEntries(names), warnings };
}

test.each([
  ["ubuntu", "ubuntu.ex.org"],
  ["foo/bar", "bar.ex.org"],
  ["a/b/c", "c.ex.org"],
  ["a_b", "a-b.ex.org"],
  ["a__b.c", "a-b-c.ex.org"],
  ["0ad", "0ad.ex.org"],
  ["a".repeat(100), `${"a".repeat(63)}.ex.org`],
  // Cut where a hyphen would end it.
  [`${"a".repeat(62)}-b`, `${"a".repeat(62)}.ex.org`],
])("%s is served at %s", (name, host) => {
  expect(assign(name)).toEqual({ names: { [name]: [host] }, warnings: [] });
});

test.each([
  [
    "the older gets the short name, both get a long one",
    ["foo/bar", "baz/bar"],
    {
      "foo/bar": ["bar.ex.org", "bar-foo.ex.org"],
      "baz/bar": ["bar-baz.ex.org"],
    },
    ["bar.ex.org goes to foo/bar, which is older than baz/bar"],
  ],
  [
    "three with the same last part, one of them has only that",
    ["a/x", "x", "b/c/x"],
    {
      "a/x": ["x.ex.org", "x-a.ex.org"],
      x: [],
      "b/c/x": ["x-c-b.ex.org"],
    },
    [
      "x.ex.org goes to a/x, which is older than x",
      "x.ex.org goes to a/x, which is older than b/c/x",
    ],
  ],
  [
    "different characters, one host name",
    ["a/foo.bar", "b/foo_bar"],
    {
      "a/foo.bar": ["foo-bar.ex.org", "foo-bar-a.ex.org"],
      "b/foo_bar": ["foo-bar-b.ex.org"],
    },
    ["foo-bar.ex.org goes to a/foo.bar, which is older than b/foo_bar"],
  ],
  [
    "a long name never takes the short name of another service, even of a younger one",
    ["a/bar", "b/bar", "c/bar-b"],
    {
      "a/bar": ["bar.ex.org", "bar-a.ex.org"],
      "b/bar": [],
      "c/bar-b": ["bar-b.ex.org"],
    },
    [
      "bar.ex.org goes to a/bar, which is older than b/bar",
      "bar-b.ex.org goes to c/bar-b, which comes before b/bar",
    ],
  ],
])("%s", (_, repositories, names: Record<string, string[]>, warnings) => {
  expect(assign(...repositories)).toEqual({ names, warnings });
});

test("if both have the same age, the first by name gets the short name", () => {
  const claimants = ["b/x", "a/x"].map((name) => ({ name, created: 5 }));
  const { names } = assignHosts(claimants, "ex.org");
  expect(names.get("a/x")).toEqual(["x.ex.org", "x-a.ex.org"]);
  expect(names.get("b/x")).toEqual(["x-b.ex.org"]);
});

test("no host name goes to two services, and their order does not matter", () => {
  const random = randomNumbers(7);
  const parts = ["a", "b", "a-b", "a.b", "b-a", "a_b"];
  const pick = (): string => parts[Math.floor(random() * parts.length)] ?? "a";
  for (let round = 0; round < 200; round++) {
    const repositories = new Set(
      Array.from({ length: 8 }, () => Array.from({ length: 1 + random() * 3 }, pick).join("/")),
    );
    const claimants = [...repositories].map((name) => ({
      name,
      created: Math.floor(random() * 4),
    }));
    const { names } = assignHosts(claimants, "ex.org");
    const hosts = [...names.values()].flat();
    expect(new Set(hosts).size).toBe(hosts.length);
    const again = assignHosts(shuffle(claimants, random), "ex.org").names;
    expect(Object.fromEntries(again)).toEqual(Object.fromEntries(names));
  }
});
