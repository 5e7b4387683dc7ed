// Clients of HTTPS in a process of their own, all of which are new: none comes again with a ticket, as those
// of wrk do, so each handshake is a whole one.

import { requestTls } from "../lab/tls-client.ts";
import type { Load } from "./wrk.ts";

/** What to ask, as JSON on the command line. */
interface HandshakeOptions {
  readonly port: number;
  readonly name: string;
  readonly path: string;
  /** The root that clients trust. */
  readonly ca: string;
  readonly seconds: number;
}

/** So many clients ask at a time. */
const CLIENTS = 16;

/**
 * Asks for so long by HTTPS, each time on a new connection.
 * @param core the core that it is kept to
 * @throws Error if a request failed, or a certificate was not trusted
 */
export async function shakeHands(options: HandshakeOptions, core: number): Promise<Load> {
  const command = [process.execPath, import.meta.path, JSON.stringify(options)];
  const child = Bun.spawn(["taskset", "-c", String(core), ...command], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`the clients failed: ${text}`);
  return JSON.parse(text) as Load;
}

async function ask({ seconds, ...request }: HandshakeOptions): Promise<Load> {
  const started = performance.now();
  const end = started + seconds * 1_000;
  let requests = 0;
  const client = async (): Promise<void> => {
    while (performance.now() < end) {
      const { problem, status, version } = await requestTls(request);
      if (problem !== "" || status !== 200 || version !== "TLSv1.3") {
        throw new Error(`${version}, ${status} ${problem}`);
      }
      requests++;
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return { requests, rate: (requests * 1_000) / (performance.now() - started) };
}

if (import.meta.main) {
  const options = JSON.parse(process.argv[2] ?? "{}") as HandshakeOptions;
  process.stdout.write(JSON.stringify(await ask(options)));
  process.exit(0);
}
