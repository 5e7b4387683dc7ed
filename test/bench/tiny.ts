// A server that costs next to nothing: a HAProxy of its own that answers every request itself.

import { startHaproxy, type Haproxy } from "../lab/haproxy.ts";
import { freePort } from "../lab/ports.ts";
import { ANSWER } from "./services.ts";

export interface TinyServer {
  /** Every address of loopback has it at this port. */
  readonly port: number;
  stop(): Promise<void>;
}

/** Starts it. @param wanted the first one of some ports, and their number; one that is free by default */
export async function startTinyServer(wanted?: {
  readonly first: number;
  readonly count: number;
}): Promise<TinyServer> {
  const port = wanted?.first ?? (await freePort());
  const last = port + (wanted?.count ?? 1) - 1;
  const haproxy: Haproxy = await startHaproxy({
    version: "3.4",
    config: `
global
    nbthread 1
    cpu-map auto:1/1 1
    fd-hard-limit 50000
defaults
    mode http
    timeout client 60s
    timeout http-keep-alive 60s
frontend tiny
    bind 0.0.0.0:${port}-${last}
    http-request return status 200 content-type text/plain string ${ANSWER}
`,
  });
  return { port, stop: () => haproxy.stop() };
}
