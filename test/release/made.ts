// Makes the files of a release for the tests: of the sources as they are, in a folder like a fresh checkout.

import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { productionPackages } from "../../.ci/release/packages.ts";
import { copySources } from "./programs.ts";
import { openDir } from "./commands.ts";

const ROOT = join(import.meta.dir, "../..");

/** The time that the release made here bears: 2026-01-02 03:04:05. */
export const TIME = 1_767_323_045;

/**
 * Makes a release.
 * @param place a path below a new folder, so that two releases are made in different places
 * @param env what else is other for the two
 * @returns the folder of the checkout
 */
export async function makeRelease(
  place: string,
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const checkout = join(openDir("release"), place);
  copySources(checkout);
  const modules = [
    ...productionPackages(ROOT).map(({ name }) => name),
    "bun-types/docs/project/license.mdx",
    "nanotar",
  ];
  for (const name of ["README.md", "LICENSE", "CHANGELOG.md", "docs"])
    cpSync(join(ROOT, name), join(checkout, name), { recursive: true });
  for (const name of modules.map((each) => join("node_modules", each))) {
    mkdirSync(join(checkout, name, ".."), { recursive: true });
    cpSync(join(ROOT, name), join(checkout, name), { recursive: true });
  }
  const child = Bun.spawn([process.execPath, ".ci/release/main.ts"], {
    cwd: checkout,
    stdout: "ignore",
    stderr: "inherit",
    env: { ...process.env, SOURCE_DATE_EPOCH: String(TIME), ...env },
  });
  if ((await child.exited) !== 0) throw new Error(`Cannot make a release in ${checkout}`);
  return checkout;
}
