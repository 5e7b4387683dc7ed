// A HAProxy with a small configuration, for tests that reload it, break it and ask it.

import { writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { startHaproxy, type Haproxy, type HaproxyVersion } from "./haproxy.ts";
import { request } from "./http.ts";
import { labDir } from "./leftovers.ts";
import { freePort } from "./app.ts";

/** A running HAProxy that answers every request with a text. */
export interface Plain {
  haproxy: Haproxy;
  port: number;
  statsSocket: string;
  /** Writes a configuration that answers with this text. HAProxy does not read it yet. */
  answerWith(text: string): void;
  /** Writes a configuration that HAProxy refuses. */
  spoil(): void;
  /** Writes one that HAProxy accepts. But it cannot start, as another program has the port. */
  claim(port: number): void;
  /** Sends a request and returns the text of the answer. */
  ask(): Promise<string>;
}

/** Starts one that answers `first`. @param more more lines for the configuration */
export async function startPlain(version: HaproxyVersion, more = ""): Promise<Plain> {
  const dir = labDir("plain");
  const port = await freePort();
  const statsSocket = join(dir, "admin.sock");
  const config = (text: string, binds: string): string =>
    `global
    stats socket ${statsSocket} mode 600 level admin expose-fd listeners
defaults
    mode http
    option idle-close-on-response
    timeout client 30s
    timeout server 30s
    timeout connect 5s
frontend plain
    bind 127.0.0.1:${port}
${binds}    http-request return status 200 content-type text/plain string ${text}
${more}`;
  const haproxy = await startHaproxy({ version, config: config("first", ""), dir });
  const write = (text: string): void => writeFileSync(haproxy.configFile, text);
  return {
    haproxy,
    port,
    statsSocket,
    answerWith: (text) => write(config(text, "")),
    spoil: () => write(config("spoilt", "    no-such-word\n")),
    claim: (taken) => write(config("claimed", `    bind 127.0.0.1:${taken}\n`)),
    ask: async () => (await request({ port })).body,
  };
}

/** Takes a port, so that HAProxy cannot have it until the returned function is called. */
export async function takePort(): Promise<[port: number, release: () => void]> {
  const server = createServer((socket) => void socket.destroy());
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return [(server.address() as AddressInfo).port, () => void server.close()];
}
