// Finds free ports for the tests.

import { createServer } from "node:net";

// These ports are below the range that the system uses for outgoing connections.
const FIRST = 20_000;
const COUNT = 10_000;
const handedOut = new Set<number>();

/** A port on which nobody listens. Each call returns another one. */
export async function freePort(): Promise<number> {
  for (;;) {
    // It is random, as other test runs on this host look for ports, too.
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (handedOut.has(port) || !(await isFree(port))) continue;
    handedOut.add(port);
    return port;
  }
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
