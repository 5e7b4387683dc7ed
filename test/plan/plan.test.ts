// Plans that take a reload, with their reasons, and plans that take nothing.

import { describe, expect, test } from "bun:test";
import type { Files } from "../../src/model.ts";
import { planChange, sameFiles } from "../../src/plan/plan.ts";
import { files } from "../lab/make.ts";
import { withServers, BASE, plan, V26, V34 } from "../lab/plans.ts";

test("doubt about what HAProxy runs takes a reload, and is its reason", () => {
  const applied = { aliases: {}, doubt: "the last reload failed" };
  expect(planChange(applied, files(BASE), V34)).toEqual({
    kind: "reload",
    reasons: ["the last reload failed"],
  });
});

describe("nothing to do", () => {
  test.each<[string, Files, Files]>([
    ["the same", files(BASE), files(BASE)],
    [
      "comments and blanks",
      files(BASE),
      files(`# hello\n${BASE.replaceAll("  ", "\t ")}\n\n# bye`),
    ],
    ["a comment after a line", files(BASE), files(BASE.replace(":80", ":80 # web"))],
    [
      "the order of servers",
      withServers("x 1.1.1.1:1", "y 1.1.1.1:2"),
      withServers("y 1.1.1.1:2", "x 1.1.1.1:1"),
    ],
    [
      "the order of backends with only servers",
      files(`${BASE}backend a from d\nbackend b from d\n`),
      files(`${BASE}backend b from d\nbackend a from d\n`),
    ],
    [
      "comments of a configuration with conditions",
      files(`# made at 1\n.if true\n${BASE}.endif\n`),
      files(`# made at 2\n.if true # always\n${BASE}.endif\n# bye`),
    ],
    [
      "comments and blanks of a map",
      files("", { "/m": "/a/ a\n" }),
      files("", { "/m": "# routes\n\n  /a/   a  \n" }),
    ],
    [
      "the order of a map",
      files("", { "/m": "/a/ a\n/b/ b\n" }),
      files("", { "/m": "/b/ b\n/a/ a\n" }),
    ],
  ])("%s", (_, before, after) => {
    for (const capabilities of [undefined, V26, V34]) {
      expect(plan(before, after, capabilities)).toEqual({ kind: "none" });
    }
    expect(sameFiles(before, after)).toBe(true);
  });
});

describe("a reload with any capabilities", () => {
  const conditional = `.if version_atleast(3.0)\n${BASE}.endif\n`;
  const [anonymous, other] = ["defaults\n  timeout client 1s\n", "defaults\n  timeout client 2s\n"];
  const [f, g] = ["frontend f\n  bind :1\n", "frontend g\n  bind :2\n"];

  test.each<[string, Files, Files, string[]]>([
    ["global", files(BASE), files(BASE.replace("/x.sock", "/y.sock")), ["global changed"]],
    ["defaults", files(BASE), files(BASE.replace("2s", "3s")), ['defaults "d" changed']],
    ["a frontend", files(BASE), files(BASE.replace(":80", ":81")), ['frontend "f" changed']],
    ["quotes only", files(BASE), files(BASE.replace(":80", "':80'")), ['frontend "f" changed']],
    [
      "a section's head",
      files(BASE),
      files(BASE.replace("f from d", "f")),
      ['frontend "f" changed'],
    ],
    [
      "a new frontend",
      files(BASE),
      files(`${BASE}frontend g from d\n  bind :81\n`),
      ['frontend "g" is new'],
    ],
    ["a frontend is gone", files(`${BASE}listen l\n`), files(BASE), ['listen "l" is gone']],
    [
      "a new backend with other lines than servers",
      files(BASE),
      files(`${BASE}backend b from d\n  balance source\n  option httpchk\n  balance source\n`),
      [
        'backend "b" is new and has lines of its own: balance, option httpchk ' +
          '(in defaults "d" they need no reload)',
      ],
    ],
    [
      "a backend with other lines than servers is gone",
      files(`${BASE}backend b from d\n  maxconn 7\n`),
      files(BASE),
      [
        'backend "b" is gone and had lines of its own: maxconn (in defaults "d" they need no reload)',
      ],
    ],
    [
      "a new backend without from",
      files(BASE),
      files(`${BASE}backend b\n`),
      ['backend "b" is new and has no defaults named with "from"'],
    ],
    [
      "a new backend with two servers with the same name",
      files(BASE),
      files(`${BASE}backend b from d\n  server x 1.1.1.1:1\n  server x 1.1.1.1:2\n`),
      ['backend "b" is new and has two servers with one name'],
    ],
    [
      "a backend's other lines",
      files(`${BASE}backend b from d\n  balance source\n  server x 1.1.1.1:1\n`),
      files(`${BASE}backend b from d\n  balance leastconn\n  server x 1.1.1.1:1\n`),
      ['backend "b" changed'],
    ],
    [
      "a server's settings",
      files(`${BASE}backend b from d\n  server x 1.1.1.1:1 weight 1\n`),
      files(`${BASE}backend b from d\n  server x 1.1.1.1:1 maxconn 2\n`),
      ['backend "b" changed (the settings of server x)'],
    ],
    [
      "two servers with the same name",
      files(`${BASE}backend b from d\n  server x 1.1.1.1:1\n`),
      files(`${BASE}backend b from d\n  server x 1.1.1.1:1\n  server x 1.1.1.1:2\n`),
      ['backend "b" changed'],
    ],
    ["a new map", files(BASE), files(BASE, { "/m": "" }), ["map /m is new"]],
    ["a map is gone", files(BASE, { "/m": "" }), files(BASE), ["map /m is gone"]],
    [
      "conditions",
      files(conditional),
      files(conditional.replace(":80", ":81")),
      ["a configuration with conditions (.if) changed"],
    ],
    ["the order of frontends", files(f + g), files(g + f), ["the order of the sections changed"]],
    [
      "other defaults for a frontend",
      files(anonymous + f + other + g),
      files(anonymous + g + other + f),
      ["the order of the sections changed"],
    ],
    [
      "other defaults for the last frontend",
      files(anonymous + f + other + g),
      files(anonymous + f + g + other),
      ["the order of the sections changed"],
    ],
    [
      "several, each with its reason",
      files(BASE),
      files(`${BASE.replace(":80", ":81").replace("2s", "3s")}peers p\n`),
      ['defaults "d" changed', 'frontend "f" changed', 'peers "p" is new'],
    ],
  ])("%s", (_, before, after, reasons) => {
    for (const capabilities of [undefined, V26, V34]) {
      expect(plan(before, after, capabilities)).toEqual({ kind: "reload", reasons });
    }
    expect(sameFiles(before, after)).toBe(false);
  });
});
