// Proves that requests and answers of every kind pass: bodies, connections, upgrades.

import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { Readable } from "node:stream";
import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { cli, haproxyVersions, type Haproxy } from "../../lab/haproxy.ts";
import { eventually, requestBytes } from "../../lab/http.ts";
import { reply, startApp, type App } from "../../lab/app.ts";
import { serviceOf, Site, START_MS } from "../../lab/proxy.ts";

setDefaultTimeout(START_MS);

describe.each(haproxyVersions())("messages, HAProxy %s", (version) => {
  let foo: App;
  let bar: App;
  let site: Site;
  let haproxy: Haproxy | undefined;

  beforeAll(async () => {
    foo = await startApp({ name: "foo" });
    bar = await startApp({ name: "foo/bar" });
    site = await Site.make(version);
    haproxy = await site.start([serviceOf(foo), serviceOf(bar)]);
  }, START_MS);

  afterAll(async () => {
    await haproxy?.stop();
    await foo.stop();
    await bar.stop();
  });

  beforeEach(() => {
    for (const app of [foo, bar]) {
      app.forget();
      app.answerer = () => reply(200, [], app.name);
    }
  });

  test("HEAD has the headers and no body, also where HAProxy answers itself", async () => {
    const connection = await site.connect();
    connection.send(keptAlive("/foo/x", "HEAD"));
    const head = await connection.response("HEAD");
    expect(head.status).toBe(200);
    expect(head.header("Content-Length")).toBe("3");
    connection.send(keptAlive("/nothing", "HEAD"));
    expect((await connection.response("HEAD")).status).toBe(403);
    // Had one had a body, this answer would start in the middle of it.
    connection.send(keptAlive("/foo/x"));
    expect((await connection.response()).body).toBe("foo");
    connection.close();
  });

  test("a chunked request and a chunked answer pass whole", async () => {
    foo.answerer = ({ body }) =>
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
      `3\r\ngot\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    const connection = await site.connect();
    const headers = { Connection: undefined, "Transfer-Encoding": "chunked" };
    connection.send(requestBytes({ port: site.port, method: "PUT", target: "/foo/up", headers }));
    const large = "x".repeat(100_000);
    connection.send(`6\r\nhello \r\n${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`);
    expect((await connection.response()).body).toBe(`gothello ${large}`);
    expect(foo.received.map(({ target }) => target)).toEqual(["/up"]);
    connection.close();
  });

  test("an answer that only ends with its connection passes whole", async () => {
    foo.answerer = (_, socket) => {
      socket.end(`HTTP/1.1 200 OK\r\n\r\n${"y".repeat(300_000)}`);
      return undefined;
    };
    const { status, body } = await site.ask({ target: "/foo/x" });
    expect([status, body.length]).toEqual([200, 300_000]);
  });

  test("an answer arrives bit by bit, as it is sent", async () => {
    const { promise: seen, resolve } = Promise.withResolvers<void>();
    foo.answerer = (_, socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
      void seen.then(() => socket.end("data: 2\n\n"));
      return undefined;
    };
    const connection = await site.connect();
    connection.send(requestBytes({ port: site.port, target: "/foo/events" }));
    const bytes = await connection.read(1);
    let text = new TextDecoder().decode(bytes);
    while (!text.includes("data: 1\n\n")) {
      text += new TextDecoder().decode(await connection.read(1));
    }
    expect(text).not.toContain("data: 2");
    resolve();
    while (!text.includes("data: 2\n\n")) {
      text += new TextDecoder().decode(await connection.read(1));
    }
    connection.close();
  });

  test("a client that asks whether to go on is told so", async () => {
    const connection = await site.connect();
    const headers = { Expect: "100-continue", "Content-Length": "5" };
    connection.send(requestBytes({ port: site.port, method: "POST", target: "/foo/x", headers }));
    const first = "HTTP/1.1 100 Continue\r\n";
    expect(new TextDecoder().decode(await connection.read(first.length))).toBe(first);
    expect(foo.received).toEqual([]);
    while (new TextDecoder().decode(await connection.read(2)) !== "\r\n") {
      // The rest of its head.
    }
    connection.send("hello");
    expect((await connection.response("POST")).body).toBe("foo");
    expect(foo.received.map(({ body }) => body)).toEqual(["hello"]);
    connection.close();
  });

  test("HTTP/1.0", async () => {
    const connection = await site.connect();
    connection.send("GET /foo/old?x HTTP/1.0\r\nHost: example.com\r\n\r\n");
    const { status, body } = await connection.response();
    expect([status, body]).toEqual([200, "foo"]);
    expect(foo.received.map(({ target }) => target)).toEqual(["/old?x"]);
    await connection.closed;
    connection.close();
  });

  test("one connection leads to several routes, one after the other", async () => {
    const connection = await site.connect();
    const seen: [number, string][] = [];
    for (const target of ["/foo/1", "/foo/bar/2", "/nothing", "/foo/3", "/foo/bar", "/foo/barn"]) {
      connection.send(keptAlive(target));
      const { status, body } = await connection.response();
      seen.push([status, status === 403 ? "" : body]);
    }
    const [a, b, none] = [[200, "foo"] as const, [200, "foo/bar"] as const, [403, ""] as const];
    expect(seen).toEqual([a, b, none, a, b, a].map(([status, body]) => [status, body]));
    expect(foo.received.map(({ target }) => target)).toEqual(["/1", "/3", "/barn"]);
    expect(bar.received.map(({ target }) => target)).toEqual(["/2", "/"]);
    // What was set for one request does not linger for the next.
    expect(foo.received.at(-1)?.values("X-Forwarded-Prefix")).toEqual(["/foo"]);
    connection.close();
  });

  test("requests sent at once are answered in their order", async () => {
    const connection = await site.connect();
    const targets = ["/foo/1", "/foo/bar/2", "/foo/3", "/none", "/foo/bar/4"];
    connection.send(Buffer.concat(targets.map((target) => keptAlive(target))));
    const answers = [];
    for (const _ of targets) answers.push(await connection.response());
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 403, 200]);
    expect(answers.map(({ body }) => body.trim())).toEqual([
      "foo",
      "foo/bar",
      "foo",
      "Nothing is served here.",
      "foo/bar",
    ]);
    connection.close();
  });

  test("a websocket opens, echoes and stays open", async () => {
    foo.answerer = ({ headers }, socket) => {
      const upgrades = headers.some(
        ([name, value]) => /upgrade/i.test(name) && value === "websocket",
      );
      if (!upgrades) return reply(400);
      socket.write(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
          "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
      );
      socket.on("data", (text: string) => void socket.write(text, "latin1"));
      return undefined;
    };
    const connection = await site.connect();
    const headers = {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    };
    connection.send(requestBytes({ port: site.port, target: "/foo/socket?x=1", headers }));
    const answer = await connection.response();
    expect(answer.status).toBe(101);
    expect(answer.header("Sec-WebSocket-Accept")).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    expect(foo.received.map(({ target }) => target)).toEqual(["/socket?x=1"]);
    // Frames, and bytes that are none.
    for (const sent of [Buffer.from([0x81, 0x02, 0x68, 0x69]), Buffer.alloc(70_000, "z")]) {
      connection.send(sent);
      expect(Buffer.from(await connection.read(sent.length)).equals(sent)).toBe(true);
    }
    let open = true;
    void connection.closed.then(() => (open = false));
    // Other requests pass meanwhile, and a reload leaves it alone.
    expect((await site.ask({ target: "/foo/bar" })).status).toBe(200);
    expect(await haproxy?.reload()).toBe(true);
    await eventually(async () => expect((await site.ask({ target: "/foo/bar" })).status).toBe(200));
    connection.send("still here");
    expect(new TextDecoder().decode(await connection.read(10))).toBe("still here");
    expect(open).toBe(true);
    connection.close();
  });

  test("a connection that is kept alive outlives a reload by an answer", async () => {
    const idle = [];
    for (let count = 0; count < 10; count++) {
      const connection = await site.connect();
      connection.send(keptAlive("/foo/x"));
      expect((await connection.response()).status).toBe(200);
      idle.push(connection);
    }
    expect(await haproxy?.reload()).toBe(true);
    // The old worker knows by now that it is one: it takes no new connections.
    await eventually(async () => {
      const processes = await cli(haproxy?.masterSocket ?? "", "show proc");
      expect(processes).toMatch(/# old workers\n\d+/);
    });
    for (const connection of idle) {
      connection.send(keptAlive("/foo/x"));
      const answer = await connection.response();
      expect([answer.status, answer.header("Connection")]).toEqual([200, "close"]);
      connection.close();
    }
  });

  test("a client may speak HTTP/2 from the start", async () => {
    const session = connectHttp2(`http://127.0.0.1:${site.port}`);
    try {
      const stream = session.request({ ":path": "/foo/x?y=1" });
      const [head] = (await once(stream, "response")) as [Record<string, unknown>];
      expect(head[":status"]).toBe(200);
      expect(await new Response(Readable.toWeb(stream) as ReadableStream).text()).toBe("foo");
    } finally {
      session.destroy();
    }
    expect(foo.received.map(({ target, version: seen }) => [target, seen])).toEqual([
      ["/x?y=1", "HTTP/1.1"],
    ]);
  });

  function keptAlive(target: string, method = "GET"): Uint8Array {
    return requestBytes({ port: site.port, method, target, headers: { Connection: undefined } });
  }
});
