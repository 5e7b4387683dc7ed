// Reads which pages of other hosts may use a route: its origins, and what they may send.

import { durationOf, millisecondsOf } from "../../lib/durations.ts";
import { listed, type Parser } from "../values.ts";

/** As browsers write it: in small letters, without a path (RFC 6454, section 6.1). */
const ORIGIN =
  /^https?:\/\/(?:[a-z0-9_](?:[a-z0-9._-]{0,251}[a-z0-9_])?|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/;
/** A token (RFC 9110, section 5.6.2) without what means something to a map. */
const TOKEN = /^[A-Za-z0-9_-]{1,64}$/;
const parseAge = durationOf(0, 86_400_000);

/** Origins such as `https://shop.example.com`, or `*` for all. */
export const parseOrigins: Parser<string> = (text) => {
  const { value, wrong } = listed(parseOrigin)(text);
  // Beside all of them, single ones change nothing.
  return { value: value?.split(",").includes("*") === true ? "*" : value, wrong };
};

function parseOrigin(text: string): string | undefined {
  const word = text.toLowerCase().replace(/(?<=[^/])\/$/, "");
  return word === "*" || ORIGIN.test(word) ? word : undefined;
}

/** A method, such as `PUT`. */
export function parseMethod(text: string): string | undefined {
  return TOKEN.test(text) ? text.toUpperCase() : undefined;
}

/** The name of a header. */
export function parseHeaderName(text: string): string | undefined {
  return TOKEN.test(text) ? text.toLowerCase() : undefined;
}

/** How long a browser may remember an answer, in seconds. */
export function parseMaxAge(text: string): string | undefined {
  const age = parseAge(text);
  return age === undefined ? undefined : String(Math.floor((millisecondsOf(age) ?? 0) / 1_000));
}
