// Passes an Engine's socket on, so that a test can give it another place or cut it off.

import { createConnection, createServer, type AddressInfo, type Socket } from "node:net";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";

export interface Relay {
  /** As a value of DOCKER_HOST. */
  dockerHost: string;
  /** From now on nothing that arrives is passed on in either direction; connections stay. */
  freeze(): void;
  /** Breaks the frozen connections and works again. */
  thaw(): void;
  close(): Promise<void>;
}

/**
 * Listens on a port of loopback, or on a unix socket, and passes everything on.
 * @param tls undefined: without TLS
 */
export async function startRelay(
  to: string,
  listen: number | string,
  tls?: TlsOptions,
): Promise<Relay> {
  const open = new Set<Socket>();
  let frozen = false;
  const accept = (client: Socket): void => {
    if (frozen) {
      open.add(client);
      return;
    }
    const engine = createConnection({ path: to });
    for (const [from, other] of [
      [client, engine],
      [engine, client],
    ] as const) {
      open.add(from);
      from.pipe(other);
      from.on("error", () => other.destroy());
      from.on("close", () => {
        open.delete(from);
        other.destroy();
      });
    }
  };
  const server = tls === undefined ? createServer(accept) : createTlsServer(tls, accept);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  const ready = (): void => resolve();
  if (typeof listen === "string") server.listen(listen, ready);
  else server.listen(listen, "127.0.0.1", ready);
  await promise;
  const port = typeof listen === "string" ? 0 : (server.address() as AddressInfo).port;
  return {
    dockerHost: typeof listen === "string" ? `unix://${listen}` : `tcp://127.0.0.1:${port}`,
    freeze: () => {
      frozen = true;
      for (const socket of open) socket.unpipe().pause();
    },
    thaw: () => {
      frozen = false;
      for (const socket of open) socket.destroy();
    },
    close: async () => {
      for (const socket of open) socket.destroy();
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      await closed.promise;
    },
  };
}
