// Random and hostile labels and variables: whatever they are, the translation ends, and gives nothing
// but valid labels of ours.

import { expect, test } from "bun:test";
import { translate, withOwnLabels } from "../../../src/routing/compat/compat.ts";
import { parseRule } from "../../../src/routing/compat/traefik-rule.ts";
import { isInVocabulary } from "../../../src/routing/compat/vocabulary.ts";
import { readIntent } from "../../../src/routing/intent.ts";
import { container, ROUTING } from "../../lab/make.ts";
import { Dice, randomTheirs } from "./random.ts";
import type { Texts } from "./read.ts";

/** Raise it with the variable for a longer search. 100,000 take some seconds. */
const COUNT = Number(process.env["FUZZ_COUNT"] ?? 25_000);
/** For all of them together, on a machine that is busy. In milliseconds. */
const PATIENCE = 60_000;
/** For one of them. They take a tenth of it on a machine that is not busy. In milliseconds. */
const LONGEST = 1_000;

/** Whatever ends a line, or changes a terminal, in any language. */
const CONTROL = /[\p{Cc}\u2028\u2029]/u;

/** What is wrong with a translation; empty if nothing is. */
function problemsOf(labels: Texts, warnings: readonly string[]): readonly string[] {
  const entries = Object.entries(labels);
  return [
    ...entries.filter(([name]) => !isInVocabulary(name)).map(([name]) => `unknown: ${name}`),
    ...entries.filter(([, value]) => CONTROL.test(value)).map(([name]) => `control in ${name}`),
    ...entries.filter(([, value]) => value.length > 10_000).map(([name]) => `long: ${name}`),
    ...entries.filter(([, value]) => typeof value !== "string").map(([name]) => `no text: ${name}`),
    ...(entries.length > 4_000 ? [`${entries.length} labels`] : []),
    ...warnings.filter((warning) => CONTROL.test(warning)).map(() => "control in a warning"),
    ...warnings.filter((warning) => warning.length > 1_500).map((each) => `long: ${each}`),
    ...(warnings.length > 55 ? [`${warnings.length} warnings`] : []),
    ...(new Set(warnings).size < warnings.length ? ["a warning comes twice"] : []),
  ];
}

/** A wrong value of any other label costs that setting, or its route. */
const MUST_BE_RIGHT = /is unknown|^label gateway\.(?:route\.[^.]+\.)?(?:enable|allow|deny|auth)=/;

/** What our own tables must not refuse of translated labels, and do. */
function refusalsOf(labels: Texts, environment: Texts): readonly string[] {
  const intent = readIntent(container("web", { labels, environment }), ROUTING);
  const texts = "reason" in intent ? [intent.reason] : intent.warnings;
  return texts
    .map((text) => text.replace(/^container web: /, ""))
    .filter((text) => text.includes("(it stands for ") && MUST_BE_RIGHT.test(text));
}

test("what is wrong would be found", () => {
  expect(problemsOf({ hosts: "a\nb" }, ["a\u2028", "a\u2028"])).toEqual([
    "unknown: hosts",
    "control in hosts",
    "control in a warning",
    "control in a warning",
    "a warning comes twice",
  ]);
});

test(
  `${COUNT} containers with random labels and variables`,
  () => {
    let served = 0;
    for (let seed = 0; seed < COUNT; seed++) {
      const dice = new Dice(seed);
      const { labels, environment } = randomTheirs(dice);
      const name = dice.below(50) === 0 ? dice.text() : "web";
      const started = performance.now();
      const translation = translate({ name, labels, environment }, "all");
      const took = performance.now() - started;
      if (translation === undefined) continue;
      if (translation.labels["host"] !== undefined) served++;
      const all = withOwnLabels(translation.labels, {});
      const problems = [
        ...problemsOf(all, translation.warnings),
        ...refusalsOf(labels, environment),
      ];
      if (problems.length > 0 || took > LONGEST) {
        const what = [...problems, `${Math.round(took)} ms`].join("; ");
        throw new Error(`seed ${seed}: ${what}: ${JSON.stringify({ labels, environment, all })}`);
      }
    }
    // Most are nonsense, but it is of no use if all are.
    expect(served).toBeGreaterThan(COUNT / 5);
  },
  PATIENCE,
);

test("random rules", () => {
  let known = 0;
  for (let seed = 0; seed < 20_000; seed++) {
    const dice = new Dice(seed);
    const condition = () =>
      `${dice.of(["Host", "PathPrefix", "Path", "Query"])}(\`${dice.of(["/x", "a", "/x/y", "*.b", "\n"])}\`)`;
    const pieces = Array.from({ length: dice.below(12) + 1 }, () =>
      dice.of([
        condition,
        condition,
        () => dice.of(["&&", "||", "(", ")", "!"]),
        () => dice.text(),
      ])(),
    );
    const rule = parseRule(pieces.join(" "));
    if ("reason" in rule) continue;
    known++;
    expect(rule.pairs.length).toBeLessThanOrEqual(64);
    for (const { host, path } of rule.pairs) {
      expect(host).toMatch(/^[a-z0-9.*_-]*$/);
      expect(path).toMatch(/^\/[!-~]*$/);
    }
  }
  expect(known).toBeGreaterThan(500);
});

