// What happens to a container that is told to end: which servers are drained, and for how long.

import type { Model, Server, Service } from "../model.ts";

/**
 * The shortest time for the connections of a removed server, in milliseconds: Docker's default stop
 * time. Even if a container ends at once, requests may still wait for a connection to it. HAProxy
 * sends those to another server after some seconds.
 */
const SHORTEST_GRACE = 10_000;

/** Servers of one service that get no more requests. */
export interface Leaving {
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
): Leaving[] {
  return serversInUse(model, id).filter(({ service }) =>
    service.servers.some((server) => server.id !== id && !server.disabled && canServe(server)),
  );
}

/** The servers of a container that get requests. */
export function serversInUse({ services }: Model, id: string): Leaving[] {
  const isOwn = (server: Server): boolean => server.id === id && !server.disabled;
  return services
    .filter(({ servers }) => servers.some(isOwn))
    .map((service) => ({ service, servers: service.servers.filter(isOwn).map(nameOf) }));
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
