// The certificates of clients: which routes can ask for none, and answer nobody then.

import { compare } from "../../lib/text.ts";
import { nameOf } from "../../lib/places.ts";
import { WeakCache } from "../../lib/weak-cache.ts";
import type { Model, Route, Rules, Service } from "../../model.ts";
import { describeMembers } from "./files.ts";

/** A route that asks clients for certificates. */
interface Asking {
  readonly service: Service;
  readonly route: Route;
}

const closed = new WeakCache<Service, Map<string, Service>>();

/**
 * Closes the routes that ask for certificates of clients and cannot get them. A client is asked once for a
 * connection, before it says what it wants: so it is a matter of the host, and all routes of a host trust the
 * same authorities. Those of the shortest path count.
 * @param hasTls whether HTTPS is served at all
 */
export function withClientCertificates(model: Model, hasTls: boolean): Model {
  const asking = model.services.flatMap((service) =>
    service.routes.filter(asks).map((route): Asking => ({ service, route })),
  );
  if (asking.length === 0) return model;
  const problems = new Map<Route, string>();
  for (const [host, all] of Map.groupBy(asking, ({ route }) => route.host)) {
    const [first, ...others] = all
      .map(({ route }) => route)
      .toSorted((a, b) => a.path.length - b.path.length || compare(a.path, b.path));
    if (first === undefined) continue;
    if (!hasTls || host === "") {
      const problem = hasTls
        ? "clients are asked for certificates by the host that they want, and this route has none: name one with label gateway.host"
        : "clients show certificates by HTTPS alone, which is not served: see --listen-https";
      for (const each of [first, ...others]) problems.set(each, problem);
      continue;
    }
    for (const other of others) {
      if (trustsAlike(first.rules, other.rules)) continue;
      problems.set(
        other,
        `${nameOf(first)} trusts other authorities, and a client is asked once for all of a host`,
      );
    }
  }
  if (problems.size === 0) return model;
  const warnings = asking.flatMap(({ service, route }) => {
    const problem = problems.get(route);
    if (problem === undefined) return [];
    const about = `label ${route.rules.prefix}mtls of ${nameOf(route)}`;
    return [
      `${describeMembers(service)}: ${about}: ${problem}: the route answers 503 until it is right`,
    ];
  });
  return {
    ...model,
    services: model.services.map((service) => withoutThose(service, problems)),
    warnings: [...model.warnings, ...new Set(warnings)],
  };
}

function asks({ rules }: Route): boolean {
  return rules.closed === "" && rules.values["mtls"] !== undefined;
}

function trustsAlike({ values: a }: Rules, { values: b }: Rules): boolean {
  return a["mtls.ca"] === b["mtls.ca"] && a["mtls.crl"] === b["mtls.crl"];
}

/** A service whose routes with a problem answer nobody. It is the same object for the same routes. */
function withoutThose(service: Service, problems: ReadonlyMap<Route, string>): Service {
  const keys = service.routes.filter((route) => problems.has(route)).map(({ key }) => key);
  if (keys.length === 0) return service;
  const known = closed.get(service, () => new Map());
  const name = keys.join(" ");
  const made = known.get(name) ?? {
    ...service,
    routes: service.routes.map((route) =>
      problems.has(route) ? { ...route, rules: { ...route.rules, closed: "mtls" } } : route,
    ),
  };
  known.set(name, made);
  return made;
}
