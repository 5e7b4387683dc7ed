// The release notes out of CHANGELOG.md, and what a tag asks of it.

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import lock from "../../package-lock.json" with { type: "json" };
import manifest from "../../package.json" with { type: "json" };
import { checkTag, releaseNotes } from "../../.ci/release/notes.ts";
import { BUN_VERSION, KINDS } from "../../.ci/release/runtimes.ts";

const CHANGELOG = `# Changelog

## [2.1.0] - 2026-02-03

### Added

- Something.

## [2.0.0] - Unreleased

First.

[2.1.0]: https://example.com/compare
`;

test.each([
  ["2.1.0", "### Added\n\n- Something.\n"],
  ["2.0.0", "First.\n"],
])("the notes of %s are its section", (version, notes) => {
  expect(releaseNotes(CHANGELOG, version)).toBe(notes);
});

test("a version without a section has no notes", () => {
  expect(() => releaseNotes(CHANGELOG, "2.0")).toThrow("CHANGELOG.md lacks it");
});

test("this version has notes", () => {
  const changelog = readFileSync(join(import.meta.dir, "../../CHANGELOG.md"), "utf8");
  expect(releaseNotes(changelog, manifest.version)).toContain("### Added");
});

test("a tag is for the version of package.json, and that has a date", () => {
  expect(() => checkTag("v2.1.0", "2.1.0", CHANGELOG)).not.toThrow();
  expect(() => checkTag("v2.2.0", "2.1.0", CHANGELOG)).toThrow("package.json has version 2.1.0");
  expect(() => checkTag("2.1.0", "2.1.0", CHANGELOG)).toThrow("package.json has version 2.1.0");
  expect(() => checkTag("v2.0.0", "2.0.0", CHANGELOG)).toThrow("has no date for [2.0.0]");
});

test("the Bun of a release is the one that npm has locked, where it has", () => {
  const packages: Readonly<
    Record<string, { readonly version?: string; readonly integrity?: string }>
  > = lock.packages;
  const locked = KINDS.flatMap((kind) => {
    const entry = packages[`node_modules/${kind.package}`];
    return entry === undefined ? [] : [{ kind, entry }];
  });
  expect(locked.map(({ kind }) => kind.target)).toEqual(["linux-arm64", "linux-arm64-musl"]);
  for (const { kind, entry } of locked) {
    expect({ version: entry.version, integrity: entry.integrity }).toEqual({
      version: BUN_VERSION,
      integrity: kind.integrity,
    });
  }
});
