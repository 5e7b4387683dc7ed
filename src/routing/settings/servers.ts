// Reads the values of the labels about servers. Two values that mean the same give the same text.

import { FCGI_INDEX, FCGI_ROOT, type Settings } from "../../model.ts";
import { parseHost, parsePort, parseSwitch } from "../values.ts";

const BALANCES = new Set(["roundrobin", "leastconn", "source", "random"]);

/** How requests are shared out: a word, or `hash:` and the name of a header or `cookie:` and one of a cookie. */
export function parseBalance(text: string): string | undefined {
  const word = text.toLowerCase();
  if (BALANCES.has(word)) return word;
  const cookie = /^hash:cookie:([A-Za-z0-9_.-]{1,60})$/i.exec(text)?.[1];
  if (cookie !== undefined) return `hash:cookie:${cookie}`;
  return /^hash:[a-z0-9_-]{1,60}$/.test(word) ? word : undefined;
}

/** What a path with a query may have. */
const TARGET = /^\/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,199}$/;

/** The target of a request: a path, perhaps with a query. */
export function parseTarget(text: string): string | undefined {
  return TARGET.test(text) ? text : undefined;
}

/** Statuses of answers, such as `200` or `200-299,401`. */
export function parseStatuses(text: string): string | undefined {
  const parts = text.split(",").map((part) => part.trim());
  const areRight = parts.every((part) => {
    const [, from = "", to = from] = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(part) ?? [];
    return from !== "" && from <= to;
  });
  return areRight && parts.length <= 20 ? parts.join(",") : undefined;
}

/** The name of a host, perhaps with a port. */
export function parseAuthority(text: string): string | undefined {
  const [, name = "", port] = /^([^:]*)(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = parseServerName(name);
  if (host === undefined || port === undefined) return port === undefined ? host : undefined;
  const number = parsePort(port);
  return number === undefined ? undefined : `${host}:${number}`;
}

/** How HAProxy speaks to servers. */
export function parseScheme(text: string): string | undefined {
  const word = text.toLowerCase();
  return ["http", "https", "h2c", "h2", "fcgi"].includes(word) ? word : undefined;
}

/** Segments of a path of files. HAProxy writes all of these as they are. */
const FILES = /^\/[A-Za-z0-9._~@+=-]+(?:\/[A-Za-z0-9._~@+=-]+)*$/;

/** The absolute path of a folder. A slash at its end does not count. */
export function parseFolder(text: string): string | undefined {
  const path = text.replace(/(?<=[^/])\/$/, "");
  return path.length <= 200 && FILES.test(path) && !/\/\.{1,2}(?:\/|$)/.test(path)
    ? path
    : undefined;
}

/** The path of a script below a folder. A slash before it does not count. */
export function parseScript(text: string): string | undefined {
  return text.endsWith("/") ? undefined : parseFolder(`/${text.replace(/^\//, "")}`)?.slice(1);
}

/** The name of one host. */
export function parseServerName(text: string): string | undefined {
  const host = parseHost(text);
  return host?.startsWith("*.") === true ? undefined : host;
}

/** The name of a cookie: a token (RFC 6265, section 4.1.1) without what HAProxy would take otherwise. */
export function parseCookieName(text: string): string | undefined {
  return /^[A-Za-z0-9_.-]{1,60}$/.test(text) ? text : undefined;
}

/** A value of a cookie's `SameSite`. */
export function parseSameSite(text: string): string | undefined {
  const word = text.toLowerCase();
  return ["lax", "strict", "none"].includes(word) ? word : undefined;
}

/** Whether something is so, as text. */
export function parseFlag(text: string): string | undefined {
  return parseSwitch(text)?.toString();
}

/** What settings are without a label, if that can be said. */
const USUAL: Readonly<Record<string, string>> = {
  balance: "roundrobin",
  compress: "false",
  "fcgi.index": FCGI_INDEX,
  "fcgi.root": FCGI_ROOT,
  scheme: "http",
  "https.verify": "false",
  "sticky.secure": "false",
};

/** Labels that mean nothing without another one, which must have one of some values, if any are named. */
const NEEDS: Readonly<
  Record<string, { readonly label: string; readonly values?: readonly string[] }>
> = {
  "check.status": { label: "check" },
  "check.host": { label: "check" },
  "fcgi.index": { label: "scheme", values: ["fcgi"] },
  "fcgi.root": { label: "scheme", values: ["fcgi"] },
  "https.verify": { label: "scheme", values: ["https", "h2"] },
  "https.ca": { label: "https.verify", values: ["true"] },
  "https.sni": { label: "scheme", values: ["https", "h2"] },
  "sticky.secure": { label: "sticky" },
  "sticky.samesite": { label: "sticky" },
};

/**
 * Leaves out the settings that change nothing: as they are so anyway, or mean nothing without another.
 * @param prefix what stands before each label
 * @returns the others, and a warning for each that means nothing
 */
export function withoutIdle(
  settings: Settings,
  prefix: string,
): { readonly settings: Settings; readonly warnings: readonly string[] } {
  const isIdle = (key: string): boolean => {
    const needed = NEEDS[key];
    if (needed === undefined) return false;
    const value = settings[needed.label];
    return value === undefined || needed.values?.includes(value) === false;
  };
  const entries = Object.entries(settings);
  return {
    settings: Object.fromEntries(
      entries.filter(([key, value]) => !isIdle(key) && USUAL[key] !== value),
    ),
    warnings: entries
      .filter(([key]) => isIdle(key))
      .map(
        ([key]) =>
          `label ${prefix}${key} counts for nothing without label ${prefix}${wantedFor(key)}`,
      ),
  };
}

/** What a label needs, such as `check` or `scheme=https`. */
function wantedFor(key: string): string {
  const { label = "", values = [] } = NEEDS[key] ?? {};
  return [label, ...values.slice(0, 1)].join("=");
}
