// The kind of machine that a program is for, as in the names of a release's files.

import { readFileSync } from "node:fs";

/**
 * Such as `linux-x64` or `linux-arm64-musl`.
 * @param target as .ci/build.ts knows it; undefined: for this machine
 */
export function kindOf(target: string | undefined): string {
  // A program for processors without AVX2 runs on those that have it, too.
  if (target !== undefined) return target.replace("-baseline", "");
  // A machine may have the files of both C libraries: what this Bun has loaded tells.
  // Source: proc_pid_maps(5).
  const isMusl = readFileSync("/proc/self/maps", "utf8").includes("/ld-musl-");
  return `linux-${process.arch}${isMusl ? "-musl" : ""}`;
}
