// What happens to a container that has just started or is told to end: which servers get requests from
// then on, which are drained, and for how long.

import { differingItems, shared } from "../lib/lists.ts";
import { MultiMap } from "../lib/multi-map.ts";
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

const aboutToStart = new WeakCache<Service, readonly Server[]>();

/** The servers of a service whose containers are about to start. */
export function serversAboutToStart(service: Service): readonly Server[] {
  return aboutToStart.get(service, ({ servers }) =>
    shared(servers.filter(({ why }) => why === ABOUT_TO_START)),
  );
}

/** The servers of each service by their containers. Most services are the same as before. */
const byContainer = new WeakCache<Service, ReadonlyMap<string, readonly Server[]>>();

function serversOf(
  model: Model,
  container: string,
  isMeant: (server: Server) => boolean,
): ServersOfService[] {
  const own: ServersOfService[] = [];
  for (const service of servicesOf(model, container)) {
    const all = serversByContainer(service).get(container) ?? [];
    const servers = all.filter(isMeant).map(nameOf);
    if (servers.length > 0) own.push({ service, servers });
  }
  return own;
}

/** The services of the last model by the IDs of their containers and the names of their servers. */
const index = new MultiMap<string, Service>();
let indexed: readonly Service[] = [];

/**
 * The services that have a container or a server. Where a node is lost, a hundred of them end at once; and of
 * thousands of services few have changed since.
 */
function servicesOf({ services }: Model, key: string): Iterable<Service> {
  const { former, current } = differingItems(indexed, services);
  indexed = services;
  for (const service of former) for (const each of keysOf(service)) index.delete(each, service);
  for (const service of current) for (const each of keysOf(service)) index.add(each, service);
  return index.get(key);
}

function keysOf({ servers }: Service): readonly string[] {
  return servers.flatMap(({ id, name }) => [id, name]);
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
export function graceOf(model: Model, name: string): number {
  for (const { servers } of servicesOf(model, name)) {
    const server = servers.find((each) => each.name === name);
    if (server !== undefined) return Math.max(SHORTEST_GRACE, server.stopTimeout);
  }
  return SHORTEST_GRACE;
}
