import { expect, test } from "bun:test";
import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openTemplate } from "../../src/gateway/template-file.ts";
import { labDir } from "../lab/leftovers.ts";

test("a file that is emptied to be written anew is not taken, one that stays empty is", () => {
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
