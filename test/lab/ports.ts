// Finds ports of loopback for the tests.

import { createServer } from "node:net";

// Below the range from which the system takes the ports of outgoing connections.
const FIRST = 20_000;
const COUNT = 10_000;
const given = new Set<number>();

/** A port that nobody listens on, another one at every call. */
export async function freePort(): Promise<number> {
  for (;;) {
    // By chance, as other test runs on this host look for theirs.
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
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