const BIG = 200_000;

test.each<[string, Texts, Texts]>([
  ["a long rule", { "traefik.http.routers.r.rule": "(".repeat(BIG) }, {}],
  ["a rule of quotes", { "traefik.http.routers.r.rule": '"\\"'.repeat(BIG / 3) }, {}],
  ["a long label", { [`traefik.http.routers.${"r".repeat(BIG)}.rule`]: "Host(`a`)" }, {}],
  ["a label of dots", { [`caddy${".a".repeat(BIG / 2)}`]: "x", caddy: "a" }, {}],
  ["a label of underscores", { [`caddy.${"_1".repeat(BIG / 2)}`]: "x", caddy: "a" }, {}],
  ["open templates", { caddy: "a", "caddy.reverse_proxy": "{{".repeat(BIG / 2) }, {}],
  ["open quotes", { caddy: "a", "caddy.reverse_proxy": '\\"'.repeat(BIG / 2) }, {}],
  [
    "many hosts of Caddy",
    { caddy: "a,".repeat(BIG / 2), "caddy.reverse_proxy": "{{upstreams}}" },
    {},
  ],
  [
    "many paths of Caddy",
    { caddy: "a", "caddy.@x.path": "/a ".repeat(BIG / 3), "caddy.handle": "@x" },
    {},
  ],
  ["a long expression", { ...middleware("redirectregex.regex", "(.+".repeat(BIG / 3)) }, {}],
  ["many prefixes", { ...middleware("stripprefix.prefixes", "/a,".repeat(BIG / 3)) }, {}],
  ["many networks", { ...middleware("ipallowlist.sourcerange", "x,".repeat(BIG / 2)) }, {}],
  ["a long header", { ...middleware("headers.customrequestheaders.X", "x".repeat(BIG)) }, {}],
  ["many hosts", {}, { VIRTUAL_HOST: "a.example.com,".repeat(BIG / 14) }],
  ["a long host", {}, { VIRTUAL_HOST: "a".repeat(BIG) }],
  ["a host of dots", {}, { VIRTUAL_HOST: "a.".repeat(BIG / 2) }],
  ["a long path", {}, { VIRTUAL_HOST: "a", VIRTUAL_PATH: "/".repeat(BIG) }],
  ["YAML of braces", {}, { VIRTUAL_HOST_MULTIPORTS: "{".repeat(4_000) }],
  ["YAML of lists", {}, { VIRTUAL_HOST_MULTIPORTS: "-\n".repeat(2_000) }],
  ["YAML of colons", {}, { VIRTUAL_HOST_MULTIPORTS: "a: ".repeat(1_300) }],
  ["YAML of tags", {}, { VIRTUAL_HOST_MULTIPORTS: "!a ".repeat(1_300) }],
  [
    "YAML of many hosts",
    {},
    { VIRTUAL_HOST_MULTIPORTS: Array.from({ length: 800 }, (_, at) => `h${at}:`).join("\n") },
  ],
  ["YAML of numbers", {}, { VIRTUAL_HOST_MULTIPORTS: "1: 2\n3.5: {/: {port: 1e9}}\n" }],
  [
    "YAML with a date, a null and a key that is a map",
    {},
    { VIRTUAL_HOST_MULTIPORTS: "? {a: b}\n: c\n~: d\n2001-01-01: e\n" },
  ],
])("%s", (_, labels, environment) => {
  const started = performance.now();
  const translation = translate({ name: "web", labels, environment }, "all");
  expect(performance.now() - started).toBeLessThan(LONGEST);
  expect(problemsOf(translation?.labels ?? {}, translation?.warnings ?? [])).toEqual([]);
});

function middleware(option: string, value: string): Texts {
  return {
    "traefik.http.routers.r.rule": "Host(`a`)",
    "traefik.http.routers.r.middlewares": "m",
    [`traefik.http.middlewares.m.${option}`]: value,
  };
}

/** Thousands of labels. */
function many(line: (index: number) => readonly [string, string]): Texts {
  return Object.fromEntries(Array.from({ length: 3_000 }, (_, index) => line(index)));
}

test("thousands of labels", () => {
  const containers: Texts[] = [
    many((at) => [`traefik.http.routers.r${at}.rule`, `Host(\`h${at}\`)`]),
    many((at) => [`traefik.http.middlewares.m${at}.chain.middlewares`, `m${at + 1}`]),
    {
      caddy: "a",
      "caddy.reverse_proxy": "{{upstreams}}",
      ...many((at) => [`caddy.header_${at}`, `/${at}/* X b`]),
    },
    many((at) => [`caddy_${at}`, `h${at}`]),
    many((at) => [`caddy_${at}.reverse_proxy`, "{{upstreams}}"]),
  ];
  for (const labels of containers) {
    const started = performance.now();
    const translation = translate({ name: "web", labels, environment: {} }, "all");
    expect(performance.now() - started).toBeLessThan(LONGEST * 3);
    expect(translation).toBeDefined();
  }
});
