// Reads how long browsers are to ask for a host by HTTPS alone (RFC 6797).

import { millisecondsOf } from "../../lib/durations.ts";

const YEAR = 365 * 86_400;
/** The longest time, in seconds. */
const LONGEST = 10 * YEAR;

/**
 * `1y`, perhaps with `subdomains` and `preload`. Lists of browsers take a host only with both, and for a year
 * (hstspreload.org).
 * @returns the value of the header
 */
export function parseHsts(text: string): string | undefined {
  const [first = "", ...words] = text
    .toLowerCase()
    .split(",")
    .map((word) => word.trim());
  const seconds = secondsOf(first);
  const isKnown = words.every((word) => word === "subdomains" || word === "preload");
  if (seconds === undefined || seconds > LONGEST || !isKnown) return undefined;
  const [all, preload] = [words.includes("subdomains"), words.includes("preload")];
  if (preload && (!all || seconds < YEAR)) return undefined;
  return `max-age=${seconds}${all ? "; includeSubDomains" : ""}${preload ? "; preload" : ""}`;
}

function secondsOf(text: string): number | undefined {
  const [, years] = /^(\d{1,2})y$/.exec(text) ?? [];
  if (years !== undefined) return Number(years) * YEAR;
  if (text === "0") return 0;
  const ms = millisecondsOf(text);
  return ms === undefined ? undefined : Math.floor(ms / 1_000);
}
