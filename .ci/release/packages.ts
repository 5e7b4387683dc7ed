// Reads from the lock file which npm packages are compiled into the program.

import { readFileSync } from "node:fs";
import { join } from "node:path";

interface LockedPackage {
  readonly name: string;
  readonly version: string;
}

interface Lock {
  readonly packages: Readonly<
    Record<
      string,
      { readonly version: string; readonly dev?: boolean; readonly optional?: boolean }
    >
  >;
}

/** Returns them in the order of their names, with the packages that they need themselves. */
export function productionPackages(root: string): readonly LockedPackage[] {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as Lock;
  return Object.entries(lock.packages)
    .filter(([path, { dev, optional }]) => path !== "" && dev !== true && optional !== true)
    .map(([path, { version }]) => ({ name: path.replace(/^.*node_modules\//, ""), version }));
}
