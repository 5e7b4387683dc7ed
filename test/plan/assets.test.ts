// Plans for maps: the operations bring the old version to the new one.

import { expect, test } from "bun:test";
import { mapEntries, valuesByKey } from "../../src/config/map-file.ts";
import type { Operation } from "../../src/config/operations.ts";
import { planAssets } from "../../src/plan/assets.ts";
import { planChange } from "../../src/plan/plan.ts";
import type { Asset, AssetKind, Files } from "../../src/model.ts";
import { files, randomNumbers } from "../lab/make.ts";
import { V26 } from "../lab/plans.ts";

const LINES = ["k/ v", "k/ w", "l/ v|1", "l/ v|2", "m/ x", "# k/ y", "", "  n/ z  "];

function operations(before: string, after: string): readonly Operation[] {
  const changes = planAssets(files("", { "/m": before }), files("", { "/m": after }), {});
  expect(changes.flatMap(({ reasons }) => reasons)).toEqual([]);
  return changes.flatMap((change) => change.operations);
}

test("the operations give the new map after any change, with repeated keys too", () => {
  const random = randomNumbers(7);
  let text = "";
  for (let round = 0; round < 3_000; round++) {
    const before = text;
    const lines = text.split("\n");
    const line = LINES[Math.floor(random() * LINES.length)] ?? "";
    const at = Math.floor(random() * (lines.length + 1));
    text = lines.toSpliced(at, Math.floor(random() * 3), line).join("\n");
    if (text.length > 200) text = "";
    const expected = Object.fromEntries(valuesByKey(mapEntries(text.split("\n"))));
    expect(applied(before, operations(before, text))).toEqual(expected);
  }
});

test.each([
  ["no change", "a/ 1\nb/ 2\n", "a/ 1\nb/ 2\n", []],
  ["only a comment, or the order", "a/ 1\nb/ 2\n", "b/ 2\n# x\na/ 1\n", []],
  ["one value", "a/ 1\nb/ 2\n", "a/ 1\nb/ 3\n", ["set entry b/"]],
  ["one key added and one removed", "a/ 1\n", "b/ 2\n", ["add entry b/", "delete entry a/"]],
  [
    "a key that a line elsewhere has too",
    "a/ 1\nb/ 2\nc/ 3\n",
    "a/ 1\nb/ 2\na/ 3\n",
    ["replace map "],
  ],
  ["one at each end", "b/ 2\nc/ 3\n", "a/ 1\nb/ 2\nc/ 3\nd/ 4\n", ["add entry a/", "add entry d/"]],
  ["the order of a repeated key", "a/ 1\na/ 2\n", "a/ 2\na/ 1\n", ["replace map "]],
])("%s", (_, before, after, expected) => {
  const done = operations(before, after).map(
    (each) => `${each.do} ${"key" in each ? each.key : ""}`,
  );
  expect(done).toEqual(expected);
});

/** The value of each key in a map after operations. */
function applied(before: string, done: readonly Operation[]): object {
  const entries = new Map(valuesByKey(mapEntries(before.split("\n"))));
  for (const operation of done) {
    if (operation.do === "replace map") {
      entries.clear();
      for (const [key, value] of valuesByKey(operation.entries)) entries.set(key, value);
    } else if (operation.do === "delete entry") entries.delete(operation.key);
    else if ("value" in operation) entries.set(operation.key, operation.value);
  }
  return Object.fromEntries(entries);
}

/** What is planned for a file of some kind. */
function planned(kind: AssetKind, before: string, after: string): string[] {
  const asset = (text: string): Files => ({ config: "", assets: { "/x": { kind, text } } });
  const changes = planAssets(asset(before), asset(after), {});
  return changes.flatMap(({ operations: all, reasons }) => [
    ...all.map((operation) => Object.values(operation).join(" ")),
    ...reasons,
  ]);
}

test.each<[string, AssetKind, string, string, string[]]>([
  ["the same list", "crtlist", "/d\n/a a.org\n", "/d\n# x\n  /a  a.org\n", []],
  [
    "a certificate that is renewed: the new one comes first",
    "crtlist",
    "/d\n/a.1 a.org\n/b b.org\n",
    "/d\n/a.2 a.org\n/b b.org\n",
    ["add certificate /x /a.2 a.org", "remove certificate /x /a.1 a.org"],
  ],
  [
    "other names",
    "crtlist",
    "/d\n/a a.org\n",
    "/d\n/a a.org b.org\n",
    ["add certificate /x /a a.org b.org", "remove certificate /x /a a.org"],
  ],
  [
    "a line that asks clients for certificates",
    "crtlist",
    "/d\n/a [verify required ca-file /c] a.org\n",
    "/d\n/a [verify required ca-file /e] a.org\n",
    [
      "add certificate /x /a [verify required ca-file /e] a.org",
      "withdraw certificate /x /a [verify required ca-file /c] a.org",
    ],
  ],
  ["the same authorities", "ca", "a", "a", []],
  ["other authorities", "ca", "a", "b", ["set authorities /x ca b"]],
  ["others are revoked", "crl", "a", "b", ["set authorities /x crl b"]],
  ["another order", "crtlist", "/d\n/a a\n/b b\n", "/d\n/b b\n/a a\n", []],
  ["another first one", "crtlist", "/d\n", "/e\n", ["crtlist /x has another first certificate"]],
  ["the same certificate", "certificate", "a", "a", []],
  ["another certificate", "certificate", "a", "b", ["set certificate /x b"]],
  ["the same keys", "ticketkeys", "a\nb\nc\n", "a\nb\nc\n", []],
  ["one turn", "ticketkeys", "a\nb\nc\n", "b\nc\nd\n", ["turn ticket keys /x d"]],
  [
    "two turns",
    "ticketkeys",
    "a\nb\nc\n",
    "c\nd\ne\n",
    ["turn ticket keys /x d", "turn ticket keys /x e"],
  ],
  [
    "all of them",
    "ticketkeys",
    "a\nb\nc\n",
    "d\ne\nf\n",
    ["turn ticket keys /x d", "turn ticket keys /x e", "turn ticket keys /x f"],
  ],
  ["fewer", "ticketkeys", "a\nb\nc\n", "b\nc\n", ["ticketkeys /x has more keys, or fewer"]],
])("%s", (_, kind, before, after, expected) => {
  expect(planned(kind, before, after)).toEqual(expected);
});

/** A list of certificates with a line that asks clients, and the file of authorities that it names. */
function asking(ca: string): Files {
  const list: Asset = {
    kind: "crtlist",
    text: `/d\n/a [verify required ca-file ${ca}] a.org\n`,
  };
  return {
    config: "global\n    stats socket /x level admin\n",
    assets: { "/list": list, [ca]: { kind: "ca", text: "x" } },
  };
}

test("authorities come before the lines that name them, and go after these", () => {
  const plan = planChange({ files: asking("/one"), aliases: {} }, asking("/two"), V26);
  expect(plan.kind === "runtime" ? plan.operations.map((each) => each.do) : plan).toEqual([
    "add authorities",
    "add certificate",
    "withdraw certificate",
    "remove authorities",
  ]);
});
