// How many files a process may have open. A connection of HAProxy takes two, a check of a server one.

import { existsSync, readFileSync } from "node:fs";

/** HAProxy needs about two open files for each connection, and some to check its servers. */
export const ENOUGH_FILES = 4_096;
/** How to raise the limit. */
export const RAISE_FILES = "raise it (ulimit -Hn, or LimitNOFILE= in the unit) and restart HAProxy";

/**
 * The hard limit of a process, up to which HAProxy raises its own limit by itself.
 * Source: proc_pid_limits(5).
 * @returns undefined if there is no such process, or no /proc
 */
export function fileLimit(pid: number | "self"): number | undefined {
  const path = `/proc/${pid}/limits`;
  if (!existsSync(path)) return undefined;
  const [, hard] = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync(path, "utf8")) ?? [];
  return hard === "unlimited" ? Infinity : Number(hard);
}
