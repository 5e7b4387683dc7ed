// Reads where requests are sent instead.

import { NO_REDIRECT } from "../../model.ts";
import { parseHost, parseSwitch } from "../values.ts";

/** `https`, a host name, both as `https://shop.example.com`, or `none`. A switch such as `true` is no host. */
export function parseRedirect(text: string): string | undefined {
  const word = text.toLowerCase();
  if (word === NO_REDIRECT) return word;
  const [, scheme = "", name = ""] = /^(https:\/\/)?(.*)$/.exec(word) ?? [];
  if (parseSwitch(name) !== undefined) return undefined;
  const host = parseHost(name);
  if (host === undefined || host.startsWith("*.") || host === "http") return undefined;
  return scheme + host;
}

/** A status of an answer that leads elsewhere. */
export function parseRedirectCode(text: string): string | undefined {
  return ["301", "302", "307", "308"].includes(text) ? text : undefined;
}
