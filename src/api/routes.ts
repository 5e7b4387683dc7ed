// The routes as the running HAProxy has them: their servers, how these are, and what was counted.

import { backendOf, mapEntries, mapPathsOf, valuesByKey } from "../config/map-file.ts";
import { WAITING_ROOM } from "../config/operations.ts";
import { parseOwners } from "../config/owners.ts";
import {
  readMap,
  readStats,
  readTimes,
  readTotals,
  requestsWait,
  type ServerStats,
  type Totals,
} from "../haproxy/runtime/stats.ts";
import { isPlaceKey, placeOf, reachedName } from "../lib/places.ts";
import { compare } from "../lib/text.ts";
import { quantile } from "../lib/times.ts";
import type { Running } from "./running.ts";

type ShownStats = Pick<ServerStats, "name" | "address" | "state" | "since" | "requests" | "errors">;

/** What was counted of a route's backend. */
interface Counted extends Omit<Totals, "backend" | "number"> {
  /**
   * Within so many milliseconds half of the requests of the last minute got the headers of their answers, and 95 %
   * of them. Null: there was none, or the template notes nothing of it.
   */
  readonly p50Time: number | null;
  readonly p95Time: number | null;
}

/** A route with its servers. All routes of one backend have the same ones, and the same counts. */
export interface RouteRow extends Counted {
  /**
   * `/foo/bar` or `http://bar.example.com/`, by `https` if that host has a valid certificate; empty if no map
   * leads to the servers.
   */
  readonly route: string;
  /** The name of the backend in the configuration. */
  readonly backend: string;
  /** Whether requests wait for a container. */
  readonly waiting: boolean;
  readonly servers: readonly (ShownStats & { readonly container: string })[];
}

/** What was counted of a backend of which HAProxy says nothing. */
const NOTHING: Counted = {
  requests: 0,
  errors: 0,
  current: 0,
  queued: 0,
  meanTime: 0,
  longestTime: 0,
  p50Time: null,
  p95Time: null,
};

/** Reads the routes and their servers. @throws GatewayError if HAProxy does not answer */
export async function readRoutes({
  config,
  ownersPath,
  read,
  ask,
}: Running): Promise<readonly RouteRow[]> {
  const nameOf = namesOf(await read(ownersPath));
  const servers = Map.groupBy(await readStats(ask), ({ backend }) => backend);
  const times = await readTimes(ask);
  const totals = new Map(
    (await readTotals(ask)).map(({ backend, number, ...counted }): [string, Counted] => {
      const within = (share: number) => quantile(times.get(number), share) ?? null;
      return [backend, { ...counted, p50Time: within(0.5), p95Time: within(0.95) }];
    }),
  );
  // A template may use other maps too, with values that are not backends.
  const backends = new Set((await ask("show backend")).split("\n").filter(Boolean));
  const rows: RouteRow[] = [];
  const mapped = new Set<string>();
  const isSecured = await readSecured(config, read);
  const toRow = (route: string, name: string, running: string): RouteRow => {
    const all = servers.get(running) ?? [];
    return {
      route,
      backend: name,
      waiting: requestsWait(all),
      ...(totals.get(running) ?? NOTHING),
      servers: shownServers(all, nameOf),
    };
  };
  for (const path of mapPathsOf(config)) {
    // A new service may use a spare backend until the next reload. The file has its real name.
    const configured = valuesByKey(mapEntries((await read(path)).split("\n")));
    for (const { key, backend } of await readMap(ask, path)) {
      if (!backends.has(backend) || !isPlaceKey(key)) continue;
      mapped.add(backend);
      const name = backendOf(configured.get(key) ?? backend);
      const place = placeOf(key);
      rows.push(toRow(reachedName(place, isSecured(place.host)), name, backend));
    }
  }
  const others = [...servers.keys()].filter((backend) => !mapped.has(backend));
  return [
    ...rows.toSorted((a, b) => compare(a.route, b.route)),
    ...others.map((backend) => toRow("", backend, backend)),
  ];
}

/** The map of the hosts that have a valid certificate: see `templates/tls.hbs`. */
const SECURED = /\.https\.map$/;

/** Makes the function that tells whether clients reach a host by HTTPS. */
async function readSecured(
  config: string,
  read: Running["read"],
): Promise<(host: string) => boolean> {
  const path = mapPathsOf(config).find((each) => SECURED.test(each));
  if (path === undefined) return () => false;
  const hosts = new Set(mapEntries((await read(path)).split("\n")).map(([key]) => key));
  return (host) => hosts.has(host) || hosts.has(host.replace(/^[^.]*/, ""));
}

function shownServers(all: readonly ServerStats[], nameOf: NameOf): RouteRow["servers"] {
  return (
    all
      // The server at which requests wait is no container.
      .filter(({ name }) => name !== WAITING_ROOM)
      .map((server) => {
        const { name, address, state, since, requests, errors } = server;
        return { container: nameOf(server), name, address, state, since, requests, errors };
      })
      // HAProxy does not list them in the order of their names.
      .toSorted((a, b) => compare(a.container, b.container) || compare(a.name, b.name))
  );
}

/** Tells the names of containers by the servers that HAProxy has. */
type NameOf = (server: ServerStats) => string;

/**
 * Reads the names of containers. One that is on its way out, and the server of a template that is no
 * container's, have the name that HAProxy knows.
 * @param text of the file about owners
 */
function namesOf(text: string): NameOf {
  const owners = parseOwners(text);
  return ({ name, address }) => {
    const all = owners?.byPlace.get(address) ?? [];
    return (all.find(({ id }) => name.startsWith(id.slice(0, 12))) ?? all[0])?.name ?? name;
  };
}
