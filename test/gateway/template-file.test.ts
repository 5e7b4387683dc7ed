// The template in its file: read again when it changes, also while it is being written or is gone.

import { expect, test } from "bun:test";
import { mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openTemplate } from "../../src/gateway/template-file.ts";
import { labDir } from "../lab/leftovers.ts";
import { failureOf } from "../lab/make.ts";

test("an empty file is taken only when it has stayed empty for a while", () => {
  const file = join(labDir("t"), "own.hbs");
  writeFileSync(file, "first");
  const slot = openTemplate("path", file);
  const [first] = slot.candidates();
  writeFileSync(file, "");
  slot.refresh();
  expect(slot.candidates()[0]).toBe(first);
  writeFileSync(file, "second");
  slot.refresh();
  const [second] = slot.candidates();
  expect(second).not.toBe(first);

  writeFileSync(file, "");
  slot.refresh();
  expect(slot.candidates()[0]).toBe(second);
  const longAgo = new Date(Date.now() - 10_000);
  utimesSync(file, longAgo, longAgo);
  slot.refresh();
  expect(slot.candidates()[0]).not.toBe(second);
});

test("a missing file throws once, and is read when it is back", () => {
  const file = join(labDir("t"), "own.hbs");
  writeFileSync(file, "first");
  const slot = openTemplate("path", file);
  const [first] = slot.candidates();
  for (let round = 0; round < 2; round++) {
    renameSync(file, `${file}.away`);
    const { message } = failureOf("template", () => slot.refresh());
    expect(message).toStartWith(`Cannot read template "${file}": there is no such file`);
    slot.refresh();
    expect(slot.candidates()).toHaveLength(1);
    // The same file as before: its facts alone would not tell that it was away.
    renameSync(`${file}.away`, file);
    slot.refresh();
  }
  expect(slot.candidates()[0]).not.toBe(first);
  rmSync(file);
  failureOf("template", () => slot.refresh());
  // Wrong in another way: that is news.
  mkdirSync(file);
  expect(failureOf("template", () => slot.refresh()).message).toContain("it is a folder");
  slot.refresh();
});
