// HAProxy's own messages, at the levels of the gateway's log.

import type { LogLevel } from "../../lib/log.ts";

/**
 * Messages that come with every reload, with the end of HAProxy, and with the gateway's own commands.
 * Nothing is wrong, and the gateway logs these things in its own words.
 */
const ORDINARY = new RegExp(
  [
    // The gateway itself logs the commands that were refused.
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
/** Nobody ever heard of a backend that was kept in reserve. Each reload stops dozens of them. */
const IN_RESERVE = /^Proxy _spare\S* stopped /;
/** A server that is up again is worth a line, as the one that it was down. */
const RECOVERED = /^(Backup )?Server \S+ is UP, reason: /;
const LEVELS: Readonly<Record<string, LogLevel>> = {
  ALERT: "error",
  WARNING: "warn",
  NOTICE: "debug",
};

/** Reads a line that HAProxy printed: its text, and its level. Undefined: it tells nothing. */
export function readMessage(
  line: string,
): { readonly level: LogLevel; readonly text: string } | undefined {
  const [, word = "", text = line] = /^\[(\w+)\]\s+\(\d+\) : (?:CLI : )?(.*)$/.exec(line) ?? [];
  if (IN_RESERVE.test(text)) return undefined;
  if (ORDINARY.test(text)) return { level: "debug", text };
  if (RECOVERED.test(text)) return { level: "info", text };
  return { level: LEVELS[word] ?? "info", text };
}
