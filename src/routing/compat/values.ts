// Values as other proxies have them, checked and written in our way. What is not valid is `undefined`.

import { isIP } from "node:net";
import { millisecondsOf } from "../../lib/durations.ts";
import { parseUser } from "../settings/auth.ts";
import { parseRate } from "../settings/rate.ts";

/** The longest host name. Source: RFC 1035. */
const LONGEST_HOST = 253;
/** So many labels a wildcard may have. */
const WILDCARD_LABELS = 7;
const LONGEST_PATH = 200;
/** What HAProxy has room for in one line beside other words. */
const LONGEST_TEXT = 1_000;
const HOST_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?";
const HOST = new RegExp(String.raw`^(?:\*\.)?${HOST_LABEL}(?:\.${HOST_LABEL})*$`);
/** A path of whole segments, without the comma, which is between paths, and without patterns. */
const PATH = /^\/(?:[A-Za-z0-9\-._~!$&'()+;=:@/]|%[0-9A-Fa-f]{2})*$/;
/** A segment that is taken for the folder itself or the one above, that hides a slash, or is empty. */
const ODD_SEGMENT = /\/\/|\/(?:\.|%2e){1,2}(?:;|\/|$)|%2f|%5c|%00/i;

/** `a.example.com`, `*.example.com`, in lower case and without the dot at its end. */
export function toHost(text: string): string | undefined {
  const host = text.trim().toLowerCase().replace(/\.$/, "");
  if (host.length > LONGEST_HOST || !HOST.test(host)) return undefined;
  const isDeep = host.startsWith("*.") && host.split(".").length - 1 > WILDCARD_LABELS;
  return isDeep ? undefined : host;
}

/** A path prefix without the slash at its end; `/` for all paths. */
export function toPath(text: string): string | undefined {
  const path = text.trim().replace(/(?<=.)\/$/, "");
  return path.length <= LONGEST_PATH && PATH.test(path) && !ODD_SEGMENT.test(path)
    ? path
    : undefined;
}

/** Whether a path is the prefix or below it, by whole segments. */
export function isWithin(path: string, prefix: string): boolean {
  return prefix === "/" || path === prefix || path.startsWith(`${prefix}/`);
}

/**
 * Whether all requests for a host are also for the other one, as Traefik has it: its wildcard stands
 * for one label. An empty one is any host.
 */
export function hostIsWithin(host: string, outer: string): boolean {
  return outer === "" || host === outer || host.replace(/^[^.*]+\./, "*.") === outer;
}

/** What is left of a path when its prefix is taken away. */
export function withoutPrefix(path: string, prefix: string): string {
  return (prefix === "/" ? path : path.slice(prefix.length)) || "/";
}

/** One path below another. */
export function joinPaths(above: string, below: string): string {
  if (below === "/") return above;
  return above === "/" ? below : above + below;
}

/** A text for a header or a name. It has no control character and no end of a line. */
export function toText(text: string): string | undefined {
  const trimmed = text.trim();
  return trimmed.length <= LONGEST_TEXT && !/[\p{Cc}\p{Cs}\u2028\u2029]/u.test(trimmed)
    ? trimmed
    : undefined;
}

/** A word without blanks, such as a cookie's name. */
export function toWord(text: string): string | undefined {
  const word = text.trim();
  return /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/.test(word) ? word : undefined;
}

export function toHeaderName(text: string): string | undefined {
  const name = text.trim();
  return /^[A-Za-z0-9_-]{1,100}$/.test(name) ? name : undefined;
}

/** The name of a Docker network. */
export function toNetwork(text: string): string | undefined {
  const name = text.trim();
  return /^[A-Za-z0-9][A-Za-z0-9_. -]{0,199}$/.test(name) ? name : undefined;
}

/** A number from 1 on, without a fraction. */
export function toCount(text: string): string | undefined {
  const number = /^0*([1-9]\d{0,14})$/.exec(text.trim())?.[1];
  return number;
}

/** An address or a network, such as `10.0.0.0/8`. */
export function toNetworkRange(text: string): string | undefined {
  const [address = "", length, more] = text.trim().split("/");
  const family = isIP(address);
  // A zone, as in `fe80::1%eth0`, means nothing to others.
  if (family === 0 || more !== undefined || address.includes("%")) return undefined;
  if (length === undefined) return address.toLowerCase();
  if (!/^\d{1,3}$/.test(length) || Number(length) > (family === 4 ? 32 : 128)) return undefined;
  return `${address.toLowerCase()}/${Number(length)}`;
}

/** The words of Go's `strconv.ParseBool`, in which Traefik is written. */
export function toSwitch(text: string): boolean | undefined {
  const word = text.trim();
  if (/^(1|t|true)$/i.test(word)) return true;
  return /^(0|f|false)$/i.test(word) ? false : undefined;
}

/** The parts of a list with commas, without empty ones. */
export function splitList(text: string): readonly string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
/** A day of a year: nobody waits for longer. */
const LONGEST_DURATION = 365 * UNITS.d;

/** A duration in Go's way, such as `1m30s`, or a number of seconds; in our way it has one unit. */
export function toDuration(text: string): string | undefined {
  const word = text.trim();
  const written = /^\d+$/.test(word) ? `${word}s` : word;
  if (!/^(\d{1,9}(\.\d{1,9})?(ms|s|m|h|d)){1,5}$/.test(written)) return undefined;
  let total = 0;
  for (const [, number, unit] of written.matchAll(/([\d.]+)(ms|s|m|h|d)/g)) {
    total += Number(number) * UNITS[unit as keyof typeof UNITS];
  }
  const milliseconds = Math.round(total);
  if (milliseconds < 1 || milliseconds > LONGEST_DURATION) return undefined;
  for (const unit of ["h", "m", "s"] as const) {
    if (milliseconds % UNITS[unit] === 0) return `${milliseconds / UNITS[unit]}${unit}`;
  }
  return `${milliseconds}ms`;
}

const SIZES = {
  "": 1,
  k: 1e3,
  ki: 1_024,
  m: 1e6,
  mi: 1_048_576,
  g: 1e9,
  gi: 1_073_741_824,
} as const;

/** A number of bytes, also `10MB` or `10MiB`. */
export function toBytes(text: string): string | undefined {
  const [, number, unit] = /^(\d{1,12})\s*(|[kmg]i?)b?$/.exec(text.trim().toLowerCase()) ?? [];
  const bytes = Number(number) * SIZES[(unit ?? "") as keyof typeof SIZES];
  return bytes >= 1 && bytes <= Number.MAX_SAFE_INTEGER ? String(bytes) : undefined;
}

/** `user:hash` as a label of ours has it. One that it would refuse is none, so that the others get in. */
export function toUser(name: string, hash: string): string | undefined {
  return parseUser(`${name}:${hash}`);
}

/** A second: a rate of ours has no shorter time. */
const SHORTEST_PERIOD = 1_000;

/** So many requests in a time, such as `100/1m`. For a time that is too short, it is several of them. */
export function toRate(count: string, period: string): string | undefined {
  const length = millisecondsOf(period) ?? 0;
  if (length < 1) return undefined;
  const times = Math.ceil(SHORTEST_PERIOD / length);
  if (times === 1) return parseRate(`${count}/${period}`);
  return parseRate(`${Number(count) * times}/${length * times}ms`);
}
