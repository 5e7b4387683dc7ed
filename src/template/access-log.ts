// What the lines of --access-log need: the names that a person knows, for HAProxy's own.

import { WeakCache } from "../lib/weak-cache.ts";
import { covers, isWildcard } from "../lib/places.ts";
import { compare } from "../lib/text.ts";
import type { Route, Service } from "../model.ts";
import { idOf, type Entry } from "./rules.ts";

export type AccessLogFormat = "json" | "common";

/** What templates see of the access log. */
export interface AccessLogOptions {
  readonly format: AccessLogFormat;
  /** Of 10,000 requests that are no errors, so many have a line. */
  readonly sample: number;
  /** Whether that is not all of them. */
  readonly sampled: boolean;
}

/** The key of a request that has no route. */
const NOWHERE = "-";
/** In JSON one look-up gives both route and service, as the line has it between two quotes. */
const BETWEEN: Readonly<Record<AccessLogFormat, string>> = { json: '","service":"', common: "|" };

/**
 * The entries of the map that names routes, by their IDs.
 * @param routes all of them, with those that wildcards have from wider ones
 * @param titleOf returns the name of a service as a person knows it
 */
export function routeNames(
  routes: readonly Route[],
  services: readonly Service[],
  { format }: AccessLogOptions,
  titleOf: (service: string) => string,
): readonly Entry[] {
  const titles = new Map(services.map(({ backend, name }) => [backend, titleOf(name)]));
  const own = Map.groupBy(
    services.flatMap((service) => service.routes),
    ({ backend, path }) => `${backend} ${path}`,
  );
  const entries = routes.map((route) => {
    const { host, path } = originOf(route, own.get(`${route.backend} ${route.path}`) ?? []);
    const title = titles.get(route.backend) ?? NOWHERE;
    const names = [host + path, title].map((name) => inQuotes(name, format));
    return { key: idOf(route), value: names.join(BETWEEN[format]) };
  });
  const none = format === "json" ? NOWHERE : [NOWHERE, NOWHERE].join(BETWEEN.common);
  return [{ key: NOWHERE, value: none }, ...entries.toSorted((a, b) => compare(a.key, b.key))];
}

/** The route that somebody asked for: a wildcard may have it from a wider one. */
function originOf(route: Route, own: readonly Route[]): Route {
  const wider = own
    .filter(({ host }) => isWildcard(host) && covers(host, route.host))
    .toSorted((a, b) => b.host.length - a.host.length);
  return own.find(({ host }) => host === route.host) ?? wider[0] ?? route;
}

const named = new WeakCache<Service, readonly Entry[]>();

/** The entries of the map that names containers, by the names of their servers. */
export function containerNames(services: readonly Service[]): readonly Entry[] {
  const entries = named.getAll(services, ({ servers }) =>
    servers.map(({ name, container }) => ({ key: name, value: inQuotes(container, "json") })),
  );
  // A container of several services has the same name in each.
  const byKey = new Map(entries.flat().map((entry) => [entry.key, entry]));
  return [...byKey.values()].toSorted((a, b) => compare(a.key, b.key));
}

/** What stands between the quotes of a text, without blanks, which a map cannot have. */
function inQuotes(text: string, format: AccessLogFormat): string {
  const escaped = JSON.stringify(text).slice(1, -1);
  return escaped.replaceAll(/\s/gu, (blank) =>
    format === "json"
      ? `\\u${blank.charCodeAt(0).toString(16).padStart(4, "0")}`
      : encodeURIComponent(blank),
  );
}
