// The pages of `--error-dir`: what the gateway answers for a status in place of its own words.

import { byteLength, LARGEST_PAGE } from "../lib/pages.ts";
import { configWord } from "./escape.ts";

/** A page for a status. */
export interface ErrorPage {
  readonly status: string;
  /** The whole answer as it is sent, with its headers. */
  readonly answer: string;
  /** Whether HAProxy gives this status by itself. It reads the whole answer then. */
  readonly isNative: boolean;
  readonly body: string;
  /** Empty if there is no body. */
  readonly contentType: string;
  /** The other headers, as words of HAProxy's configuration: `hdr NAME VALUE`. */
  readonly headers: string;
}

/** The statuses that HAProxy gives by itself, or where a rule denies a request. */
const NATIVE: Readonly<Record<string, string>> = {
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  408: "Request Timeout",
  413: "Content Too Large",
  429: "Too Many Requests",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};
/** Those that only rules of the gateway answer with. */
const BY_RULES: Readonly<Record<string, string>> = { 401: "Unauthorized", 411: "Length Required" };
const PHRASES: Readonly<Record<string, string>> = { ...NATIVE, ...BY_RULES };

/** All statuses that may have a page. */
export const ERROR_STATUSES: readonly string[] = Object.keys(PHRASES).toSorted();

/** HAProxy says these itself. */
const OF_CONNECTION = new Set(["connection", "content-length", "date", "keep-alive"]);
/** What a rule says itself with a status. */
const OF_RULES: Readonly<Record<string, string>> = { 401: "www-authenticate", 429: "retry-after" };
/** All headers together, in bytes: they share HAProxy's buffer with the page. */
const LARGEST_HEAD = 2_000;

/** The name of a file with a page; undefined if it is none. */
export function statusOfFile(name: string): string | undefined {
  return /^(\d{3})\.(?:http|html)$/.exec(name)?.[1];
}

/**
 * Reads a page.
 * @param name such as `503.http`, a whole answer, or `503.html`
 * @returns what is wrong with it, as a text, if it is of no use
 */
export function parseErrorPage(name: string, text: string): ErrorPage | string {
  const status = statusOfFile(name) ?? "";
  const phrase = PHRASES[status];
  if (phrase === undefined) return `the gateway never answers ${status || "so"}`;
  if (text === "") return "it is empty";
  const parts = name.endsWith(".http") ? parseAnswer(status, text) : ofHtml(status, text);
  if (typeof parts === "string") return parts;
  const { headers, body } = parts;
  if (byteLength(body) > LARGEST_PAGE) return `it is larger than ${LARGEST_PAGE} bytes`;
  const length: Header = ["Content-Length", String(byteLength(body))];
  const head = [...headers, length].map(([key, value]) => `${key}: ${value}\r\n`).join("");
  if (byteLength(head) > LARGEST_HEAD) return `its headers are larger than ${LARGEST_HEAD} bytes`;
  const type = headers.find(isContentType)?.[1] ?? "";
  return {
    status,
    answer: `HTTP/1.1 ${status} ${phrase}\r\n${head}\r\n${body}`,
    isNative: NATIVE[status] !== undefined,
    body,
    contentType: body === "" ? "" : type,
    headers: headers
      .filter((header) => !isContentType(header) && header[0].toLowerCase() !== OF_RULES[status])
      .map(([key, value]) => ` hdr ${configWord(key)} ${configWord(value.replaceAll("%", "%%"))}`)
      .join(""),
  };
}

type Header = readonly [name: string, value: string];

interface Parts {
  readonly headers: readonly Header[];
  readonly body: string;
}

const HTML: Header = ["Content-Type", "text/html; charset=utf-8"];

function ofHtml(status: string, body: string): Parts {
  // As without a page: come back soon.
  const again: readonly Header[] = status === "503" ? [["Retry-After", "5"]] : [];
  return { headers: [HTML, ...again], body };
}

/** Reads an answer as it is sent, with lines that end in CR LF or LF. Source: RFC 9112, section 2.1. */
function parseAnswer(status: string, text: string): Parts | string {
  const [, head, body = ""] = /^([^]*?\n)\r?\n([^]*)$/.exec(text) ?? [];
  if (head === undefined) return "no empty line ends its headers";
  const [first = "", ...lines] = head.replace(/\r?\n$/, "").split(/\r?\n/);
  const [, own] = /^HTTP\/1\.[01] (\d{3})(?: [\t\x20-\x7e]*)?$/.exec(first) ?? [];
  if (own === undefined) return `it does not begin with a line such as HTTP/1.1 ${status} Sorry`;
  if (own !== status) return `its first line has the status ${own}`;
  const headers: Header[] = [];
  for (const line of lines) {
    const [, name, value = ""] =
      /^([\w!#$%&'*+.^`|~-]+):[ \t]*([\x20-\x7e]*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined) return `${JSON.stringify(line)} is no header`;
    if (name.toLowerCase() === "transfer-encoding") return "it has a Transfer-Encoding";
    if (!OF_CONNECTION.has(name.toLowerCase())) headers.push([name, value]);
  }
  const isTyped = body === "" || headers.some(isContentType);
  return { headers: isTyped ? headers : [HTML, ...headers], body };
}

function isContentType([name]: Header): boolean {
  return name.toLowerCase() === "content-type";
}
