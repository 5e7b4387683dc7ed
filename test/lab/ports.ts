// Finds free ports for the tests.

import { connect, createServer, type Socket } from "node:net";
import { otherProtocolAt } from "../../src/routing/other-protocols.ts";

// These ports are below the range that the system uses for outgoing connections.
const FIRST = 20_000;
const COUNT = 10_000;
const handedOut = new Set<number>();

/** A port on which nobody listens. Each call returns another one. */
export async function freePort(): Promise<number> {
  for (;;) {
    // It is random, as other test runs on this host look for ports, too.
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (handedOut.has(port) || !isPlain(port) || !(await isFree(port))) continue;
    handedOut.add(port);
    return port;
  }
}

/** Whether the gateway takes it for a port of HTTP, and for no database's, say. */
export function isPlain(port: number): boolean {
  return otherProtocolAt(port, [port]) === undefined;
}

/**
 * Keeps a free port from all other tests, so that nobody will listen there: it is the near end of a
 * connection. Destroy the socket to let go of it.
 * @param server the port of a server on 127.0.0.1
 */
export async function keepPort(port: number, server: number): Promise<Socket> {
  const host = "127.0.0.1";
  const socket = connect({ host, port: server, localAddress: host, localPort: port });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  return socket;
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once("error", () => resolve(false));
  server.listen({ port, host: "0.0.0.0", exclusive: true }, () => {
    server.close(() => resolve(true));
  });
  return promise;
}
