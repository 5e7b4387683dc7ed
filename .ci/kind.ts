// The kind of machine for which a program is built, as in the names of a release's files.

import { readFileSync } from "node:fs";

/**
 * Returns a kind such as `linux-x64` or `linux-arm64-musl`.
 * @param target a target of .ci/build.ts; undefined: this machine
 */
export function kindOf(target: string | undefined): string {
  // A `-baseline` program is for processors without AVX2. It runs on those with AVX2 too.
  if (target !== undefined) return target.replace("-baseline", "");
  // A machine may have the files of both C libraries, so look which one this Bun has loaded.
  // Source: proc_pid_maps(5).
  const isMusl = readFileSync("/proc/self/maps", "utf8").includes("/ld-musl-");
  return `linux-${process.arch}${isMusl ? "-musl" : ""}`;
}
