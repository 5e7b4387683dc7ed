// A server of bytes, with or without TLS, and a client of one.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { connect as connectTls, createServer as createTlsServer, TLSSocket } from "node:tls";
import { labDir } from "./leftovers.ts";

export interface DaemonOptions {
  readonly tls?: boolean;
}

/** Says its name in a line, and then whatever it hears. With TLS, its certificate has its name. */
export class Daemon {
  private constructor(
    readonly name: string,
    readonly port: number,
    private readonly server: Server,
    private readonly sockets: ReadonlySet<Socket>,
  ) {}

  static async start(name: string, { tls = false }: DaemonOptions = {}): Promise<Daemon> {
    const sockets = new Set<Socket>();
    const serve = (socket: Socket): void => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      // Every check of HAProxy ends with a reset of the connection.
      socket.on("error", () => socket.destroy());
      socket.write(`${name}\n`);
      socket.pipe(socket);
    };
    const options = { allowHalfOpen: true };
    const server: Server = tls
      ? createTlsServer({ ...options, ...certificateOf(name) }, serve)
      : createServer(options, serve);
    server.on("tlsClientError", () => undefined);
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve(undefined));
    await promise;
    return new Daemon(name, (server.address() as AddressInfo).port, server, sockets);
  }

  async stop(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.server.close(() => resolve(undefined));
    for (const socket of this.sockets) socket.destroy();
    await promise;
  }
}

/** A key and a certificate that it signed itself. */
function certificateOf(name: string): { readonly key: string; readonly cert: string } {
  const dir = labDir("tls");
  const words = ["req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"];
  const files = ["-subj", `/CN=${name}`, "-keyout", "key.pem", "-out", "cert.pem"];
  const all = [...words.flatMap((each) => each.split(" ")), ...files];
  const { status, stderr, error } = spawnSync("openssl", all, { cwd: dir, encoding: "utf8" });
  if (error !== undefined || status !== 0) {
    throw new Error(`Cannot make a certificate: ${stderr}`, { cause: error });
  }
  const read = (file: string): string => readFileSync(join(dir, file), "utf8");
  return { key: read("key.pem"), cert: read("cert.pem") };
}

interface DialOptions {
  readonly host?: string;
  /** Asks for this name by TLS. */
  readonly servername?: string;
  /** The first words; none by default. */
  readonly hello?: string;
}

/** A connection of a client. */
interface Connection {
  readonly socket: Socket;
  /** The next line without its end; empty if there is none any more. */
  line(): Promise<string>;
  /** All that comes until the other side ends. */
  rest(): Promise<Buffer>;
  /** Whose certificate the other side has. */
  certificate(): string;
}

/** Connects. That by itself never fails: who is refused reads nothing. */
export function dial(
  port: number,
  { host = "127.0.0.1", servername, hello }: DialOptions = {},
): Connection {
  const socket =
    servername === undefined
      ? connect({ port, host, allowHalfOpen: true })
      : connectTls({ port, host, servername, rejectUnauthorized: false });
  const heard = new Heard();
  socket.on("data", (more: Buffer) => heard.add(more));
  for (const event of ["end", "error", "close"]) socket.on(event, () => heard.end());
  if (hello !== undefined) socket.write(Buffer.from(hello, "latin1"));
  return {
    socket,
    line: () => heard.line(),
    rest: () => heard.rest(),
    certificate() {
      const { subject } = socket instanceof TLSSocket ? socket.getPeerCertificate() : {};
      return `CN=${String(subject?.CN)}`;
    },
  };
}

/** What has come so far. */
class Heard {
  #bytes = Buffer.alloc(0);
  #isOver = false;
  #changed = Promise.withResolvers<undefined>();

  add(more: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, more]);
    this.#note();
  }

  end(): void {
    this.#isOver = true;
    this.#note();
  }

  async line(): Promise<string> {
    while (!this.#bytes.includes("\n") && !this.#isOver) await this.#changed.promise;
    const end = this.#bytes.indexOf("\n");
    const text = this.#bytes.subarray(0, Math.max(end, 0)).toString();
    this.#bytes = this.#bytes.subarray(end + 1);
    return text;
  }

  async rest(): Promise<Buffer> {
    while (!this.#isOver) await this.#changed.promise;
    return this.#bytes;
  }

  #note(): void {
    this.#changed.resolve(undefined);
    this.#changed = Promise.withResolvers();
  }
}

/** Who answers a new connection; empty if nobody does. */
export async function helloFrom(port: number, options: DialOptions = {}): Promise<string> {
  const connection = dial(port, options);
  const name = await connection.line();
  connection.socket.destroy();
  return name;
}
