// Flags as users type them, and the environment behind them.

import { describe, expect, test } from "bun:test";
import { GATEWAY_FLAGS } from "../../src/cli/gateway-flags.ts";
import { normalise, readFlags, variableName } from "../../src/cli/flags.ts";
import { parseOptions } from "../../src/cli/options.ts";
import { nearest } from "../../src/lib/text.ts";
import { failureOf } from "../lab/make.ts";

function read(words: readonly string[], env: Record<string, string> = {}) {
  return readFlags(normalise(words), GATEWAY_FLAGS, env);
}

const STRINGS = Object.entries(GATEWAY_FLAGS)
  .filter(([, { type }]) => type === "string")
  .map(([name]) => name);

/** Two good values for each flag, as the command takes it. */
const EXAMPLES: Readonly<Record<string, readonly [string, string]>> = {
  template: ["path", "host"],
  "template-file": ["/a.hbs", "b.hbs"],
  "listen-https": ["*:443", "*:8443"],
  certs: ["/a", "/b"],
  tls: ["modern", "intermediate"],
  domain: ["a.example.com", "b.example.com"],
  listen: ["*:81", "127.0.0.1:82"],
  "trusted-proxies": ["10.0.0.0/8", "::1"],
  "output-file": ["/a.cfg", "/b.cfg"],
  "reload-cmd": ["a b", "c 'd e'"],
  "master-socket": ["/a.sock", "/b.sock"],
  haproxy: ["/a", "/b"],
  "docker-host": ["a=tcp://a", "b=ssh://b"],
  "engine-address": ["a=192.0.2.1", "b=::1"],
  ports: ["1,2", "3"],
  network: ["a", "b c"],
  "label-prefix": ["a.b", "c."],
  "label-files": ["/srv/a", "/srv/b"],
  "error-dir": ["/srv/a", "/srv/b"],
  "access-log": ["json:journal", "common:/var/log/x/y.log"],
  "access-log-sample": ["10%", "0.5%"],
  admin: ["127.0.0.1:8404", "unix:/run/gateway/admin.sock"],
  "admin-host": ["gateway.example.com", "watch"],
  "admin-token-file": ["/etc/gateway/token", "/srv/token"],
  acme: ["a@example.com", "b@example.com"],
  "acme-directory": ["staging", "https://ca.example.com/dir"],
  "acme-eab": ["one:AAAA", "two:BBBB"],
  "acme-ca": ["/a.pem", "/b.pem"],
  "acme-dns": ["a b", "c 'd e'"],
  "acme-dir": ["/srv/a", "/srv/b"],
  filter: ["label=a=b", "name=x"],
  "default-rule": ["/{{container.name}}", "{{image.name}}.a.org"],
  compat: ["none", "traefik,caddy"],
  claim: ["a.org=label:x=y", "*.b.org/c=image:x/*"],
  wait: ["1s:2s", "3s"],
  hold: ["5s", "0"],
  "log-level": ["debug", "error"],
  "log-format": ["json", "text"],
};

test("every flag of the program of 2018 and every other one is there", () => {
  expect(Object.keys(EXAMPLES).toSorted()).toEqual(STRINGS.toSorted());
  const booleans = Object.keys(GATEWAY_FLAGS).filter((name) => !STRINGS.includes(name));
  expect(booleans.toSorted()).toEqual([
    "always-reload",
    "http3",
    "index",
    "manage-haproxy",
    "no-acme-self-check",
    "no-mend-links",
    "no-redirect",
    "no-swarm",
    "once",
    "only-enabled",
    "proxy-protocol",
    "strict-sni",
    "swarm",
  ]);
});

/** The flags that may be repeated. */
const MULTIPLE = [
  "docker-host",
  "engine-address",
  "listen",
  "listen-https",
  "certs",
  "claim",
  "admin-host",
  "filter",
  "trusted-proxies",
  "label-files",
];

describe.each(Object.entries(EXAMPLES))("--%s", (name, [first, second]) => {
  const variable = variableName(name);
  const multiple = MULTIPLE.includes(name);
  const only = (value: string) => ({ [name]: multiple ? [value] : value });

  test.each<[string, string[], Record<string, string>, string]>([
    ["one dash, blank", [`-${name}`, first], {}, first],
    ["one dash, =", [`-${name}=${first}`], {}, first],
    ["two dashes, blank", [`--${name}`, first], {}, first],
    ["two dashes, =", [`--${name}=${first}`], {}, first],
    ["the environment", [], { [variable]: first }, first],
    ["the flag before the environment", [`--${name}=${first}`], { [variable]: second }, first],
    ["an empty variable is none", [`--${name}=${first}`], { [variable]: "" }, first],
  ])("%s", (_, words, env, value) => {
    const typed = new Set(words.length === 0 ? [] : [name]);
    expect(read(words, env)).toEqual({ values: only(value), typed, positionals: [] });
  });

  test("given twice", () => {
    const { values } = read([`--${name}`, first, `-${name}=${second}`]);
    expect(values).toEqual(multiple ? { [name]: [first, second] } : { [name]: second });
  });

  test.each<[string, string[]]>([
    ["nothing", [`-${name}`]],
    ["nothing after =", [`--${name}=`]],
    ["an empty word", [`--${name}`, ""]],
    ["the next flag", [`--${name}`, "--once"]],
    ["the next flag, one dash", [`-${name}`, "-once"]],
  ])("its value is %s", (_, words) => {
    const { message, hint } = failureOf("usage", () => read(words));
    expect(message).toBe(`Cannot read flag "--${name}": it has no value`);
    expect(hint).toStartWith(`such as --${name}=`);
  });
});

