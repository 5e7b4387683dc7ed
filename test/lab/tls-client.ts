// A client of HTTPS that tells which certificate it was shown.

import { spawnSync } from "node:child_process";
import { connect, type TLSSocket } from "node:tls";
import { labDir } from "./leftovers.ts";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export interface TlsAnswer {
  /** The names of the certificate that was shown. */
  readonly names: readonly string[];
  /** Its serial number, which differs by certificate. */
  readonly serial: string;
  /** Why the certificate is not trusted; empty if it is. */
  readonly problem: string;
  /** Such as `TLSv1.3`. */
  readonly version: string;
  readonly status: number;
  /** The lines of its headers. */
  readonly head: string;
  readonly body: string;
}

export interface TlsRequest {
  readonly port: number;
  /** Where it is; this machine by default. */
  readonly address?: string;
  /** What the client asks for by TLS; empty: nothing. */
  readonly name: string;
  /** What it asks for by HTTP; the same by default. */
  readonly host?: string;
  readonly path?: string;
  /** The root that it trusts. */
  readonly ca: string;
  /** The kind of certificate that it knows, by TLS 1.2. */
  readonly kind?: "rsa" | "ec";
  /** Its own certificate. */
  readonly own?: { readonly key: string; readonly chain: string };
  /** Further headers. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Sends one request by HTTP/1.1. @throws if there is no connection */
export async function requestTls(options: TlsRequest): Promise<TlsAnswer> {
  const { port, name, host = name, path = "/", ca, kind, own, headers = {} } = options;
  const ciphers = kind === undefined ? {} : cipherOf(kind);
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const socket = connect(
    {
      host: options.address ?? "127.0.0.1",
      port,
      servername: name,
      ca,
      rejectUnauthorized: false,
      ...ciphers,
      ...(own === undefined ? {} : { key: own.key, cert: own.chain }),
    },
    () => resolve(socket),
  );
  socket.setTimeout(5_000, () => socket.destroy(new Error("no answer in 5 s")));
  const chunks: Buffer[] = [];
  const { promise: ended, resolve: end } = Promise.withResolvers<undefined>();
  socket.on("data", (chunk: Buffer) => void chunks.push(chunk));
  socket.on("error", reject);
  socket.on("close", () => {
    end(undefined);
    reject(new Error("the connection ended before its handshake did"));
  });
  await promise;
  const { subjectaltname = "", serialNumber } = socket.getPeerCertificate();
  const problem = socket.authorized ? "" : String(socket.authorizationError);
  const version = socket.getProtocol() ?? "";
  const more = Object.entries(headers).map(([key, value]) => `${key}: ${value}\r\n`);
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${more.join("")}\r\n`,
  );
  await ended;
  const text = Buffer.concat(chunks).toString("utf8");
  return {
    names: subjectaltname.split(", ").map((each) => each.replace("DNS:", "")),
    serial: serialNumber,
    problem,
    version,
    status: Number(/^HTTP\/1.1 (\d+)/.exec(text)?.[1] ?? 0),
    head: text.slice(0, text.indexOf("\r\n\r\n")),
    body: text.slice(text.indexOf("\r\n\r\n") + 4),
  };
}

function cipherOf(kind: "rsa" | "ec"): { maxVersion: "TLSv1.2"; ciphers: string } {
  const signed = kind === "ec" ? "ECDSA" : "RSA";
  return { maxVersion: "TLSv1.2", ciphers: `ECDHE-${signed}-AES128-GCM-SHA256` };
}

/** Asks for `/` by `openssl s_client`, and returns all that it says. Tickets come with the answer. */
export function openssl(port: number, name: string, ca: string, ...flags: string[]): string {
  const dir = labDir("s-client");
  writeFileSync(join(dir, "ca.pem"), ca);
  const words = ["s_client", "-connect", `127.0.0.1:${port}`, "-servername", name];
  const { stdout, stderr, error } = spawnSync(
    "openssl",
    [...words, "-ign_eof", "-CAfile", join(dir, "ca.pem"), ...flags],
    {
      input: `GET / HTTP/1.0\r\nHost: ${name}\r\n\r\n`,
      encoding: "utf8",
      timeout: 10_000,
      cwd: dir,
    },
  );
  if (error !== undefined) {
    throw new Error("Cannot run openssl: not installed; run test/lab/setup tools", {
      cause: error,
    });
  }
  return `${stdout}${stderr}`;
}
