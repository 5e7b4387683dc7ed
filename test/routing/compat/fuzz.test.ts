// Random and hostile labels and variables: whatever they are, the translation ends, and gives nothing
// but valid labels of ours.

import { expect, test } from "bun:test";
import { translate, withOwnLabels } from "../../../src/routing/compat/compat.ts";
import { parseRule } from "../../../src/routing/compat/traefik-rule.ts";
import { isInVocabulary } from "../../../src/routing/compat/vocabulary.ts";
import { readIntent } from "../../../src/routing/intent.ts";
import { container, randomNumbers, ROUTING } from "../../lab/make.ts";
import { BCRYPT, type Texts } from "./read.ts";

/** Raise it with the variable for a longer search. 100,000 take some seconds. */
const COUNT = Number(process.env["FUZZ_COUNT"] ?? 100_000);
/** For all of them together, on a machine that is busy. In milliseconds. */
const PATIENCE = 60_000;
/** For one of them. They take a tenth of it on a machine that is not busy. In milliseconds. */
const LONGEST = 1_000;

/** Whatever ends a line, or changes a terminal, in any language. */
const CONTROL = /[\p{Cc}\u2028\u2029]/u;

/** Pieces that mean something to somebody, and some that mean harm. */
const WORDS = [
  ..."` \" ' ( ) , ! && || \\ \n \r \t \0 \u0085 \u2028 \ud800 $ ${1} {{ }} { } [ ] # ; : / // .. . - _ @ * ~ ^ = %0a %00".split(
    " ",
  ),
  ..."Host PathPrefix Path HostRegexp HostSNI Method ClientIP a b a.example.com *.example.com".split(
    " ",
  ),
  ..."/ /x /x/y /x/* /api* 80 8080 0 -1 99999999999999999999 1s 1m30s true false https http h2c".split(
    " ",
  ),
  ..."{{upstreams}} {{upstreams 80}} @x gzip internal redirect 10.0.0.0/8 ::1/128 __proto__ constructor".split(
    " ",
  ),
  "Host(`a.example.com`)",
  "Host(`a`) && PathPrefix(`/x`)",
  "^https?://www\\.(.+)",
  "https://${1}",
  "https://www.example.com{uri}",
  `bob:${BCRYPT}`,
  BCRYPT,
  "m,n@docker,o@file",
  "\nglobal\n  user root",
  "\r\nSet-Cookie: x",
  " ",
  "",
];

const LABELS = [
  ...[
    "rule",
    "middlewares",
    "service",
    "priority",
    "entrypoints",
    "tls",
    "tls.passthrough",
  ].flatMap((option) => [
    `traefik.http.routers.r.${option}`,
    `traefik.http.routers.s.${option}`,
    `traefik.tcp.routers.t.${option}`,
  ]),
  ...[
    "stripprefix.prefixes addprefix.prefix replacepath.path redirectscheme.scheme redirectregex.regex",
    "redirectregex.replacement basicauth.users basicauth.removeheader ipallowlist.sourcerange",
    "ipallowlist.ipstrategy.depth ratelimit.average ratelimit.period ratelimit.burst compress",
    "headers.customrequestheaders.X-A headers.customresponseheaders.X-A headers.stsseconds",
    "headers.accesscontrolalloworiginlist headers.framedeny buffering.maxrequestbodybytes",
    "chain.middlewares plugin.x.y headers.contentsecuritypolicy",
  ].flatMap((line) =>
    line
      .split(" ")
      .flatMap((option) => [
        `traefik.http.middlewares.m.${option}`,
        `traefik.http.middlewares.n.${option}`,
      ]),
  ),
  ...[
    "server.port server.scheme server.weight sticky.cookie sticky.cookie.name sticky.cookie.samesite",
    "healthcheck.path healthcheck.interval healthcheck.hostname healthcheck.status strategy",
  ].flatMap((line) =>
    line.split(" ").map((option) => `traefik.http.services.v.loadbalancer.${option}`),
  ),
  "traefik.enable",
  "traefik.docker.network",
  "traefik.tcp.services.v.loadbalancer.server.port",
  ...[
    "caddy caddy.reverse_proxy caddy.handle_path caddy.handle_path.reverse_proxy caddy.handle_path.rewrite",
    "caddy.handle caddy.handle.reverse_proxy caddy.handle.basic_auth.bob caddy.basic_auth caddy.basic_auth.bob",
    "caddy.tls caddy.encode caddy.redir caddy.header caddy.header.X-A caddy.respond caddy.import caddy.@x.path",
    "caddy.@x caddy.reverse_proxy.header_up caddy.reverse_proxy.lb_policy caddy.request_body.max_size",
    "caddy_1 caddy_1.reverse_proxy caddy_1.0_rewrite caddy_1.uri caddy_ingress_network",
  ].flatMap((line) => line.split(" ")),
  "com.github.nginx-proxy.nginx-proxy.loadbalance",
  "com.docker.compose.service",
  "com.docker.compose.project",
];
const VARIABLES =
  "VIRTUAL_HOST VIRTUAL_HOST_MULTIPORTS VIRTUAL_PATH VIRTUAL_DEST VIRTUAL_PORT VIRTUAL_PROTO VIRTUAL_ROOT NETWORK_ACCESS HTTPS_METHOD".split(
    " ",
  );

/** Makes random things of a list. */
class Dice {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = randomNumbers(seed);
  }

  below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  of<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error("the list is empty");
    return item;
  }

  text(): string {
    const pieces = Array.from({ length: this.below(7) + 1 }, () => this.of(WORDS));
    return pieces.join(this.of(["", "", " ", ","]));
  }

  /** Some of the names, each with a random text, and now and then a name that is random too. */
  texts(names: readonly string[], most: number): Texts {
    const entries = Array.from({ length: this.below(most) }, () => {
      const name = this.below(20) === 0 ? this.of(names) + this.text() : this.of(names);
      return [name, this.text()] as const;
    });
    return Object.fromEntries(entries);
  }
}

/** Labels and variables that are served, for others to be put beside or over them. */
const SERVED: readonly Texts[] = [
  {
    "traefik.http.routers.r.rule":
      "Host(`a.example.com`) && PathPrefix(`/x`) || Host(`b.example.com`)",
    "traefik.http.routers.r.middlewares": "m,n",
    "traefik.http.routers.r.service": "v",
    "traefik.http.services.v.loadbalancer.server.port": "80",
  },
  {
    caddy: "a.example.com",
    "caddy.reverse_proxy": "{{upstreams 80}}",
    "caddy.handle_path": "/x/*",
  },
  { VIRTUAL_HOST: "a.example.com" },
];

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
      const kind = dice.below(3);
      const base = dice.below(2) === 0 ? {} : (SERVED[kind] ?? {});
      const labels = { ...(kind === 2 ? {} : base), ...dice.texts(LABELS, kind === 2 ? 3 : 8) };
      const environment = kind === 2 ? { ...base, ...dice.texts(VARIABLES, 6) } : {};
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
