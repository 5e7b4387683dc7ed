// What happens to a container that has just started or is told to end: which servers get requests from
// then on, which are drained, and for how long.

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
  return serversOf(model, (server) => server.id === id && !server.disabled);
}

/** The servers of a container that got no requests because it did not run yet. */
export function serversToStart(model: Model, id: string): ServersOfService[] {
  return serversOf(model, (server) => server.id === id && server.why === ABOUT_TO_START);
}

function serversOf({ services }: Model, isMeant: (server: Server) => boolean): ServersOfService[] {
  const own: ServersOfService[] = [];
  for (const service of services) {
    if (!service.servers.some(isMeant)) continue;
    own.push({ service, servers: service.servers.filter(isMeant).map(nameOf) });
  }
  return own;
}

function nameOf({ name }: Server): string {
  return name;
}

/** How long a server's connections may last after it is removed, in milliseconds. */
export function graceOf({ services }: Model, name: string): number {
  const servers = services.flatMap((service) => service.servers);
  const server = servers.find((each) => each.name === name);
  return Math.max(SHORTEST_GRACE, server?.stopTimeout ?? 0);
}
