// A server of releases, laid out as GitHub does, that can also corrupt, cut, withhold and stall what it sends.

import { createServer, type Server, type Socket } from "node:net";

/** What happens to a file on its way; "cut" ends the connection in the middle of it. */
export type Fault = "corrupt" | "cut" | "missing" | "stall";

export interface ReleaseServer {
  /** What `--releases` and GATEWAY_RELEASES take. */
  readonly url: string;
  /** The paths that were asked for, in order. */
  readonly asked: readonly string[];
  /** Adds a release; the one added last is the newest. */
  add(version: string, files: Readonly<Record<string, Uint8Array | string>>): void;
  /** Lets something happen to every file whose name ends so; undefined: no more. */
  fault(ending: string, fault: Fault | undefined): void;
  stop(): Promise<void>;
}

/** Starts one on a free port of the loopback. */
export async function startReleaseServer(): Promise<ReleaseServer> {
  const releases = new Map<string, Map<string, Uint8Array>>();
  const faults = new Map<string, Fault>();
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  let newest = "";

  const server = createServer((socket) => {
    sockets.add(socket);
    let head = "";
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (bytes) => {
      head += bytes.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      const path = head.split(" ")[1] ?? "";
      head = "";
      asked.push(path);
      answer(socket, fileAt(path), faultOf(path));
    });
  });

  function fileAt(path: string): Uint8Array | undefined {
    const [, version = newest, name = ""] =
      /^\/releases\/(?:latest\/download|download\/v([^/]+))\/([^/]+)$/.exec(path) ?? [];
    return releases.get(version)?.get(name);
  }

  function faultOf(path: string): Fault | undefined {
    return [...faults].find(([ending]) => path.endsWith(ending))?.[1];
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${portOf(server)}/releases`,
    asked,
    add(version, files) {
      const entries = Object.entries(files).map(
        ([name, content]) => [name, Buffer.from(content)] as const,
      );
      const sums = entries.map(([name, content]) => {
        const sum = new Bun.CryptoHasher("sha256").update(content).digest("hex");
        return `${sum}  ${name}\n`;
      });
      const all: (readonly [string, Uint8Array])[] = [
        ...entries,
        ["SHA256SUMS", Buffer.from(sums.join(""))],
      ];
      releases.set(version, new Map(all));
      newest = version;
    },
    fault(ending, fault) {
      if (fault === undefined) faults.delete(ending);
      else faults.set(ending, fault);
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answer(socket: Socket, file: Uint8Array | undefined, fault: Fault | undefined): void {
  if (file === undefined || fault === "missing") {
    socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    return;
  }
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${file.length}\r\nConnection: close\r\n\r\n`;
  const half = Math.floor(file.length / 2);
  socket.write(head);
  if (fault === undefined) socket.end(file);
  if (fault === "corrupt") {
    const other = Buffer.from(file);
    other[half] = (other[half] ?? 0) ^ 1;
    socket.end(other);
  }
  if (fault === "cut") socket.write(file.subarray(0, half), () => socket.destroy());
  if (fault === "stall") socket.write(file.subarray(0, half));
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot listen on a port");
  return address.port;
}
