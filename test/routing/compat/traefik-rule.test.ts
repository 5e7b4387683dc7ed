// Traefik's rules as pairs of host and path.

import { describe, expect, test } from "bun:test";
import { parseRule } from "../../../src/routing/compat/traefik-rule.ts";

/** The pairs as text; one that is meant without what is below it ends in `$`. */
function pairsOf(rule: string): readonly string[] | string {
  const read = parseRule(rule);
  if ("reason" in read) return read.reason;
  const pairs = read.pairs.map(({ host, path, exact }) => `${host}${path}${exact ? "$" : ""}`);
  return read.lost.length === 0 ? pairs : [...pairs, `lost: ${read.lost.join(", ")}`];
}

/** A condition with several values. */
function list(count: number, name: string, prefix: string): string {
  const values = Array.from({ length: count }, (_, index) => `\`${prefix}${index}\``);
  return `${name}(${values.join()})`;
}

test.each<[string, string, string[]]>([
  ["a host", "Host(`a.example.com`)", ["a.example.com/"]],
  ["a path prefix", "PathPrefix(`/x`)", ["/x"]],
  ["a path", "Path(`/x`)", ["/x$"]],
  ["double quotes", 'Host("a.example.com")', ["a.example.com/"]],
  ["an escape", String.raw`PathPrefix("/\x78\u0079")`, ["/xy"]],
  ["no blanks", "Host(`a`)&&PathPrefix(`/x`)", ["a/x"]],
  ["many blanks", "  Host ( `a` )\n &&\tPathPrefix( `/x` ) ", ["a/x"]],
  ["lower case", "host(`A.Example.com`) && pathprefix(`/X`)", ["a.example.com/X"]],
  ["upper case", "HOST(`a`) || PATHPREFIX(`/x`)", ["a/", "/x"]],
  ["a dot at the end", "Host(`a.example.com.`)", ["a.example.com/"]],
  ["a slash at the end", "PathPrefix(`/x/`)", ["/x"]],
  ["a wildcard", "Host(`*.example.com`)", ["*.example.com/"]],
  ["any host", "Host(`*`)", ["/"]],
  [
    "version 2: several values",
    "Host(`a`, `b`) && PathPrefix(`/x`,`/y`)",
    ["a/x", "a/y", "b/x", "b/y"],
  ],
  ["version 2: its other name", "HostHeader(`a`)", ["a/"]],
  ["either", "Host(`a`) || Host(`b`)", ["a/", "b/"]],
  ["&& binds more than ||", "Host(`a`) || Host(`b`) && PathPrefix(`/x`)", ["a/", "b/x"]],
  ["brackets", "(Host(`a`) || Host(`b`)) && PathPrefix(`/x`)", ["a/x", "b/x"]],
  [
    "brackets in brackets",
    "((Host(`a`)) && (PathPrefix(`/x`) || (PathPrefix(`/y`))))",
    ["a/x", "a/y"],
  ],
  ["the same twice", "Host(`a`) || Host(`a`)", ["a/"]],
  ["the longer prefix", "PathPrefix(`/x`) && PathPrefix(`/x/y`)", ["/x/y"]],
  ["the longer prefix first", "PathPrefix(`/x/y`) && PathPrefix(`/x`)", ["/x/y"]],
  ["a path within a prefix", "PathPrefix(`/x`) && Path(`/x/y`)", ["/x/y$"]],
  ["a path that is the prefix", "Path(`/x`) && PathPrefix(`/x`)", ["/x$"]],
  ["the narrower host", "Host(`*.example.com`) && Host(`a.example.com`)", ["a.example.com/"]],
])("%s", (_, rule, pairs) => {
  expect(pairsOf(rule)).toEqual(pairs);
});

describe("what no request fulfils is no pair", () => {
  test.each([
    ["Host(`a`) && Host(`b`)"],
    ["PathPrefix(`/x`) && PathPrefix(`/y`)"],
    ["PathPrefix(`/x`) && PathPrefix(`/xy`)"],
    ["Path(`/x`) && PathPrefix(`/x/y`)"],
    ["Path(`/x`) && Path(`/y`)"],
    ["Host(`*.example.com`) && Host(`a.example.org`)"],
  ])("%s", (rule) => {
    expect(pairsOf(rule)).toEqual([]);
  });
});

