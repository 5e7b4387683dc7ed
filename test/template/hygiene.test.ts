// Proves what of a client's connection and host reaches a container, the same on every version.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { haproxyVersions, type Haproxy } from "../lab/haproxy.ts";
import { startApp, type App, type Received } from "../lab/app.ts";
import { serviceOf, Site, START_MS } from "../lab/proxy.ts";

/** The parts of a request for a websocket but Connection and Upgrade. */
const KEY = ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"];

describe.each(haproxyVersions())("hygiene, HAProxy %s", (version) => {
  let app: App;
  let byPath: Site;
  let byHost: Site;
  const haproxies: Haproxy[] = [];

  beforeAll(async () => {
    app = await startApp();
    byPath = await Site.make(version);
    byHost = await Site.make(version, { domain: "api.test" });
    for (const site of [byPath, byHost]) {
      haproxies.push(await site.start([serviceOf(app, { image: "foo/bar" })]));
    }
  }, START_MS);

  afterAll(async () => {
    for (const haproxy of haproxies.splice(0)) await haproxy.stop();
    await app.stop();
  });

  beforeEach(() => app.forget());

  const CONNECTIONS: readonly (readonly [
    what: string,
    lines: readonly string[],
    upgrade: string | undefined,
  ])[] = [
    ["a websocket", ["Connection: Upgrade", "Upgrade: websocket", ...KEY], "websocket"],
    [
      "a websocket, as Firefox has it",
      ["Connection: keep-alive, Upgrade", "Upgrade: websocket", ...KEY],
      "websocket",
    ],
    ["a websocket or h2c", ["Connection: Upgrade", "Upgrade: websocket, h2c", ...KEY], "websocket"],
    [
      "h2c or a websocket, in two headers",
      ["Connection: Upgrade", "Upgrade: h2c", "Upgrade: WebSocket", ...KEY],
      "websocket",
    ],
    ["another protocol", ["Connection: upgrade", "Upgrade: tcp"], "tcp"],
    [
      "h2c",
      ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ"],
      undefined,
    ],
    ["HTTP/2 by its number", ["Connection: Upgrade", "Upgrade: HTTP/2.0"], undefined],
    ["h2c in capitals", ["Connection: UPGRADE", "Upgrade: H2C", "HTTP2-SETTINGS: AA"], undefined],
    ["h2c without Connection", ["Upgrade: h2c", "Connection: close"], undefined],
    ["names of our headers", ["Connection: X-Forwarded-For, close, X-Real-IP"], undefined],
    [
      "names of our headers beside an upgrade",
      ["Connection: X-Forwarded-For, upgrade", "Connection: Host", "Upgrade: websocket", ...KEY],
      "websocket",
    ],
    ["an upgrade to nothing", ["Connection: upgrade, X-Forwarded-Proto"], undefined],
    [
      "headers for the next proxy only",
      [
        "Connection: TE, Keep-Alive",
        "TE: gzip;q=0.5",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy: http://evil.test",
      ],
      undefined,
    ],
  ];

  test.each(CONNECTIONS)("Connection: %s", async (_, lines, upgrade) => {
    const got = await receive("GET /foo/bar/x HTTP/1.1", ["Host: www.test", ...lines]);
    expect(got.values("Upgrade")).toEqual(upgrade === undefined ? [] : [upgrade]);
    expect(got.values("Connection")).toEqual(upgrade === undefined ? [] : ["upgrade"]);
    const own = ["TE", "HTTP2-Settings", "Keep-Alive", "Proxy-Connection", "Proxy"];
    expect(own.flatMap((name) => got.values(name))).toEqual([]);
    expect(got.values("X-Forwarded-For")).toEqual(["127.0.0.1"]);
    expect(got.values("X-Forwarded-Proto")).toEqual(["http"]);
  });

  test("h2c among other protocols never gets there", async () => {
    const lines = ["Host: www.test", "Connection: Upgrade", "Upgrade: tcp, h2c"];
    const got = await receive("GET /foo/bar/x HTTP/1.1", lines);
    expect(JSON.stringify(got.headers)).not.toContain("h2c");
  });

  test("trailers are asked for as the client does, as gRPC needs", async () => {
    const got = await receive("GET /foo/bar/x HTTP/1.1", ["Host: www.test", "TE: trailers"]);
    expect(got.values("TE")).toEqual(["trailers"]);
  });

  const GOOD = [
    "www.test",
    "WWW.Test.",
    "www.test:81",
    "www.test.:81",
    "a_b.test",
    "[::1]:81",
    "1.2.3.4",
  ];

  test.each(GOOD)("Host: %s reaches the container as it is", async (host) => {
    for (const first of ["GET /foo/bar/x HTTP/1.1", "GET /foo/bar/x HTTP/1.0"]) {
      app.forget();
      const got = await receive(first, [`Host: ${host}`]);
      expect([got.values("Host"), got.values("X-Forwarded-Host")]).toEqual([[host], [host]]);
    }
  });

  test("the same Host twice is one", async () => {
    const got = await receive("GET /foo/bar/x HTTP/1.1", ["Host: www.test", "Host: www.test"]);
    expect(got.values("Host")).toEqual(["www.test"]);
  });

  const BAD: readonly (readonly [what: string, lines: readonly string[]])[] = [
    ["none", []],
    ["an empty one", ["Host:"]],
    ["two that differ", ["Host: a.test", "Host: b.test"]],
    ["two in one", ["Host: a.test,b.test"]],
    ["a slash before a comma", ["Host: a/b,c.test"]],
    ["a slash after a comma", ["Host: c.test,a/b"]],
    ["a slash", ["Host: bar.api.test/foo"]],
    ["a backslash", [String.raw`Host: bar.api.test\foo`]],
    ["a blank", ["Host: a b"]],
    ["a user", ["Host: user@bar.api.test"]],
    ["a port that is none", ["Host: bar.api.test:http"]],
    ["a question mark", ["Host: bar.api.test?x"]],
  ];

  test.each(BAD)("a Host with %s: 400", async (_, lines) => {
    for (const site of [byPath, byHost]) {
      for (const first of ["GET /foo/bar/x HTTP/1.1", "POST /foo/bar/x HTTP/1.0"]) {
        expect(await status(site, first, lines)).toBe(400);
      }
    }
    expect(app.received).toEqual([]);
  });

  test("a whole URL of another host: 400", async () => {
    for (const lines of [["Host: www.test"], []]) {
      expect(await status(byPath, "GET http://other.test/foo/bar HTTP/1.1", lines)).toBe(400);
    }
    expect(app.received).toEqual([]);
  });

  /** Sends a first line and headers, and gives what the container received. */
  async function receive(first: string, lines: readonly string[]): Promise<Received> {
    expect(await status(byPath, first, lines)).toBe(200);
    const [received] = app.received;
    if (received === undefined) throw new Error("the container received nothing");
    return received;
  }
});

/** Sends a first line and headers, and gives the status of the answer. */
async function status(site: Site, first: string, lines: readonly string[]): Promise<number> {
  const connection = await site.connect();
  connection.send([first, ...lines, "", ""].join("\r\n"));
  const answer = await connection.response();
  connection.close();
  return answer.status;
}
