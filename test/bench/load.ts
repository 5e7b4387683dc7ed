// A load of its own process: so many requests a second, whatever becomes of the earlier ones.

import { connect, type Socket } from "node:net";

/** What to send, as JSON on the command line. */
export interface LoadOptions {
  readonly port: number;
  readonly path: string;
  /** Requests a second. */
  readonly rate: number;
  /** How many requests; 0: until standard input is closed. */
  readonly count: number;
  /** Whether connections are used again. */
  readonly keepAlive: boolean;
}

/** What became of it, as JSON on standard output. */
export interface LoadResult {
  readonly sent: number;
  /** How often each way of failing occurred. */
  readonly failures: Readonly<Record<string, number>>;
  readonly failed: number;
  /** Answered well, but late. */
  readonly stalled: number;
  /** Milliseconds of those that were answered well. */
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
}

/** What takes longer was stalled, in milliseconds. */
const STALLED = 250;
/** What takes longer has failed, in milliseconds. */
const TIMEOUT = 10_000;
/** How often it is looked what is to be sent, in milliseconds. */
const STEP = 1;

/** Starts a load; its end is the result, early where it is told to end. */
export function startLoad(options: LoadOptions): {
  readonly result: Promise<LoadResult>;
  end(): void;
} {
  const child = Bun.spawn([process.execPath, import.meta.path, JSON.stringify(options)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const result = (async () => {
    const text = await new Response(child.stdout).text();
    if ((await child.exited) !== 0) throw new Error(`the load process failed: ${text}`);
    return JSON.parse(text) as LoadResult;
  })();
  return { result, end: () => void child.stdin.end() };
}

/** One connection; it has one request at a time. */
class Connection {
  readonly #socket: Socket;
  #received = "";
  #settle: ((failure: string | undefined) => void) | undefined;
  open = true;

  constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (text: string) => this.#receive(text));
    this.#socket.on("error", (error: NodeJS.ErrnoException) => this.#end(error.code ?? "error"));
    this.#socket.on("close", () => this.#end("closed without an answer"));
  }

  /** Gives why it failed; undefined where it did not. */
  send(path: string, keepAlive: boolean): Promise<string | undefined> {
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const timer = setTimeout(() => {
      this.#end("no answer in 10 s");
      this.#socket.destroy();
    }, TIMEOUT);
    this.#settle = resolve;
    this.#received = "";
    this.#socket.write(
      `GET ${path} HTTP/1.1\r\nHost: bench\r\n${keepAlive ? "" : "Connection: close\r\n"}\r\n`,
    );
    return promise.finally(() => clearTimeout(timer));
  }

  close(): void {
    this.open = false;
    this.#socket.destroy();
  }

  #receive(text: string): void {
    this.#received += text;
    const head = this.#received.indexOf("\r\n\r\n");
    if (head < 0) return;
    const length = /^content-length: *(\d+)/im.exec(this.#received)?.[1] ?? "0";
    if (this.#received.length < head + 4 + Number(length)) return;
    const status = this.#received.slice("HTTP/1.1 ".length, "HTTP/1.1 200".length);
    if (/^connection: *close/im.test(this.#received)) this.open = false;
    this.#answered(status === "200" ? undefined : `status ${status}`);
  }

  #end(reason: string): void {
    this.open = false;
    this.#answered(reason);
  }

  #answered(failure: string | undefined): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(failure);
  }
}

async function load({ port, path, rate, count, keepAlive }: LoadOptions): Promise<LoadResult> {
  const idle: Connection[] = [];
  const failures: Record<string, number> = {};
  const times: number[] = [];
  const pending = new Set<Promise<void>>();
  const told = new AbortController();
  if (count === 0) {
    process.stdin.on("end", () => told.abort());
    process.stdin.resume();
  }

  const send = async (due: number): Promise<void> => {
    let connection = keepAlive ? idle.shift() : undefined;
    while (connection !== undefined && !connection.open) connection = idle.shift();
    connection ??= new Connection(port);
    const failure = await connection.send(path, keepAlive);
    if (failure === undefined) times.push(performance.now() - due);
    else failures[failure] = (failures[failure] ?? 0) + 1;
    if (keepAlive && connection.open) idle.push(connection);
    else connection.close();
  };

  const start = performance.now();
  let sent = 0;
  const limit = count === 0 ? Infinity : count;
  while (!told.signal.aborted && sent < limit) {
    const due = start + (sent * 1000) / rate;
    if (performance.now() < due) {
      await Bun.sleep(STEP);
      continue;
    }
    // Counted from when it was due: a generator that is late itself must not hide a stall.
    const request = send(due).finally(() => pending.delete(request));
    pending.add(request);
    sent++;
  }
  await Promise.all(pending);
  for (const connection of idle) connection.close();

  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
  return {
    sent,
    failures,
    failed: sent - times.length,
    stalled: times.filter((time) => time > STALLED).length,
    p50: at(0.5),
    p99: at(0.99),
    longest: at(1),
  };
}

if (import.meta.main) {
  const options = JSON.parse(process.argv[2] ?? "{}") as LoadOptions;
  process.stdout.write(JSON.stringify(await load(options)));
  process.exit(0);
}
