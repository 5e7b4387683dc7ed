// Reads the values of labels: one function for each kind of value.

import { isIP } from "node:net";
import { durationOf } from "../lib/durations.ts";
import type { CertificateWish } from "../model.ts";

/** What a text gives. Items that are wrong are left out of the value. */
interface Parsed<T> {
  /** Undefined if nothing of the text is right. */
  readonly value: T | undefined;
  /** The items that are none of what is allowed, as they were given. */
  readonly wrong: readonly string[];
}

export type Parser<T> = (text: string) => Parsed<T>;

const YES = new Set(["true", "1", "yes", "on"]);
const NO = new Set(["false", "0", "no", "off"]);
/** Source: RFC 1123, section 2.1. Names with a `_` are no host names, but Docker's users have them. */
const HOST_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?";
const HOST = new RegExp(String.raw`^(?:\*\.)?${HOST_LABEL}(?:\.${HOST_LABEL})*$`);
/** The longest host name: RFC 1035, section 2.3.4. */
const HOST_LIMIT = 253;
/** So many labels of a host are looked at for a wildcard: see `templates/path.hbs`. */
const WILDCARD_LABELS = 7;
/** What a segment of a path may have (RFC 3986, section 3.3), but the comma, which divides a list. */
const SEGMENT = "(?:[A-Za-z0-9._~!$&'()*+;=:@-]|%[0-9A-Fa-f]{2})+";
const PATH = new RegExp(`^/(?:${SEGMENT}(?:/${SEGMENT})*)?$`);
/** Nobody writes a longer one, and it has to fit into a command of HAProxy's. */
const PATH_LIMIT = 200;
/** A segment that is taken for the folder itself or the one above, or that hides a slash. */
const ODD_SEGMENT = /\/(?:\.|%2e){1,2}(?:;|\/|$)|%2f|%5c|%00/i;
const SERVICE = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

/** Makes a parser of a function that knows one word. */
export function one<T>(read: (word: string) => T | undefined): Parser<T> {
  return (text) => {
    const value = read(text.trim());
    return { value, wrong: value === undefined ? [text.trim()] : [] };
  };
}

/** An IPv4 or IPv6 address, without brackets. */
export function parseAddress(word: string): string | undefined {
  return isIP(word) === 0 ? undefined : word;
}

/** Makes a parser of words with commas or blanks between them. Each value counts once. */
export function several<T>(read: (word: string) => T | undefined): Parser<readonly T[]> {
  return (text) => {
    const words = text.split(/[\s,]+/).filter((word) => word !== "");
    const values = words.map(read);
    const right = [...new Set(values.filter((value) => value !== undefined))];
    const wrong = words.length === 0 ? [""] : words.filter((_, at) => values[at] === undefined);
    return { value: right.length === 0 ? undefined : right, wrong };
  };
}

/** Makes a parser of words that gives the right ones as one text, with commas between them. */
export function listed(read: (word: string) => string | undefined): Parser<string> {
  const parse = several(read);
  return (text) => {
    const { value, wrong } = parse(text);
    return { value: value?.join(","), wrong };
  };
}

export function parseSwitch(text: string): boolean | undefined {
  const word = text.toLowerCase();
  if (YES.has(word)) return true;
  return NO.has(word) ? false : undefined;
}

/** A TCP port number from 1 to 65535; undefined for anything else. */
export function parsePort(text: string): number | undefined {
  return text.length > 5 ? undefined : wholeNumber(text, 1, 65_535);
}

/** Any text on one line but an empty one. */
export function parseText(text: string): string | undefined {
  return /^[^\p{Cc}\u2028\u2029]+$/u.test(text) ? text : undefined;
}

/** A host name, or a wildcard such as `*.example.com`. In lower case, without a dot at its end. */
export function parseHost(text: string): string | undefined {
  const host = text.toLowerCase().replace(/\.$/, "");
  if (host.length > HOST_LIMIT || !HOST.test(host)) return undefined;
  const isDeep = host.startsWith("*.") && host.split(".").length - 1 > WILDCARD_LABELS;
  return isDeep ? undefined : host;
}

/** A path of whole segments. A slash at its end does not count. */
export function parsePath(text: string): string | undefined {
  const path = text.replace(/(?<=[^/])\/$/, "");
  return path.length <= PATH_LIMIT && PATH.test(path) && !ODD_SEGMENT.test(path) ? path : undefined;
}

/** A name that HAProxy takes for a backend, too. */
export function parseServiceName(text: string): string | undefined {
  return SERVICE.test(text) ? text : undefined;
}

/** The weight of a server. The limit is HAProxy's. */
export function parseWeight(text: string): number | undefined {
  return wholeNumber(text, 0, 256);
}

/** A share of the requests, in per cent. */
export function parseShare(text: string): number | undefined {
  return /^\d{1,2} ?%$/.test(text) ? wholeNumber(text.replace(/ ?%$/, ""), 1, 99) : undefined;
}

const parseWait = durationOf(1, 3_600_000);

/** How long a request waits for its turn, or how many do. */
export function parseQueue(text: string): string | undefined {
  return wholeNumber(text, 0, 100_000)?.toString() ?? parseWait(text);
}

/** Whether a service has one certificate of --acme for all of its hosts, or none. */
export function parseCertificates(text: string): CertificateWish | undefined {
  const word = text.toLowerCase();
  return word === "together" || word === "off" ? word : undefined;
}

/** How many requests a server gets at a time. */
export function parseMaxconn(text: string): number | undefined {
  return wholeNumber(text, 1, 1_000_000);
}

/** A whole number within limits, without a sign; undefined for anything else. */
function wholeNumber(text: string, lowest: number, highest: number): number | undefined {
  if (!/^\d{1,9}$/.test(text)) return undefined;
  const number = Number(text);
  return number >= lowest && number <= highest ? number : undefined;
}

/** A path from the root, on one line. What is really there is looked at when it is read. */
const FILE = /^\/[^\p{Cc}\u2028\u2029]{1,199}$/u;

/** The path of a file on this machine. */
export function parseFile(text: string): string | undefined {
  return FILE.test(text) ? text : undefined;
}
