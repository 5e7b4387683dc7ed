// Labels of ours as a part of a compose file.

import { expect, test } from "bun:test";
import { parse } from "yaml";
import { asComposeLabels } from "../../../src/routing/compat/as-labels.ts";
import { randomNumbers } from "../../lab/make.ts";

test("the container's own labels, then those of each route", () => {
  const labels = { "route.b.path": "/x", port: "8080", "route.a.host": "b", host: "a" };
  expect(asComposeLabels(labels)).toBe(`labels:
  "gateway.host": "a"
  "gateway.port": "8080"
  "gateway.route.a.host": "b"
  "gateway.route.b.path": "/x"
`);
  expect(asComposeLabels({ port: "1" }, "gw/")).toBe('labels:\n  "gw/port": "1"\n');
});

test("no labels", () => {
  expect(asComposeLabels({})).toBe("labels: {}\n");
});

/** What Docker Compose makes of the text: YAML, and then one dollar for two. */
function asCompose(text: string): unknown {
  const read = parse(text) as { readonly labels: Record<string, string> };
  return Object.fromEntries(
    Object.entries(read.labels).map(([name, value]) => {
      if (typeof value !== "string") throw new Error(`${name} is no text`);
      if (/(?<!\$)\$(?:\$\$)*(?!\$)/.test(value)) throw new Error(`${value} has a variable`);
      return [name, value.replaceAll("$$", "$")];
    }),
  );
}

test.each([
  "true",
  "8080",
  "",
  " ",
  "~",
  "null",
  "- x",
  "a: b # c",
  "'",
  '"',
  "\\",
  "{}",
  "*a",
  "&a",
  "!x",
  "@x",
  "100%",
  "$2y$10$abc",
  "$$",
  "${HOME}",
  "a\nb",
  "\u0000\u0085\u2028\ufeff\u{1f600}",
])("%j is the same after Docker Compose read it", (value) => {
  expect(asCompose(asComposeLabels({ host: value }))).toEqual({ "gateway.host": value });
});

test("random texts are the same after Docker Compose read them", () => {
  const random = randomNumbers(1);
  for (let count = 0; count < 2_000; count++) {
    const codes = Array.from({ length: 8 }, () =>
      Math.floor(random() * (random() < 0.9 ? 128 : 0xd800)),
    );
    const value = String.fromCharCode(...codes);
    expect(asCompose(asComposeLabels({ host: value }))).toEqual({ "gateway.host": value });
  }
});
