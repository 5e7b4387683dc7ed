// Translates how long browsers are to come by HTTPS alone.

import { parseHsts } from "../settings/hsts.ts";
import type { Settings } from "./vocabulary.ts";

/** The units of our label, in seconds, the longest first. */
const UNITS = [
  ["y", 365 * 86_400],
  ["d", 86_400],
  ["s", 1],
] as const;

/**
 * Our label for a header that says so (RFC 6797, section 6.1). What our label cannot say is sent as it is,
 * such as `preload` without a year.
 * @returns undefined if it is no such header
 */
export function toHsts(header: string): Settings | undefined {
  const [age = "", ...words] = header.split(";").map((word) => word.trim().toLowerCase());
  const [, digits] = /^max-age=(\d{1,15})$/.exec(age) ?? [];
  const isKnown = words.every((word) => word === "includesubdomains" || word === "preload");
  if (digits === undefined || !isKnown) return undefined;
  const seconds = Number(digits);
  const [unit, length] = UNITS.find(([, each]) => seconds % each === 0 && seconds > 0) ?? ["s", 1];
  const rest = words.map((word) => (word === "includesubdomains" ? "subdomains" : word));
  const hsts = [`${seconds / length}${unit}`, ...rest].join(", ");
  return parseHsts(hsts) === undefined
    ? { "headers.response.Strict-Transport-Security": header }
    : { hsts };
}
