// How many files a process may have open. A connection of HAProxy takes two, a check of a server one.

import { readProcessFile } from "./process.ts";

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
  const text = readProcessFile(`/proc/${pid}/limits`);
  const [, hard] = /^Max open files\s+\S+\s+(\S+)/m.exec(text) ?? [];
  if (hard === undefined) return undefined;
  return hard === "unlimited" ? Infinity : Number(hard);
}
