// What HAProxy says, in the tone of the gateway's log.

import type { LogLevel } from "../../lib/log.ts";

/**
 * What HAProxy says of every reload, at its end, and of what it was told to do to a server: nothing
 * is wrong, and the gateway has told of it in its own words.
 */
const ORDINARY = new RegExp(
  [
    // The gateway tells of what it was refused.
    String.raw`^'server \S+' : `,
    String.raw`^Proxy \S+ stopped `,
    "worker .* exited with code 0 ",
    "^Exiting Master",
    "^All workers exited",
    "changed from server-state after a reload",
    "changed from CLI",
    "forced (drain|maintenance)",
    "enters (drain state|maintenance)",
    "going DOWN for maintenance",
    "has no server available!$",
  ].join("|"),
);
/** A server that passed its check again is told in the same tone as one that failed it. */
const RECOVERED = /^(Backup )?Server \S+ is UP, reason: /;
const LEVELS: Readonly<Record<string, LogLevel>> = {
  ALERT: "error",
  WARNING: "warn",
  NOTICE: "debug",
};

/** Reads a line that HAProxy printed: what it says, and how much that matters. */
export function readMessage(line: string): { readonly level: LogLevel; readonly text: string } {
  const [, word = "", text = line] = /^\[(\w+)\]\s+\(\d+\) : (?:CLI : )?(.*)$/.exec(line) ?? [];
  if (ORDINARY.test(text)) return { level: "debug", text };
  if (RECOVERED.test(text)) return { level: "info", text };
  return { level: LEVELS[word] ?? "info", text };
}
