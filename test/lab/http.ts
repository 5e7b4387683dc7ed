// A raw HTTP/1.1 client that sends exactly the given bytes, and a wait for a condition.

import { createConnection, type Socket } from "node:net";

// What a test waits for takes milliseconds. After this time the test has failed.
const TIMEOUT_MS = 10_000;
/** What takes milliseconds has come by then, on a machine where everything else runs, too. */
const EVENTUALLY_MS = 30_000;

export interface RawRequest {
  /** A host name or address. 127.0.0.1 by default. */
  host?: string;
  port: number;
  method?: string;
  /** It is sent unchanged, such as `//foo`, `/foo/../bar`, `/foo%2Fbar` or `*`. */
  target?: string;
  /** Added to `Host` and `Connection: close`, or instead of them. Undefined leaves one out. */
  headers?: Record<string, string | undefined>;
  body?: string | Uint8Array;
  /** The connection fails if nothing arrives for this long. */
  timeoutMs?: number;
}

export interface RawResponse {
  status: number;
  statusText: string;
  /** In the order and with the letters in which they came. */
  headers: [name: string, value: string][];
  /** The first header with this name, in upper or lower case. */
  header(name: string): string | undefined;
  body: string;
}

/** An open connection, for more than one request and its answer. */
export interface RawConnection {
  send(bytes: string | Uint8Array): void;
  /** Waits for the head of the next answer, and reads the body if the status is not 101. */
  response(method?: string): Promise<RawResponse>;
  /** Waits for this many bytes. */
  read(bytes: number): Promise<Uint8Array>;
  /** Settles when the other side closes. */
  closed: Promise<void>;
  close(): void;
}

/** Sends one request on a new connection. */
export async function request(options: RawRequest): Promise<RawResponse> {
  const connection = await connect(options);
  try {
    connection.send(requestBytes(options));
    return await connection.response(options.method);
  } finally {
    connection.close();
  }
}

/** The bytes of a request. */
export function requestBytes(options: RawRequest): Uint8Array {
  const { host = "127.0.0.1", port, method = "GET", target = "/", body = "" } = options;
  const content = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const wanted: Record<string, string | undefined> = {
    Host: `${host.includes(":") ? `[${host}]` : host}:${port}`,
    Connection: "close",
  };
  if (content.length > 0) wanted["Content-Length"] = String(content.length);
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    const known = Object.keys(wanted).find((key) => key.toLowerCase() === name.toLowerCase());
    wanted[known ?? name] = value;
  }
  const lines = Object.entries(wanted)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([
    Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n`),
    content,
  ]);
}

export async function connect(
  options: Pick<RawRequest, "host" | "port" | "timeoutMs">,
): Promise<RawConnection> {
  const { host = "127.0.0.1", port, timeoutMs = TIMEOUT_MS } = options;
  const socket = createConnection({ host, port });
  const input = new Input(socket, `${host}:${port}`);
  socket.setTimeout(timeoutMs, () => {
    socket.destroy(new Error(`nothing came from ${host}:${port} for ${timeoutMs} ms`));
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  return {
    send: (bytes) => void socket.write(bytes),
    response: (method = "GET") => readResponse(input, method),
    read: (bytes) => input.take(bytes),
    closed: input.closed,
    close: () => void socket.destroy(),
  };
}

/** Repeats the check until it passes. If it does not pass in time, throws its last error. */
export async function eventually<T>(
  check: () => T | Promise<T>,
  options: { timeoutMs?: number; everyMs?: number } = {},
): Promise<T> {
  const { timeoutMs = EVENTUALLY_MS, everyMs = 25 } = options;
  const end = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() >= end) throw error;
    }
    await Bun.sleep(everyMs);
  }
}

async function readResponse(input: Input, method: string): Promise<RawResponse> {
  let head = await readHead(input);
  // 100 Continue comes before the real answer.
  while (head.status === 100) head = await readHead(input);
  const header = (name: string): string | undefined =>
    head.headers.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
  const bodyless = method === "HEAD" || head.status === 204 || head.status === 304;
  let body = "";
  if (head.status !== 101 && !bodyless) {
    const length = header("Content-Length");
    let bytes: Uint8Array;
    if (header("Transfer-Encoding")?.toLowerCase() === "chunked") bytes = await readChunks(input);
    else if (length === undefined) bytes = await input.rest();
    else bytes = await input.take(Number(length));
    body = new TextDecoder().decode(bytes);
  }
  return { ...head, header, body };
}

async function readHead(
  input: Input,
): Promise<Pick<RawResponse, "status" | "statusText" | "headers">> {
  const first = await input.line();
  const match = /^HTTP\/1\.[01] (\d{3}) ?(.*)$/.exec(first);
  if (match === null) throw new Error(`not a status line: ${JSON.stringify(first)}`);
  const headers: [string, string][] = [];
  for (let line = await input.line(); line !== ""; line = await input.line()) {
    const colon = line.indexOf(":");
    headers.push([line.slice(0, colon), line.slice(colon + 1).trim()]);
  }
  return { status: Number(match[1]), statusText: match[2] ?? "", headers };
}

async function readChunks(input: Input): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const size = Number.parseInt(await input.line(), 16);
    if (size === 0) break;
    chunks.push(await input.take(size));
    await input.line();
  }
  while ((await input.line()) !== "") {
    // These are trailers.
  }
  return Buffer.concat(chunks);
}

// The bytes that a socket has received and nobody has read yet.
class Input {
  readonly closed: Promise<void>;
  #chunks: Buffer[] = [];
  #size = 0;
  #ended = false;
  #error: Error | undefined;
  #wake: () => void = () => {};

  constructor(
    socket: Socket,
    private readonly peer: string,
  ) {
    socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#size += chunk.length;
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      const end = (): void => {
        this.#ended = true;
        this.#wake();
        resolve();
      };
      socket.on("end", end);
      socket.on("close", end);
      socket.on("error", (error) => {
        this.#error = error;
        end();
      });
    });
  }

  async take(bytes: number): Promise<Uint8Array> {
    while (this.#size < bytes) await this.#more(`${this.#size} of ${bytes} bytes`);
    return this.#cut(bytes);
  }

  async rest(): Promise<Uint8Array> {
    while (!this.#ended) await this.#next();
    if (this.#error !== undefined) throw this.#error;
    return this.#cut(this.#size);
  }

  async line(): Promise<string> {
    for (;;) {
      const all = this.#join();
      const end = all.indexOf("\r\n");
      if (end >= 0) {
        const text = all.toString("utf8", 0, end);
        this.#cut(end + 2);
        return text;
      }
      await this.#more(JSON.stringify(all.toString("utf8")));
    }
  }

  #join(): Buffer {
    const [first] = this.#chunks;
    const all = this.#chunks.length === 1 && first ? first : Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }

  #cut(bytes: number): Buffer {
    const all = this.#join();
    this.#chunks = [all.subarray(bytes)];
    this.#size -= bytes;
    return all.subarray(0, bytes);
  }

  async #more(got: string): Promise<void> {
    if (this.#ended) {
      throw this.#error ?? new Error(`${this.peer} closed the connection after ${got}`);
    }
    await this.#next();
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
