// Proves how long either side of a request may be silent, and that headers must come at once.

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { namedFiles } from "../lab/named-files.ts";
import { haproxyVersions, startHaproxy, type Haproxy } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { startApp, type App } from "../lab/app.ts";
import { serviceOf, Site, START_MS } from "../lab/proxy.ts";

setDefaultTimeout(START_MS);

/** The limit of headers in the configuration here, in milliseconds: a tenth of the true one. */
const HEADERS_MS = 1_000;
/** Longer than that. */
const PAUSE_MS = 1_500;
/** Of a row of /proc/net/tcp: its columns, a connection that is open, and a keep-alive timer. */
const [LOCAL, REMOTE, STATE, TIMER] = [1, 2, 3, 5] as const;
const [OPEN, KEEP_ALIVE] = ["01", "02:"] as const;

describe.each(haproxyVersions())("silence, HAProxy %s", (version) => {
  let app: App;
  let site: Site;
  let haproxy: Haproxy | undefined;

  beforeEach(async () => {
    app = await startApp();
    site = await Site.make(version);
    const { files } = site.render([serviceOf(app, { image: "foo" })]);
    const limit = "timeout http-request 10s\n";
    expect(files.config).toContain(limit);
    const config = files.config.replace(limit, `timeout http-request ${HEADERS_MS}ms\n`);
    const maps = Object.entries(namedFiles(files)).map(([path, text]) => [basename(path), text]);
    haproxy = await startHaproxy({
      version,
      config,
      maps: Object.fromEntries(maps) as Record<string, string>,
      dir: site.dir,
    });
  });

  afterEach(async () => {
    await haproxy?.stop();
    haproxy = undefined;
    await app.stop();
  });

  test("either side may be silent for far more than ten minutes", () => {
    const { config } = site.render([]).files;
    for (const side of ["client", "server", "tunnel"]) {
      expect(config.match(new RegExp(`^ *timeout ${side} .*$`, "gm"))?.map(words)).toEqual([
        ["timeout", side, "1h"],
      ]);
    }
  });

  test("an answer that begins late, and events with pauses, arrive", async () => {
    app.answerer = (_, socket) => {
      void (async () => {
        await Bun.sleep(PAUSE_MS);
        socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
        await Bun.sleep(PAUSE_MS);
        socket.end("data: 2\n\n");
      })();
      return undefined;
    };
    const { status, body } = await site.ask({ target: "/foo/events" });
    expect([status, body]).toEqual([200, "data: 1\n\ndata: 2\n\n"]);
  });

  test("a body that comes in pieces arrives", async () => {
    const connection = await site.connect();
    connection.send("POST /foo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
    await Bun.sleep(PAUSE_MS);
    connection.send("cd");
    expect((await connection.response()).status).toBe(200);
    connection.close();
    expect(app.received.map(({ body }) => body)).toEqual(["abcd"]);
  });

  test("a client that dribbles its headers is sent away", async () => {
    const connection = await site.connect();
    let line = 0;
    const dribble = setInterval(() => connection.send(`X-Line-${line++}: x\r\n`), HEADERS_MS / 20);
    connection.send("GET /foo/x HTTP/1.1\r\n");
    expect((await connection.response()).status).toBe(408);
    clearInterval(dribble);
    await connection.closed;
    connection.close();
    expect(app.received).toEqual([]);
  });

  test("the kernel asks after both sides of a silent connection", async () => {
    app.answerer = () => undefined;
    const connection = await site.connect();
    connection.send("GET /foo/x HTTP/1.1\r\nHost: a\r\n\r\n");
    await eventually(() => expect(app.received.length).toBe(1));
    const rows = readFileSync("/proc/net/tcp", "utf8").split("\n").map(words);
    const timers = (column: number, port: number): string[] =>
      rows
        .filter((row) => row[STATE] === OPEN && row[column]?.endsWith(`:${hex(port)}`) === true)
        .map((row) => row[TIMER]?.slice(0, KEEP_ALIVE.length) ?? "");
    expect(timers(LOCAL, site.port)).toEqual([KEEP_ALIVE]);
    expect(timers(REMOTE, app.port)).toEqual([KEEP_ALIVE]);
    connection.close();
  });
});

function words(line: string): string[] {
  return line.trim().split(/\s+/);
}

function hex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, "0");
}
