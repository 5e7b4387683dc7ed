// The lock file, by which every set-up installs the same: complete, in step with package.json, and of one registry.

import { expect, test } from "bun:test";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { openDir, run } from "./commands.ts";

const ROOT = join(import.meta.dir, "../..");
const NAMES = ["package.json", "package-lock.json"];

interface Locked {
  readonly resolved?: string;
  readonly integrity?: string;
}

const text = readFileSync(join(ROOT, "package-lock.json"), "utf8");
const { packages } = JSON.parse(text) as { readonly packages: Readonly<Record<string, Locked>> };
const locked = Object.entries(packages).filter(([path]) => path !== "");

test("npm ci takes it as it is, with the packages of every platform in it", async () => {
  const folder = openDir("lock");
  for (const name of NAMES) cpSync(join(ROOT, name), join(folder, name));
  // Offline and without a cache: what the lock file lacks cannot be looked up.
  const options = ["--dry-run", "--offline", "--ignore-scripts", "--cache=none"];
  const env = { PATH: process.env["PATH"] ?? "", HOME: folder };
  const { status, stderr } = await run(["npm", "ci", "--no-update-notifier", ...options], {
    cwd: folder,
    env,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});

test("it says of this package what package.json says", () => {
  const { dependencies, devDependencies, engines, name, version } = manifest;
  expect(packages[""]).toMatchObject({ name, version, dependencies, devDependencies, engines });
});

test("every package is proved by a checksum, and none comes from another registry than npm's", () => {
  expect(locked.length).toBeGreaterThan(0);
  for (const [path, { integrity, resolved }] of locked) {
    expect(`${path} ${integrity}`).toMatch(/ sha512-/);
    if (resolved !== undefined) expect(resolved).toStartWith("https://registry.npmjs.org/");
  }
});
