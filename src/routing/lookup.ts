// How HAProxy finds the route of a request: the host first, then the path. The rules are those of
// `templates/path.hbs`, which this file must say again for those who ask beforehand.

import type { Route } from "../model.ts";
import { covers, isWildcard, isWithin } from "../lib/places.ts";

/**
 * The route of a request; undefined if there is none. The narrowest host that has a route for the path
 * wins, and of its routes the one with the longest path.
 * @param host in lower case, without a port and without a dot at its end
 */
export function findRoute<R extends Route>(
  routes: readonly R[],
  host: string,
  path: string,
): R | undefined {
  const matching = routes.filter(
    (each) => (each.host === "" || covers(each.host, host)) && isWithin(path, each.path),
  );
  return matching.toSorted((a, b) => rankOf(b) - rankOf(a) || b.path.length - a.path.length)[0];
}

/** An exact host is narrower than a wildcard, a long wildcard than a short one, and that than none. */
function rankOf({ host }: Route): number {
  if (host === "") return 0;
  return isWildcard(host) ? host.length : Number.MAX_SAFE_INTEGER;
}
