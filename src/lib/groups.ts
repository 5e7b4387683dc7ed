// The groups of this machine's users.

import { readFileSync, statSync } from "node:fs";

/** The IDs of this machine's groups, by name. */
export function groupIds(): Map<string, number> {
  const rows = readFileSync("/etc/group", "utf8").matchAll(/^([^:]+):[^:]*:(\d+):/gm);
  return new Map([...rows].map(([, name = "", id]) => [name, Number(id)]));
}

/** The name of a file's group; undefined if it is root's, or the file cannot be seen. */
export function groupNameOf(path: string): string | undefined {
  try {
    const { gid } = statSync(path);
    return gid === 0 ? undefined : [...groupIds()].find(([, id]) => id === gid)?.[0];
  } catch {
    return undefined;
  }
}
