// Proves that a container may close its kept connections whenever it likes: no request is lost by it.

import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { haproxyVersions, type Haproxy } from "../lab/haproxy.ts";
import { requestBytes, type RawConnection } from "../lab/http.ts";
import { Site, START_MS } from "../lab/proxy.ts";

setDefaultTimeout(START_MS);

/** So many requests come at once. */
const BURST = 30;
const ROUNDS = 10;

describe.each(haproxyVersions())("kept connections, HAProxy %s", (version) => {
  let server: Server;
  let site: Site;
  let haproxy: Haproxy | undefined;
  /** The kept connections of the server, and how many requests came on each. */
  let open: Map<Socket, number>;
  /** How many requests, of all, came on a connection that had had another. */
  let reused: number;

  beforeEach(async () => {
    open = new Map();
    reused = 0;
    server = createServer(serve);
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    site = await Site.make(version);
    haproxy = await site.start([{ image: "foo", address: "127.0.0.1", port }]);
  });

  afterEach(async () => {
    await haproxy?.stop();
    for (const socket of open.keys()) socket.destroy();
    server.close();
  });

  const METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"];

  test.each(METHODS)("they end just as %s comes: answered", async (method) => {
    const failed: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      // A client's first request never gets a kept connection.
      const clients = await Promise.all(Array.from({ length: BURST }, () => site.connect()));
      for (let again = 0; again < 2; again++) {
        await Promise.all(clients.map((client) => ask(client, "GET", "/foo/slow")));
      }
      const asked = clients.map((client) =>
        ask(client, method, "/foo/x").catch((error: unknown) => String(error)),
      );
      // HAProxy cannot have noticed yet when it sends the first of them.
      for (const socket of open.keys()) socket.end();
      failed.push(...(await Promise.all(asked)).filter((outcome) => outcome !== "200"));
      for (const client of clients) client.close();
    }
    expect(failed).toEqual([]);
  });

  test("GET shares kept connections, what cannot be sent twice has one of its own", async () => {
    const client = await site.connect();
    for (let count = 0; count < 10; count++) await ask(client, "GET", "/foo/x");
    expect(reused).toBeGreaterThan(5);
    reused = 0;
    for (let count = 0; count < 10; count++) await ask(client, "POST", "/foo/x");
    expect(reused).toBe(0);
    client.close();
  });

  async function ask(client: RawConnection, method: string, target: string): Promise<string> {
    client.send(
      requestBytes({ port: site.port, method, target, headers: { Connection: undefined } }),
    );
    return String((await client.response(method)).status);
  }

  /** Answers requests without a body, those for `/slow` late, so that each needs a connection. */
  function serve(socket: Socket): void {
    open.set(socket, 0);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => open.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      const head = chunk.toString("latin1");
      const before = open.get(socket) ?? 0;
      open.set(socket, before + 1);
      if (before > 0) reused++;
      const close = /^connection: close/im.test(head);
      const answer = `HTTP/1.1 200 OK\r\n${close ? "Connection: close\r\n" : ""}Content-Length: 0\r\n\r\n`;
      setTimeout(
        () => {
          if (close) socket.end(answer);
          else if (socket.writable) socket.write(answer);
        },
        head.startsWith("GET /slow") ? 20 : 0,
      );
    });
  }
});
