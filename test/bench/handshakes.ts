// Clients of HTTPS in a process of their own, all of which are new: none comes again with a ticket, as those
// of wrk do, so each handshake is a whole one.

import { connect } from "node:tls";
import type { Load } from "./wrk.ts";

/** What to ask, as JSON on the command line. */
interface HandshakeOptions {
  readonly port: number;
  readonly name: string;
  /** The root that clients trust. */
  readonly ca: string;
  readonly seconds: number;
}

/** So many clients ask at a time. */
const CLIENTS = 16;

/**
 * Connects for so long by TLS 1.3, and asks for nothing: what a request costs is measured elsewhere.
 * @param core the core that it is kept to
 * @throws Error if a handshake failed, or a certificate was not trusted
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

async function connectFor({ seconds, port, name, ca }: HandshakeOptions): Promise<Load> {
  const started = performance.now();
  const end = started + seconds * 1_000;
  let requests = 0;
  const client = async (): Promise<void> => {
    while (performance.now() < end) {
      const { promise, resolve, reject } = Promise.withResolvers<undefined>();
      const options = {
        host: "127.0.0.1",
        port,
        servername: name,
        ca,
        minVersion: "TLSv1.3",
      } as const;
      const socket = connect(options, () => {
        requests++;
        socket.end();
      });
      socket.on("error", reject);
      socket.on("close", () => resolve(undefined));
      socket.resume();
      await promise;
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return { requests, rate: (requests * 1_000) / (performance.now() - started) };
}

if (import.meta.main) {
  const options = JSON.parse(process.argv[2] ?? "{}") as HandshakeOptions;
  process.stdout.write(JSON.stringify(await connectFor(options)));
  process.exit(0);
}
