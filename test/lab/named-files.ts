// The files that a configuration names: HAProxy reads them with it.

import type { Files } from "../../src/model.ts";

/** The text of each file that HAProxy reads besides the configuration, by its path. */
export function namedFiles({ assets }: Files): Readonly<Record<string, string>> {
  const read = Object.entries(assets).filter(([, { kind }]) => kind !== "owners");
  return Object.fromEntries(read.map(([path, { text }]) => [path, text]));
}
