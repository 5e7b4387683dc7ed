// What happens to a container that has just started or is told to end: which servers get requests from
// then on, which are drained, and for how long.

import { WeakCache } from "../lib/weak-cache.ts";
import { ABOUT_TO_START, type Model, type Server, type Service } from "../model.ts";

/**
 * The shortest time for the connections of a removed server, in milliseconds: Docker's default stop
 * time. Even if a container ends at once, requests may still wait for a connection to it. HAProxy
 * sends those to another server after some seconds.
 */
const SHORTEST_GRACE = 10_000;

/** Some servers of one service. */
export interface ServersOfService {
  readonly service: Service;
  /** The names of the servers. */
  readonly servers: readonly string[];
}

/**
 * The servers to drain when a container is told to end. There are none in a service of which it is
 * the last container.
 * @param canServe whether a server of another container can take over
 */
export function serversToDrain(
  model: Model,
  id: string,
  canServe: (server: Server) => boolean,
): ServersOfService[] {
  return serversInUse(model, id).filter(({ service }) =>
    service.servers.some((server) => server.id !== id && !server.disabled && canServe(server)),
  );
}

/** The servers of a container that get requests. */
export function serversInUse(model: Model, id: string): ServersOfService[] {
  return serversOf(model, id, (server) => !server.disabled);
}

/** The servers of a container that got no requests because it did not run yet. */
export function serversToStart(model: Model, id: string): ServersOfService[] {
  return serversOf(model, id, (server) => server.why === ABOUT_TO_START);
}

/** The servers of each service by their containers. Most services are the same as before. */
const byContainer = new WeakCache<Service, ReadonlyMap<string, readonly Server[]>>();

/** The services of each container. Where a node is lost, a hundred of them end at once. */
const servicesOf = new WeakCache<Model, ReadonlyMap<string, readonly Service[]>>();

function serversOf(
  model: Model,
  container: string,
  isMeant: (server: Server) => boolean,
): ServersOfService[] {
  const own: ServersOfService[] = [];
  for (const service of servicesOf.get(model, indexed).get(container) ?? []) {
    const all = serversByContainer(service).get(container) ?? [];
    const servers = all.filter(isMeant).map(nameOf);
    if (servers.length > 0) own.push({ service, servers });
  }
  return own;
}

function indexed({ services }: Model): ReadonlyMap<string, readonly Service[]> {
  const index = new Map<string, Service[]>();
  for (const service of services) {
    for (const id of serversByContainer(service).keys()) {
      const known = index.get(id);
      if (known === undefined) index.set(id, [service]);
      else known.push(service);
    }
  }
  return index;
}

function serversByContainer(service: Service): ReadonlyMap<string, readonly Server[]> {
  return byContainer.get(service, ({ servers }) => Map.groupBy(servers, idOf));
}

function idOf({ id }: Server): string {
  return id;
}

function nameOf({ name }: Server): string {
  return name;
}

/** How long a server's connections may last after it is removed, in milliseconds. */
export function graceOf({ services }: Model, name: string): number {
  for (const { servers } of services) {
    const server = servers.find((each) => each.name === name);
    if (server !== undefined) return Math.max(SHORTEST_GRACE, server.stopTimeout);
  }
  return SHORTEST_GRACE;
}
