// Wildcards of hosts, such as `*.example.com`, as HAProxy's maps have them.

import { covers, isWildcard, isWithin, keyOf } from "../lib/places.ts";
import type { Route } from "../model.ts";

/**
 * The routes that wildcards have from wider ones: where `*.a.example.com` has no route for a path,
 * that of `*.example.com` counts. HAProxy looks a host up under the longest wildcard only.
 */
export function inheritedRoutes(routes: readonly Route[]): readonly Route[] {
  const byHost = Map.groupBy(
    routes.filter(({ host }) => isWildcard(host)),
    ({ host }) => host,
  );
  if (byHost.size < 2) return [];
  return [...byHost].flatMap(([host, own]) => {
    const wider = [...byHost.keys()]
      .filter((each) => each !== host && covers(each, host))
      .toSorted((a, b) => b.length - a.length);
    const known = [...own];
    for (const from of wider) {
      const added = (byHost.get(from) ?? []).filter(
        ({ path }) => !known.some((each) => isWithin(path, each.path)),
      );
      known.push(...added.map((each) => ({ ...each, host, key: keyOf({ ...each, host }) })));
    }
    return known.slice(own.length);
  });
}
