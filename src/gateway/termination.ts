// Containers that are told to end: which of their servers are drained, and how long connections may last.

import type { Model, Server } from "../model.ts";

/**
 * The least time for the connections of a server that goes, in milliseconds: Docker's own stop time.
 * A container that is stopped at once has requests too that wait for a connection, and HAProxy sends
 * them elsewhere after some seconds.
 */
const SHORTEST_GRACE = 10_000;

/**
 * The servers of a container that get no new requests when it is told to end: none where it is the
 * last of its service.
 * @param isEnding whether another container was told to end too, by its ID
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

/** How long the connections of a server may last when it goes, in milliseconds. */
export function graceOf({ services }: Model, name: string): number {
  const servers = services.flatMap((service) => service.servers);
  const server = servers.find((each) => each.name === name);
  return Math.max(SHORTEST_GRACE, server?.stopTimeout ?? 0);
}
