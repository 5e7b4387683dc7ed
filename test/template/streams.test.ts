// Proves that a gigabyte passes in either direction without being kept in HAProxy's memory.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { cli, haproxyVersions, type Haproxy } from "../lab/haproxy.ts";
import { requestBytes } from "../lab/http.ts";
import { Site, START_MS } from "../lab/proxy.ts";

const DOWNLOAD = 1 << 30;
const UPLOAD = 1 << 28;
const BLOCK = new Uint8Array(1 << 20).fill(120);
/** A gigabyte takes a second or two. */
const STREAM_MS = 60_000;
/** Far less than what streams, far more than HAProxy's buffers. */
const MEMORY_KB = 64 * 1024;

describe.each(haproxyVersions())("streams, HAProxy %s", (version) => {
  let server: Server;
  let site: Site;
  let haproxy: Haproxy | undefined;
  /** The most that the worker had in memory before the test, in kB. */
  let before = 0;

  beforeAll(async () => {
    server = createServer((socket) => {
      // A check of HAProxy's ends in a reset.
      socket.on("error", () => socket.destroy());
      void serve(socket).catch(() => socket.destroy());
    });
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    site = await Site.make(version);
    haproxy = await site.start([{ image: "foo", address: "127.0.0.1", port }]);
  }, START_MS);

  afterAll(async () => {
    await haproxy?.stop();
    server.close();
  });

  beforeEach(async () => {
    before = await peakMemory();
  });

  test(
    "a gigabyte down",
    async () => {
      const socket = connect({ host: "127.0.0.1", port: site.port });
      socket.write(requestBytes({ port: site.port, target: "/foo/down" }));
      const { head, size } = await readAll(socket);
      expect(head).toStartWith("HTTP/1.1 200 ");
      expect(size).toBe(DOWNLOAD);
      expect((await peakMemory()) - before).toBeLessThan(MEMORY_KB);
    },
    STREAM_MS,
  );

  test(
    "a large upload",
    async () => {
      const socket = connect({ host: "127.0.0.1", port: site.port });
      const headers = { "Content-Length": String(UPLOAD) };
      socket.write(requestBytes({ port: site.port, method: "POST", target: "/foo/up", headers }));
      const answer = readAll(socket);
      for (let sent = 0; sent < UPLOAD; sent += BLOCK.length) await writeBlock(socket);
      expect((await answer).head).toContain(`got/${UPLOAD}\r\n`);
      expect((await peakMemory()) - before).toBeLessThan(MEMORY_KB);
    },
    STREAM_MS,
  );

  async function peakMemory(): Promise<number> {
    const info = await cli(haproxy?.masterSocket ?? "", "@1 show info");
    const pid = /^Pid: (\d+)$/m.exec(info)?.[1] ?? "";
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  }
});

/** Sends a gigabyte for `/down`, tells how much it received for anything else. */
async function serve(socket: Socket): Promise<void> {
  const { head, size } = await readAll(
    socket,
    (seen) => seen.head.startsWith("GET ") || seen.size >= UPLOAD,
  );
  if (head === "") return;
  if (head.startsWith("GET /down ")) {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${DOWNLOAD}\r\n\r\n`);
    for (let sent = 0; sent < DOWNLOAD; sent += BLOCK.length) await writeBlock(socket);
    socket.end();
  } else socket.end(`HTTP/1.1 200 OK\r\nContent-Type: got/${size}\r\nContent-Length: 0\r\n\r\n`);
}

interface Seen {
  head: string;
  /** The bytes of the body so far. */
  size: number;
}

/** Reads until the other side closes, or enough was seen; counts the body and forgets it. */
function readAll(socket: Socket, enough: (seen: Seen) => boolean = () => false): Promise<Seen> {
  const seen: Seen = { head: "", size: 0 };
  let start = "";
  return new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("close", () => resolve(seen));
    socket.on("end", () => resolve(seen));
    socket.on("data", (chunk: Buffer) => {
      if (seen.head !== "") seen.size += chunk.length;
      else {
        start += chunk.toString("latin1");
        const end = start.indexOf("\r\n\r\n") + 4;
        if (end < 4) return;
        seen.head = start.slice(0, end);
        seen.size = start.length - end;
      }
      if (enough(seen)) resolve(seen);
    });
  });
}

/** Writes a block and waits until there is room for the next. */
async function writeBlock(socket: Socket): Promise<void> {
  if (socket.write(BLOCK)) return;
  const closed = new AbortController();
  const stop = (): void => closed.abort(new Error("the connection was closed while sending"));
  socket.once("close", stop);
  try {
    await once(socket, "drain", closed);
  } finally {
    socket.off("close", stop);
  }
}
