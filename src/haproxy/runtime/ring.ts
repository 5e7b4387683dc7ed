// Reads a ring of HAProxy's, in which it keeps log lines until somebody takes them. It is asked for at the
// runtime socket, so that HAProxy needs no other way to the gateway, be it in a chroot or not.

import { inBackground, pause } from "../../lib/async.ts";
import { errorMessage, GatewayError } from "../../lib/errors.ts";

/** A ring that is read. */
export interface RingReader {
  /** When the last line came, in milliseconds since 1970. */
  readonly lastAt: number;
  close(): void;
}

export interface RingOptions {
  readonly socket: string;
  readonly ring: string;
  /** The process ID of the worker that is meant: around a reload another one may answer. */
  readonly pid: number;
  /** Whether what is in the ring already is passed over. */
  readonly onlyNew: boolean;
  /** Takes what HAProxy wrote. Until it is done, nothing more is read. */
  readonly take: (chunk: Buffer) => Promise<void>;
  /** Called when HAProxy has ended, or the connection. */
  readonly closed: () => void;
}

/**
 * After each chunk it is waited for so long, in milliseconds. What comes meanwhile is one chunk: to be
 * woken for each line would cost both sides more than the line itself.
 */
const GATHER = 200;
/** There is more to read at once. */
const MUCH = 65_536;

/** Begins to read a ring. @throws GatewayError `haproxy` if nobody listens at the socket */
export async function readRing(options: RingOptions): Promise<RingReader> {
  const { socket: path, ring, pid, onlyNew, take, closed } = options;
  /** What the worker says of itself before the lines; undefined when that is read. */
  let head: string | undefined = "";
  let lastAt = Date.now();
  let last = Promise.resolve();
  const handle = async (socket: Bun.Socket, chunk: Buffer): Promise<void> => {
    const lines = afterHead(chunk);
    if (lines.length > 0) await take(lines);
    if (chunk.length < MUCH) await pause(GATHER);
    socket.resume();
  };
  const afterHead = (chunk: Buffer): Buffer => {
    if (head === undefined) return chunk;
    head += chunk.toString("latin1");
    const end = head.indexOf("\n\n");
    if (end === -1) return Buffer.alloc(0);
    if (Number(/^Pid: (\d+)$/m.exec(head)?.[1]) !== pid) throw new Error("another worker answered");
    const rest = Buffer.from(head.slice(end + 2), "latin1");
    head = undefined;
    return rest;
  };
  try {
    const connection = await Bun.connect({
      unix: path,
      socket: {
        data(socket, chunk) {
          lastAt = Date.now();
          socket.pause();
          last = last.then(() => handle(socket, chunk));
          inBackground(last, () => socket.end());
        },
        close: () => void last.finally(closed).catch(() => undefined),
        end: (socket) => void socket.end(),
        error: (socket) => void socket.end(),
      },
    });
    connection.write(`show info;show events ${ring} ${onlyNew ? "-nw" : "-w"}\n`);
    return {
      get lastAt() {
        return lastAt;
      },
      close: () => void connection.end(),
    };
  } catch (error) {
    throw new GatewayError(
      "haproxy",
      `Cannot read HAProxy's lines at "${path}": ${errorMessage(error)}`,
      {
        cause: error,
      },
    );
  }
}
