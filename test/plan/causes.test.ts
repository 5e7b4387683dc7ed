// Which cause a reload is counted for: each reason that the plan gives is one of a few.

import { expect, test } from "bun:test";
import { causeOf, type ReloadCause } from "../../src/plan/causes.ts";
import { planChange } from "../../src/plan/plan.ts";
import type { Asset, Files } from "../../src/model.ts";

const BASE = "global\n    maxconn 9\ndefaults d\n    mode http\nfrontend f from d\n    bind :80\n";
const BACKEND = "backend b from d\n    server s 127.0.0.1:80\n";

function files(config: string, assets: Record<string, Asset> = {}): Files {
  return { config, assets };
}

const script: Asset = { kind: "script", text: "one" };

test.each<[string, ReloadCause, Files, Files]>([
  ["global", "settings", files(BASE), files(BASE.replace("9", "8"))],
  ["defaults", "settings", files(BASE), files(`${BASE}defaults e\n    mode tcp\n`)],
  ["a frontend", "settings", files(BASE), files(BASE.replace(":80", ":81"))],
  ["a backend that is new", "service", files(BASE), files(BASE + BACKEND)],
  ["a backend that is gone", "service", files(BASE + BACKEND), files(BASE)],
  [
    "a script",
    "files",
    files(BASE, { "/s": script }),
    files(BASE, { "/s": { ...script, text: "" } }),
  ],
  ["a new map", "files", files(BASE), files(BASE, { "/m": { kind: "map", text: "" } })],
  [
    "a frontend and a backend",
    "settings",
    files(BASE),
    files(BASE.replace(":80", ":81") + BACKEND),
  ],
  ["conditions", "other", files(".if 1\n.endif\n"), files(".if 0\n.endif\n")],
])("%s", (_, cause, before, after) => {
  const plan = planChange({ files: before, aliases: {} }, after, undefined);
  expect(plan.kind).toBe("reload");
  const reasons = plan.kind === "reload" ? plan.reasons : [];
  expect(causeOf({ files: before, aliases: {} }, reasons)).toBe(cause);
});

test("what HAProxy runs is not known, or nothing of the gateway's", () => {
  expect(causeOf({ aliases: {} }, ["x"])).toBe("first");
  expect(causeOf({ files: files(BASE), aliases: {}, doubt: "x" }, ["x"])).toBe("drift");
});
