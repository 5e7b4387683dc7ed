// A server on loopback that stands for a container. It records every request byte by byte.

import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { freePort, isPlain } from "./ports.ts";

export { freePort };

/** A request as the server received it. */
export interface Received {
  method: string;
  target: string;
  version: string;
  /** In the order and with the letters in which they came. */
  headers: [name: string, value: string][];
  /** The values of all headers with this name, in upper or lower case. */
  values: (name: string) => string[];
  body: string;
}

/** Returns the bytes of an answer. Undefined: it uses the connection itself. */
export type Answerer = (received: Received, socket: Socket) => string | undefined;

/** A running server. */
export interface App {
  /** The text of its usual answer. */
  name: string;
  address: string;
  port: number;
  /** The requests so far. HAProxy's checks are not among them: they only connect. */
  received: Received[];
  /** Makes its answers from now on. */
  answerer: Answerer;
  /** Empties `received`. */
  forget(): void;
  /** Ends all connections, and refuses new ones. */
  stop(): Promise<void>;
}

export interface AppOptions {
  name?: string;
  address?: string;
  /** A free one by default. */
  port?: number | undefined;
  answerer?: Answerer;
}

let count = 0;

/** Starts a server. It answers 200 with its name, unless the options say otherwise. */
export async function startApp(options: AppOptions = {}): Promise<App> {
  const { name = `app-${++count}`, address = "127.0.0.1" } = options;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    // Every check of HAProxy ends with a reset of the connection.
    socket.on("error", () => socket.destroy());
    serve(socket, app);
  });
  await listen(server, options.port ?? 0, address);
  while (options.port === undefined && !isPlain((server.address() as AddressInfo).port)) {
    server.close();
    await listen(server, 0, address);
  }
  const app: App = {
    name,
    address,
    port: (server.address() as AddressInfo).port,
    received: [],
    answerer: options.answerer ?? (() => reply(200, [], name)),
    forget: () => void app.received.splice(0),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
  return app;
}

async function listen(server: Server, port: number, address: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  server.once("error", reject);
  server.listen(port, address, () => resolve(undefined));
  await promise;
  server.off("error", reject);
}

/** The bytes of an answer, with `Content-Length`. */
export function reply(
  status: number,
  headers: readonly (readonly [name: string, value: string])[] = [],
  body = "",
): string {
  const length = ["Content-Length", String(Buffer.byteLength(body))] as const;
  const lines = [...headers, length].map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} Lab\r\n${lines.join("")}\r\n${body}`;
}

/** An address and port on which nobody listens or will listen: loopback has many addresses. */
export async function deadEnd(): Promise<{ address: string; port: number }> {
  const bytes = [1, 2, 3].map(() => 1 + Math.floor(Math.random() * 254));
  return { address: ["127", ...bytes].join("."), port: await freePort() };
}

function serve(socket: Socket, app: App): void {
  let input = "";
  let continued = false;
  socket.setEncoding("latin1");
  socket.on("data", take);

  function take(text: string): void {
    input += text;
    for (;;) {
      const request = parse(input);
      if (request === undefined) {
        if (!continued && /\r\nexpect: *100-continue\r\n[^]*\r\n\r\n/i.test(input)) {
          continued = true;
          socket.write("HTTP/1.1 100 Continue\r\n\r\n");
        }
        return;
      }
      continued = false;
      input = input.slice(request.length);
      app.received.push(request.received);
      const answer = app.answerer(request.received, socket);
      if (answer === undefined) {
        socket.off("data", take);
        return;
      }
      const { method, version, values } = request.received;
      const head = answer.indexOf("\r\n\r\n") + 4;
      socket.write(method === "HEAD" ? answer.slice(0, head) : answer);
      const last = values("connection").some((value) => value.toLowerCase() === "close");
      if (last || version === "HTTP/1.0") socket.end();
    }
  }
}

/** Reads the first request of the input, and its length. Undefined if it is not complete yet. */
function parse(input: string): { received: Received; length: number } | undefined {
  const end = input.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [first = "", ...lines] = input.slice(0, end).split("\r\n");
  const [method = "", target = "", version = ""] = first.split(" ");
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const values = (name: string): string[] =>
    headers.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  const start = end + 4;
  const content = values("transfer-encoding").includes("chunked")
    ? parseChunks(input, start)
    : parseLength(input, start, Number(values("content-length")[0] ?? 0));
  if (content === undefined) return undefined;
  return { received: { method, target, version, headers, values, body: content.body }, ...content };
}

interface Content {
  body: string;
  /** Where the next request starts. */
  length: number;
}

function parseLength(input: string, start: number, size: number): Content | undefined {
  const length = start + size;
  return input.length < length ? undefined : { body: input.slice(start, length), length };
}

function parseChunks(input: string, start: number): Content | undefined {
  let body = "";
  for (let at = start; ;) {
    const line = input.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const size = Number.parseInt(input.slice(at, line), 16);
    const next = line + 2 + size + 2;
    if (input.length < next) return undefined;
    if (size === 0) return { body, length: next };
    body += input.slice(line + 2, line + 2 + size);
    at = next;
  }
}