describe("what is not understood is not served by what is left of its rule", () => {
  test.each<[string, string[]]>([
    ["HostRegexp(`^.+\\.example\\.com$`)", ["lost: HostRegexp"]],
    ["Host(`a`) && Method(`GET`)", ["lost: Method"]],
    ["Host(`a`) && !PathPrefix(`/admin`)", ["lost: !"]],
    ["!Host(`a`)", ["lost: !"]],
    ["!!Host(`a`)", ["lost: !"]],
    ["!(Host(`a`) || Host(`b`)) || Host(`c`)", ["c/", "lost: !"]],
    ["Host(`a`) || HostRegexp(`b`)", ["a/", "lost: HostRegexp"]],
    ["(Host(`a`) || Query(`x`, `1`)) && PathPrefix(`/x`)", ["a/x", "lost: Query"]],
    ["Host(`a b`)", ["lost: the host a b"]],
    ["Host(`b\u00fccher.example`)", ["lost: the host b\u00fccher.example"]],
    ["PathPrefix(`x`)", ["lost: the path x"]],
    ["PathPrefix(`/{id}`)", ["lost: the path /{id}"]],
    ["PathPrefix(`/a/../b`)", ["lost: the path /a/../b"]],
    ["Host(`a`) && Path(`/`)", ["lost: Path of / alone"]],
    ["constructor(`a`)", ["lost: constructor"]],
  ])("%s", (rule, pairs) => {
    expect(pairsOf(rule)).toEqual(pairs);
  });
});

describe("what is no rule", () => {
  test.each<[string, string]>([
    ["", "the end stands where name is expected"],
    ["Host", "the end stands where ( is expected"],
    ["Host()", ") stands where string is expected"],
    ["Host(``)", "Host has an empty value"],
    ["Host(`a`", "the end stands where ) is expected"],
    ["Host(`a`)) ", ") is not expected"],
    ["Host(`a`) Host(`b`)", "Host is not expected"],
    ["Host(`a`) &&", "the end stands where name is expected"],
    ["&& Host(`a`)", "&& stands where name is expected"],
    ["Host(`a`) & Host(`b`)", '"& Host(`b`)" is no part of a rule'],
    ["Host('a')", "a value stands in backquotes or double quotes"],
    ["Host(`a)", "a quote is not closed"],
    ['Host("a', "a quote is not closed"],
    [String.raw`Host("\q")`, String.raw`"\q" is no escape`],
    ["Host:a.example.com", '":a.example.com" is no part of a rule'],
    ["(".repeat(33), "its brackets are too deep"],
    ["!".repeat(33), "its brackets are too deep"],
    [`Host(\`${"a".repeat(8_192)}\`)`, "it is longer than 8192 characters"],
  ])("%p", (rule, reason) => {
    expect(pairsOf(rule)).toBe(reason);
  });

  test("64 pairs are read, and one more is too many", () => {
    expect(pairsOf(`${list(8, "Host", "h")} && ${list(8, "PathPrefix", "/")}`)).toHaveLength(64);
    const tooMany = "it has more than 64 pairs of host and path";
    expect(pairsOf(`${list(13, "Host", "h")} && ${list(5, "PathPrefix", "/")}`)).toBe(tooMany);
    expect(pairsOf(list(65, "Host", "h"))).toBe(tooMany);
  });

  test("a product that grows with every condition ends early", () => {
    const wide = Array.from({ length: 200 }, () => "(Host(`a`) || PathPrefix(`/x`))").join(" && ");
    expect(pairsOf(wide)).toEqual(["a/", "a/x", "/x"]);
    const either = Array.from(
      { length: 200 },
      (_, at) => `(PathPrefix(\`/${at}\`) || Host(\`h${at}\`))`,
    );
    const grows = either.join(" && ");
    const started = performance.now();
    pairsOf(grows);
    expect(performance.now() - started).toBeLessThan(500);
  });
});
