// How a change looks in `logs`.

import { expect, test } from "bun:test";
import type { ChangeDocument } from "../../src/api/changes.ts";
import { painter } from "../../src/cli/colour.ts";
import { textOf } from "../../src/cli/logs.ts";

const CHANGE: ChangeDocument = {
  id: "x-1",
  time: "2026-11-29T07:17:09.590Z",
  level: "info",
  message: "routed /a -> 172.17.0.2:80 (container a-1, 3 ms)",
  event: "routed",
};

test("plain, it is the line of the log", () => {
  expect(textOf(CHANGE, painter(false))).toBe(
    "2026-11-29T07:17:09.590Z routed /a -> 172.17.0.2:80 (container a-1, 3 ms)\n",
  );
  const failure = { level: "error", event: "failure", message: "Cannot\nreload", details: ["why"] };
  expect(textOf({ ...CHANGE, ...failure } as ChangeDocument, painter(false))).toBe(
    "2026-11-29T07:17:09.590Z error: Cannot reload\n  why\n",
  );
});

test("in colours only what they say differs", () => {
  const warning: ChangeDocument = { ...CHANGE, level: "warn", event: "warning", message: "odd" };
  for (const change of [CHANGE, warning, { ...CHANGE, event: "reload" }]) {
    const shown = textOf(change, painter(true));
    expect(Bun.stripANSI(shown)).toBe(textOf(change, painter(false)));
    expect(shown).toContain("\u001B[2m2026");
  }
  expect(textOf(warning, painter(true))).toContain("\u001B[33mwarn: odd\u001B[39m");
});
