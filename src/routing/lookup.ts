// How HAProxy finds the route of a request: the host first, then the path. The rules are those of
// `templates/path.hbs`, which this file must say again for those who ask beforehand.

import type { Route } from "../model.ts";
import { ANY_NAME, covers, isWildcard, isWithin } from "../lib/places.ts";

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

/**
 * The route of a connection to a port of TCP; undefined if there is none. The narrowest name wins, and what
 * no name has is that of `*`, or of the whole port. The rules are those of `templates/tcp.hbs`.
 * @param name the one that is asked for by TLS, in lower case; empty: none is
 */
export function findTcpRoute<R extends Route>(
  routes: readonly R[],
  port: number,
  name: string,
): R | undefined {
  const matching = routes.filter(
    ({ tcp, host }) =>
      tcp === port && (host === "" || host === ANY_NAME || (name !== "" && covers(host, name))),
  );
  return matching.toSorted((a, b) => rankOf(b) - rankOf(a))[0];
}

/** An exact host is narrower than a wildcard, a long wildcard than a short one, and that than none. */
function rankOf({ host }: Route): number {
  if (host === "" || host === ANY_NAME) return 0;
  return isWildcard(host) ? host.length : Number.MAX_SAFE_INTEGER;
}
