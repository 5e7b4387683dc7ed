// Reads the values of the labels about servers. Two values that mean the same give the same text.

import type { Settings } from "../../model.ts";
import { parseHost, parsePort } from "../values.ts";

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
  const host = name.includes("*") ? undefined : parseHost(name);
  if (host === undefined || port === undefined) return port === undefined ? host : undefined;
  const number = parsePort(port);
  return number === undefined ? undefined : `${host}:${number}`;
}

/** Labels that mean nothing without another one. */
const NEEDS: Readonly<Record<string, string>> = {
  "check.status": "check",
  "check.host": "check",
};

/**
 * Leaves out the settings that mean nothing without another one.
 * @param prefix what stands before each label
 * @returns the others, and a warning for each that is left out
 */
export function withoutIdle(
  settings: Settings,
  prefix: string,
): { readonly settings: Settings; readonly warnings: readonly string[] } {
  const idle = Object.keys(settings).filter((key) => {
    const needed = NEEDS[key];
    return needed !== undefined && settings[needed] === undefined;
  });
  return {
    settings: Object.fromEntries(Object.entries(settings).filter(([key]) => !idle.includes(key))),
    warnings: idle.map(
      (key) => `label ${prefix}${key} counts for nothing without label ${prefix}${NEEDS[key]}`,
    ),
  };
}
