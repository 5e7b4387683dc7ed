// What happens to a container that is told to end: which servers are drained, and for how long.

import type { Model, Server } from "../model.ts";

/**
 * The shortest time for the connections of a removed server, in milliseconds: Docker's default stop
 * time. Even if a container ends at once, requests may still wait for a connection to it. HAProxy
 * sends those to another server after some seconds.
 */
const SHORTEST_GRACE = 10_000;

/**
 * The servers to drain when a container is told to end. There are none in a service of which it is
 * the last container.
 * @param isEnding whether another container has ended or was told to, by its ID
 */
export function serversToDrain(
  { services }: Model,
  id: string,
  isEnding: (id: string) => boolean,
): { readonly backend: string; readonly server: string }[] {
  const isOwn = (server: Server): boolean => server.id === id && !server.disabled;
  return services
    .filter(({ servers }) => servers.some(isOwn))
    .filter(({ servers }) =>
      servers.some((server) => server.id !== id && !server.disabled && !isEnding(server.id)),
    )
    .flatMap(({ backend, servers }) =>
      servers.filter(isOwn).map((server) => ({ backend, server: server.name })),
    );
}

/** How long a server's connections may last after it is removed, in milliseconds. */
export function graceOf({ services }: Model, name: string): number {
  const servers = services.flatMap((service) => service.servers);
  const server = servers.find((each) => each.name === name);
  return Math.max(SHORTEST_GRACE, server?.stopTimeout ?? 0);
}
