// Translates what Caddy does to headers, on either side.

import type { Directive } from "./caddy-tree.ts";
import type { Notes } from "./notes.ts";
import { toHeaderName, toText } from "./values.ts";
import type { Settings } from "./vocabulary.ts";

/** A header that is set, or removed where a minus stands before its name. */
export function readHeader(
  side: "request" | "response",
  args: readonly string[],
  { theirs }: Directive,
  notes: Notes,
): Settings {
  const [written = "", value, ...more] = args;
  const isRemoved = written.startsWith("-");
  const name = toHeaderName(isRemoved ? written.slice(1) : written);
  const text = isRemoved ? "" : toText(value ?? "");
  // A placeholder of Caddy's, such as {remote_host}, would be sent as it is.
  const isPlain = text !== undefined && !/\{[^}\s]+\}/.test(text);
  if (name !== undefined && isPlain && more.length === 0 && (isRemoved || value !== undefined)) {
    return { [`headers.${side}.${name}`]: text };
  }
  // It may well be a password for the application.
  notes.warnSecret(theirs, "only a header that is set or removed is known", `headers.${side}`);
  return {};
}
