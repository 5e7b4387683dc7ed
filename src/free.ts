// Whether addresses can be listened on: HAProxy finds out by pausing what it serves, so it is asked first.

import { createServer } from "node:net";
import { systemCode } from "./errors.ts";
import { RefusedConfig } from "./haproxy/check.ts";
import { listenersOn, type Listener } from "./listeners.ts";

/**
 * Tries to listen on addresses for a moment.
 * @param addresses as `host:port`
 * @param isOurs whether who listens there is the gateway's own HAProxy, for all that is known
 * @throws RefusedConfig for the first that is held by another program, or is none of this machine's
 */
export async function checkFree(
  addresses: readonly string[],
  isOurs: (listener: Listener) => boolean,
): Promise<void> {
  for (const address of addresses) {
    const code = await listenOnce(address);
    if (code === "EADDRNOTAVAIL") {
      throw new RefusedConfig(
        "config",
        `Cannot listen on ${address}: this machine has no such address`,
        {
          hint: "ip address lists what it has; see --listen",
        },
      );
    }
    if (code !== "EADDRINUSE") continue;
    const holders = listenersOn(address) ?? [];
    if (holders.some(isOurs)) continue;
    const names = holders.map(
      ({ program, pid }) => program + (pid === undefined ? "" : ` (process ${pid})`),
    );
    const who = names.length === 0 ? "another program" : names.join(", ");
    throw new RefusedConfig("config", `Cannot listen on ${address}: ${who} has it`, {
      hint: "end that program, or use another --listen",
    });
  }
}

/** Listens for a moment; gives the system's code where that fails, or "". */
async function listenOnce(address: string): Promise<string> {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const server = createServer();
  server.once("error", (error) => resolve(systemCode(error)));
  server.once("listening", () => {
    server.close((error) => (error === undefined ? resolve("") : reject(error)));
  });
  server.listen({ host: host === "*" ? "0.0.0.0" : host, port: Number(address.slice(colon + 1)) });
  return promise;
}
