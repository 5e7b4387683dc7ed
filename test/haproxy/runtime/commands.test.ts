// Operations as HAProxy's commands: golden for each version, safe words, short lines.

import { describe, expect, test } from "bun:test";
import { toCommands, toLines, toPayloads, word } from "../../../src/haproxy/runtime/commands.ts";
import type { Operation, ServerLine } from "../../../src/config/operations.ts";
import { failureOf, randomNumbers } from "../../lab/make.ts";

const VERSIONS = ["2.6.12", "3.0.11", "3.2.26", "3.4.7"] as const;

const SERVER: ServerLine = {
  name: "web-1:0123456789ab",
  address: "172.17.0.2",
  port: "8000",
  settings: ["inter", "2s", "check"],
  disabled: false,
  connectCheckOnly: true,
  cookieKey: "",
};
const SIX: ServerLine = { ...SERVER, name: "six", address: "[fd00::2]" };
const UNCHECKED: ServerLine = { ...SERVER, name: "u", settings: ["weight", "5"] };

function commands(operation: Operation, version: string): string[] {
  return toCommands(operation, version);
}

const on = (name: Extract<Operation, { server: ServerLine }>["do"], server = SERVER): Operation => {
  const backend = "foo:bar";
  return name === "move server"
    ? { do: name, backend, server, from: SIX }
    : { do: name, backend, server };
};

const path = "foo:bar/web-1:0123456789ab";
const upAgain = [
  `enable health ${path}`,
  `set server ${path} state drain`,
  `set server ${path} health down`,
  `set server ${path} state ready`,
];

describe("the same for every version", () => {
  test.each<[string, Operation, string[]]>([
    ["drain", on("drain server"), [`set server ${path} state drain`]],
    ["enable: down until it is known to be up", on("enable server"), upAgain],
    [
      "enable, unchecked: down would be for ever",
      on("enable server", UNCHECKED),
      ["set server foo:bar/u state ready"],
    ],
    [
      "move: no request meanwhile",
      on("move server"),
      [
        `set server ${path} state drain`,
        `set server ${path} addr 172.17.0.2 port 8000`,
        ...upAgain,
      ],
    ],
    [
      "move, disabled",
      on("move server", { ...SIX, disabled: true }),
      ["set server foo:bar/six state drain", "set server foo:bar/six addr fd00::2 port 8000"],
    ],
    ["remove: first of all drained", on("remove server"), [`set server ${path} state drain`]],
    [
      "add a backend",
      { do: "add backend", backend: "foo:bar", defaults: "_backend" },
      ["add backend foo:bar from _backend"],
    ],
    ["publish it", { do: "publish backend", backend: "foo:bar" }, ["publish backend foo:bar"]],
    [
      "remove it: first of all not found any more",
      { do: "remove backend", backend: "foo:bar", defaults: "_backend" },
      ["unpublish backend foo:bar"],
    ],
    [
      "add an entry",
      { do: "add entry", map: "/run/a b.map", key: "/foo/bar/", value: "foo:bar|2" },
      [String.raw`add map /run/a\ b.map /foo/bar/ foo:bar|2`],
    ],
    [
      "set an entry",
      { do: "set entry", map: "/m", key: "/foo/", value: "foo" },
      ["set map /m /foo/ foo"],
    ],
    ["delete an entry", { do: "delete entry", map: "/m", key: "/foo/" }, ["del map /m /foo/"]],
  ])("%s", (_, operation, expected) => {
    for (const version of VERSIONS) expect(commands(operation, version)).toEqual(expected);
  });
});

