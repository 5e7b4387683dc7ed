// Where the lines of the access log go: a file, the journal or a socket. Only one write is under way at a
// time, and nothing waits for it but the next one.

import { closeSync, constants, fstatSync, openSync, statSync, write, writev } from "node:fs";
import { promisify } from "node:util";
import { errorMessage, GatewayError, systemCode } from "../../lib/errors.ts";

export type LogTarget =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "journal" }
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

/** Takes lines. */
export interface Writer {
  /** Opens what is closed. @throws an error of the system if it cannot take lines now */
  ready(): Promise<void>;
  /** @throws an error of the system if they are lost, wholly or in part */
  write(lines: readonly Uint8Array[]): Promise<void>;
  close(): void;
}

/** The target as a person reads it. */
export function describeTarget(target: LogTarget): string {
  if (target.kind === "journal") return "the journal";
  return target.kind === "tcp" ? `${target.host}:${target.port}` : target.path;
}

/**
 * Opens it.
 * @throws GatewayError `config` if a file cannot be written. Who listens at a socket may come later
 */
export function openTarget(target: LogTarget): Writer {
  if (target.kind === "file") return new FileWriter(target.path);
  return new SocketWriter(target);
}

const writeTo = promisify(write);
const writeAllTo = promisify(writev);

/** A file, which somebody may move away or remove: then a new one is made at its path. */
class FileWriter implements Writer {
  #file: number;

  constructor(private readonly path: string) {
    try {
      this.#file = open(path);
    } catch (error) {
      throw new GatewayError(
        "config",
        `Cannot write the access log "${path}": ${reasonOf(error)}`,
        {
          hint: "name a file in a folder that is there, and in which the gateway's user may write",
          cause: error,
        },
      );
    }
  }

  ready(): Promise<void> {
    return Promise.try(() => {
      if (!this.#isMoved()) return;
      const file = open(this.path);
      closeSync(this.#file);
      this.#file = file;
    });
  }

  async write(lines: readonly Uint8Array[]): Promise<void> {
    const size = lines.reduce((sum, { length }) => sum + length, 0);
    const { bytesWritten } = await writeAllTo(this.#file, lines);
    if (bytesWritten < size) await this.#writeRest(Buffer.concat(lines).subarray(bytesWritten));
  }

  /** The system takes a part where the disk has no room for all. */
  async #writeRest(rest: Uint8Array): Promise<void> {
    let from = 0;
    while (from < rest.length) {
      from += (await writeTo(this.#file, rest, from, rest.length - from)).bytesWritten;
    }
  }

  #isMoved(): boolean {
    const there = statSync(this.path, { throwIfNoEntry: false });
    const { ino, dev } = fstatSync(this.#file);
    return there === undefined || there.ino !== ino || there.dev !== dev;
  }

  close(): void {
    closeSync(this.#file);
  }
}

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;

/** Neither what a link leads to is written, nor may others read it than its group. */
function open(path: string): number {
  return openSync(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o640);
}

function reasonOf(error: unknown): string {
  const code = systemCode(error);
  if (code === "ENOENT") return "there is no such folder";
  if (code === "EACCES" || code === "EPERM") return "the gateway's user may not";
  if (code === "EROFS")
    return "it is read-only there, as a service it may write to no other folder than its own";
  if (code === "EISDIR") return "it is a folder";
  if (code === "ELOOP") return "it is a symbolic link";
  return errorMessage(error);
}

/** Where systemd takes lines of a program. Source: sd_journal_stream_fd(3). */
const JOURNAL = "/run/systemd/journal/stdout";
/** The name in the journal, the unit, the priority (informational), and four switches, all of them off. */
const JOURNAL_START = "docker-api-gateway-access\n\n6\n0\n0\n0\n0\n";
/** Who takes nothing for so long will take nothing, in milliseconds. */
const STUCK = 30_000;

/** A stream, which is opened anew with the next lines when it broke. */
class SocketWriter implements Writer {
  /** Undefined while there is no connection. */
  #socket: Bun.Socket | undefined;
  /** Goes on with a write that waits. */
  #wake: (() => void) | undefined;

  constructor(private readonly target: Exclude<LogTarget, { readonly kind: "file" }>) {}

  async ready(): Promise<void> {
    if (this.#socket !== undefined) return;
    const { target } = this;
    const forget = (socket: Bun.Socket): void => {
      if (this.#socket === socket) this.#socket = undefined;
      this.#wake?.();
    };
    const socket: Bun.SocketHandler<undefined> = {
      drain: () => this.#wake?.(),
      data: () => undefined,
      close: forget,
      end: (each) => void each.end(),
      error: forget,
    };
    this.#socket =
      target.kind === "tcp"
        ? await Bun.connect({ hostname: target.host, port: target.port, socket })
        : await Bun.connect({ unix: target.kind === "journal" ? JOURNAL : target.path, socket });
    if (target.kind === "journal") await this.write([Buffer.from(JOURNAL_START)]);
  }

  async write(lines: readonly Uint8Array[]): Promise<void> {
    const socket = this.#socket;
    const bytes = Buffer.concat(lines);
    let from = 0;
    for (;;) {
      if (socket === undefined || this.#socket !== socket) throw new Error("the connection ended");
      from += Math.max(0, socket.write(bytes, from));
      if (from === bytes.length) return;
      if (!(await this.#drained())) {
        socket.terminate();
        throw new Error(`nothing was taken for ${STUCK / 1000} s`);
      }
    }
  }

  /** Whether there is room again, or the connection is closed. */
  #drained(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), STUCK);
    this.#wake = () => resolve(true);
    return promise.finally(() => {
      clearTimeout(timer);
      this.#wake = undefined;
    });
  }

  close(): void {
    this.#socket?.end();
  }
}
