// The routes in pieces, for the page that lists them (--index). HAProxy looks the pieces up one after the
// other. Where one ends is decided by its last route, so that a change of a route is one of a piece.

import { digestOf } from "../lib/digest.ts";
import { compare } from "../lib/text.ts";
import { ListCache } from "../lib/weak-cache.ts";
import type { Service } from "../model.ts";

/** A piece in the map. */
export interface IndexPiece {
  readonly key: string;
  /** `=NEXT,HOST|PATH|SERVICE,...`, where `NEXT` is the key of the next piece, or empty. */
  readonly value: string;
}

/** A piece ends after one route in sixteen: after those whose digest begins with one of these. */
const LAST = "ABCD";
/** It ends there, too, in characters: HAProxy takes commands of some 15,000. */
const LARGEST = 8_000;

/** The key of the first piece. There always is one. */
const FIRST = "first";

/** A route in a piece. */
interface Row {
  readonly text: string;
  readonly digest: string;
}

const rows = new ListCache<Service, readonly Row[]>();

/**
 * The pieces, the last one first: so each is there before another one leads to it, and goes after that does
 * so no more.
 * @param titleOf returns the name of a service as a person knows it
 */
export function indexOf(
  services: readonly Service[],
  titleOf: (service: string) => string,
): readonly IndexPiece[] {
  const all = rows.getAll(services, (service) => rowsOf(service, titleOf)).flat();
  const pieces: IndexPiece[] = [];
  let [key, own, size] = [FIRST, [] as string[], 0];
  for (const { text, digest } of all.toSorted((a, b) => compare(a.text, b.text))) {
    own.push(text);
    size += text.length + 1;
    if (!LAST.includes(digest.charAt(0)) && size < LARGEST) continue;
    pieces.push({ key, value: `=${[digest, ...own].join(",")}` });
    [key, own, size] = [digest, [], 0];
  }
  // The last one may be empty.
  pieces.push({ key, value: `=${["", ...own].join(",")}${own.length === 0 ? "," : ""}` });
  return pieces.toReversed();
}

function rowsOf({ name, routes }: Service, titleOf: (service: string) => string): Row[] {
  return routes.map(({ host, path }) => {
    const text = [host, path, titleOf(name)].map(encodeURIComponent).join("|");
    return { text, digest: digestOf(text) };
  });
}