describe("to add a server", () => {
  const pool = "pool-purge-delay 5s pool-max-conn -1";

  test("HAProxy 2.6: with connections to spare, and down by hand", () => {
    expect(commands(on("add server"), "2.6.12")).toEqual([
      `add server ${path} 172.17.0.2:8000 inter 2s check ${pool}`,
      ...upAgain,
    ]);
  });

  test("HAProxy 3.0: down by hand", () => {
    expect(commands(on("add server"), "3.0.11")).toEqual([
      `add server ${path} 172.17.0.2:8000 inter 2s check`,
      ...upAgain,
    ]);
  });

  test.each(["3.2.26", "3.4.7"])("HAProxy %s: down to begin with", (version) => {
    expect(commands(on("add server"), version)).toEqual([
      `add server ${path} 172.17.0.2:8000 inter 2s check init-state down`,
      `enable health ${path}`,
      `set server ${path} state ready`,
    ]);
  });

  test("disabled, it stays in maintenance, and is not checked", () => {
    expect(commands(on("add server", { ...SIX, disabled: true }), "3.4.7")).toEqual([
      String.raw`add server foo:bar/six \[fd00::2\]:8000 inter 2s check init-state down`,
    ]);
  });

  test("unchecked, it is up at once", () => {
    expect(commands(on("add server", UNCHECKED), "3.4.7")).toEqual([
      "add server foo:bar/u 172.17.0.2:8000 weight 5",
      "set server foo:bar/u state ready",
    ]);
    const off = { ...SERVER, settings: ["check", "no-check"] };
    expect(commands(on("add server", off), "3.4.7")[1]).toBe(`set server ${path} state ready`);
  });

  test("what its line says itself is not said again", () => {
    const settings = ["check", "init-state", "up", "pool-max-conn", "5"];
    const own = { ...SERVER, settings };
    expect(commands(on("add server", own), "3.4.7")[0]).toEndWith(` ${settings.join(" ")}`);
    expect(commands(on("add server", own), "2.6.12")[0]).toEndWith(
      ` ${settings.join(" ")} pool-purge-delay 5s`,
    );
  });
});

describe("words", () => {
  test.each([
    ["foo/bar:1.2_-@,|=", "foo/bar:1.2_-@,|="],
    ["a b", String.raw`a\ b`],
    ["a;shutdown", String.raw`a\;shutdown`],
    ["<<", String.raw`\<\<`],
    [String.raw`a\b`, String.raw`a\\b`],
    ["'\"#$%*[]{}", String.raw`\'\"\#\$\%\*\[\]\{\}`],
  ])("%s", (text, expected) => expect(word(text)).toBe(expected));

  test.each(["\0", "\n", "a\rb"])("%j fits in none", (text) => {
    failureOf("haproxy", () => word(text));
  });
});

describe("lines and payloads", () => {
  const LIMIT = 15_000;
  const random = randomNumbers(1);
  const texts = Array.from({ length: 2_000 }, () =>
    (random() < 0.2 ? "ü" : "x").repeat(1 + Math.floor(random() ** 4 * 7_000)),
  );

  test("hold all there is, in its order, in as few as fit", () => {
    const lines = toLines(texts);
    expect(lines.join(";").split(";")).toEqual(texts);
    const sizes = lines.map((line) => Buffer.byteLength(line));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(LIMIT);
    for (const [index, size] of sizes.slice(1).entries()) {
      expect((sizes[index] ?? 0) + 1 + size).toBeGreaterThan(LIMIT - 7_000 * 2);
    }

    const payloads = toPayloads(texts.map((text, index) => [`/${index}/`, text]));
    expect(payloads.join("\n").split("\n")).toEqual(
      texts.map((text, index) => `/${index}/ ${text}`),
    );
    for (const payload of payloads) {
      expect(Buffer.byteLength(payload)).toBeLessThanOrEqual(LIMIT);
    }
  });

  test("nothing is nothing", () => {
    expect([toLines([]), toPayloads([])]).toEqual([[], []]);
  });

  test("what fits in no line is refused", () => {
    expect(toLines(["x".repeat(LIMIT - 1)])).toHaveLength(1);
    failureOf("haproxy", () => toLines(["a", "x".repeat(LIMIT)]));
    failureOf("haproxy", () => toPayloads([["/a/", "ü".repeat(LIMIT / 2)]]));
  });
});