test.each([
  [["--once"], true],
  [["-once"], true],
  [["--once=true"], true],
  [["--once=false"], false],
  [["-once=no"], false],
  [["--once=1"], true],
  [["--once=0"], false],
  [["--once=On"], true],
])("%j is %p", (words, once) => {
  expect(read(words).values).toEqual({ once });
  expect(read(words, { GATEWAY_ONCE: String(!once) }).values).toEqual({ once });
});

test.each([
  ["true", true],
  ["1", true],
  ["no", false],
])("GATEWAY_MANAGE_HAPROXY=%s", (value, expected) => {
  expect(read([], { GATEWAY_MANAGE_HAPROXY: value }).values).toEqual({
    "manage-haproxy": expected,
  });
});

test.each<[string, string[], Record<string, string>, string, string | undefined]>([
  [
    "near to a flag",
    ["--listn", "x"],
    {},
    'Cannot read flag "--listn": there is no such flag',
    "did you mean --listen?",
  ],
  [
    "one dash",
    ["-reload-cmdd=x"],
    {},
    'Cannot read flag "--reload-cmdd": there is no such flag',
    "did you mean --reload-cmd?",
  ],
  [
    "near to none",
    ["--zzz"],
    {},
    'Cannot read flag "--zzz": there is no such flag',
    "--help lists them all",
  ],
  [
    "a negation",
    ["--no-once"],
    {},
    'Cannot read flag "--no-once": there is no such flag',
    "--help lists them all",
  ],
  [
    "of an object's own",
    ["--constructor"],
    {},
    'Cannot read flag "--constructor": there is no such flag',
    "--help lists them all",
  ],
  [
    "neither true nor false",
    ["--once=maybe"],
    {},
    'Cannot read "--once": "maybe" is neither true nor false',
    undefined,
  ],
  [
    "a variable that is neither true nor false",
    [],
    { GATEWAY_ONCE: "maybe" },
    'Cannot read "GATEWAY_ONCE": "maybe" is neither true nor false',
    undefined,
  ],
])("%s", (_, words, env, message, hint) => {
  const failure = failureOf("usage", () => read(words, env));
  expect([failure.message, failure.hint]).toEqual([message, hint]);
});

test("the reload command by the name that the program of 2018 had in its code", () => {
  expect(read(["-reload-command", "a b"]).values).toEqual({ "reload-cmd": "a b" });
  expect(read(["--reload-command=a"], { GATEWAY_RELOAD_CMD: "b" }).values).toEqual({
    "reload-cmd": "a",
  });
});

test("a value may hold = and blanks, and start with a dash behind =", () => {
  const { values } = read(["--reload-cmd", "x a=b", "--network=-n=1"]);
  expect(values).toEqual({ "reload-cmd": "x a=b", network: "-n=1" });
});

test("words that are no flags", () => {
  expect(read(["a", "--once", "b", "--", "--c"]).positionals).toEqual(["a", "b", "--c"]);
});

test("all at once, up to the options", () => {
  const { values } = read(
    ["-template-file", "a.hbs", "-output-file=/b.cfg", "-reload-cmd", "c d"],
    {
      GATEWAY_LISTEN: "*:81,*:82",
      GATEWAY_PORTS: "3000",
      GATEWAY_OUTPUT_FILE: "/lost.cfg",
    },
  );
  expect(parseOptions(values)).toMatchObject({
    template: { file: "a.hbs" },
    haproxy: { outputFile: "/b.cfg", reloadCommand: ["c", "d"] },
    listen: ["*:81", "*:82"],
    routing: { ports: [3000] },
  });
});

test.each([
  [
    ["-h", "-v"],
    ["--help", "--version"],
  ],
  [
    ["-once", "--once", "-"],
    ["--once", "--once", "-"],
  ],
  [
    ["-1", "a-b", ""],
    ["-1", "a-b", ""],
  ],
])("%j is read as %j", (words, expected) => {
  expect(normalise(words)).toEqual(expected);
});

test.each([
  ["rendr", "render"],
  ["render", "render"],
  ["temlpate", "template"],
  ["xyz", undefined],
])("nearest to %s is %p", (word, expected) => {
  expect(nearest(word, ["render", "template"])).toBe(expected);
  expect(nearest(word, [])).toBeUndefined();
});
