// Whom HAProxy trusts that shows a certificate, as its maps say it, and what of that counts no more.

import type { Files } from "../model.ts";
import { mapEntries, mapsOf, valuesByKey } from "./map-file.ts";

/** The end of the key with which a route says whom it trusts. See `templates/clients.hbs`. */
const TRUST_OF_ROUTE = ":mtls";
/** The key that stands for all whom hosts trust. See `templates/entrance.hbs`. */
const TRUST_OF_ALL = "*";
/** The value with which nobody is trusted. */
export const NOBODY = "=nobody";

/** An entry of a map, by its key. */
interface EntryName {
  readonly map: string;
  readonly key: string;
}

/** The entries of maps that say whom HAProxy trusts, and that say so no more after a change. */
export function distrusted(before: Files | undefined, after: Files): readonly EntryName[] {
  if (before === undefined) return [];
  const [old, now] = [mapsOf(before), mapsOf(after)];
  return Object.entries(old).flatMap(([map, text]) => {
    if (text === now[map] || !saysTrust(text)) return [];
    const values = valuesByKey(entriesOf(now[map] ?? ""));
    return entriesOf(text)
      .filter(([key, value]) => isAboutTrust(key) && values.get(key) !== value)
      .map(([key]) => ({ map, key }));
  });
}

function entriesOf(text: string): ReturnType<typeof mapEntries> {
  return mapEntries(text.split("\n"));
}

/** Of thousands of entries hardly any is about it. */
function saysTrust(text: string): boolean {
  return text.startsWith(`${TRUST_OF_ALL} =`) || text.includes(`${TRUST_OF_ROUTE} =`);
}

function isAboutTrust(key: string): boolean {
  return key === TRUST_OF_ALL || key.endsWith(TRUST_OF_ROUTE);
}
