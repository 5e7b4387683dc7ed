// A datagram socket as systemd has one for what its services tell it.

import { dlopen, FFIType, ptr } from "bun:ffi";

/** Linux's numbers: socket(2), unix(7), recv(2). */
const AF_UNIX = 1;
const SOCK_DGRAM_NONBLOCK = 2 | 0o4000;
const POLL_MS = 5;
const LONGEST = 4_096;

const INT = FFIType.int;
const { symbols: libc } = dlopen("libc.so.6", {
  socket: { args: [INT, INT, INT], returns: INT },
  bind: { args: [INT, FFIType.ptr, INT], returns: INT },
  recv: { args: [INT, FFIType.ptr, FFIType.u64, INT], returns: FFIType.i64 },
  close: { args: [INT], returns: INT },
});

export interface DatagramSocket {
  /** What has come so far, with the time it came at, in milliseconds. */
  readonly messages: { readonly text: string; readonly at: number }[];
  /** Leaves what comes from now on unread. */
  stall(): void;
  close(): void;
}

/** Listens at a path, or with `@` before it at a name in the abstract namespace (unix(7)). */
export function listenDatagrams(address: string): DatagramSocket {
  const name = Buffer.from(address.startsWith("@") ? `\0${address.slice(1)}` : `${address}\0`);
  const target = Buffer.concat([Buffer.from([AF_UNIX, 0]), name]);
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM_NONBLOCK, 0);
  if (fd < 0 || libc.bind(fd, ptr(target), target.length) !== 0) {
    throw new Error(`Cannot listen at ${address}`);
  }
  const messages: { text: string; at: number }[] = [];
  const bytes = Buffer.alloc(LONGEST);
  const timer = setInterval(() => {
    for (;;) {
      const length = Number(libc.recv(fd, ptr(bytes), LONGEST, 0));
      if (length < 0) break;
      messages.push({ text: bytes.toString("utf8", 0, length), at: performance.now() });
    }
  }, POLL_MS);
  return {
    messages,
    stall: () => clearInterval(timer),
    close() {
      clearInterval(timer);
      libc.close(fd);
    },
  };
}
