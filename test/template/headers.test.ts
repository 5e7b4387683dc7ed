// Proves what a container is told of the client, and that the client cannot tell it anything else.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { haproxyVersions, type Haproxy } from "../lab/haproxy.ts";
import { startApp, type App, type Received } from "../lab/app.ts";
import { serviceOf, Site, START_MS } from "../lab/proxy.ts";

describe.each(haproxyVersions())("headers, HAProxy %s", (version) => {
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

  test("a container is told of the client, by path", async () => {
    const got = await send(byPath, "/foo/bar/x", ["Host: www.test:81"]);
    expect(forwarded(got)).toEqual({
      "x-forwarded-for": ["127.0.0.1"],
      "x-real-ip": ["127.0.0.1"],
      "x-forwarded-host": ["www.test:81"],
      "x-forwarded-port": [String(byPath.port)],
      "x-forwarded-proto": ["http"],
      "x-forwarded-prefix": ["/foo/bar"],
    });
    expect(got.values("Host")).toEqual(["www.test:81"]);
  });

  test("a container is told of the client, by host: without a prefix", async () => {
    const got = await send(byHost, "/foo/bar/x", ["Host: bar.api.test"]);
    expect(forwarded(got)).toEqual({
      "x-forwarded-for": ["127.0.0.1"],
      "x-real-ip": ["127.0.0.1"],
      "x-forwarded-host": ["bar.api.test"],
      "x-forwarded-port": [String(byHost.port)],
      "x-forwarded-proto": ["http"],
    });
    expect(got.target).toBe("/foo/bar/x");
  });

  // As they are, in another case, several times, and with several values.
  const LIES = [
    "X-Forwarded-For: 6.6.6.6",
    "x-forwarded-for: 6.6.6.7, 6.6.6.8",
    "X-FORWARDED-FOR: 6.6.6.9",
    "X-Real-IP: 6.6.6.6",
    "x-real-ip: 6.6.6.7",
    "X-Forwarded-Host: evil.test",
    "X-Forwarded-Host: evil.test, more.test",
    "X-Forwarded-Port: 99998",
    "X-Forwarded-Port: 99999",
    "X-Forwarded-Proto: https",
    "x-forwarded-proto: https, wss",
    "X-Forwarded-Prefix: /evil",
    "X-Forwarded-Prefix: /evil/2",
    "X-FORWARDED-User: root",
    "x-forwarded-ssl: on",
    "Forwarded: for=6.6.6.6;host=evil.test;proto=https",
    "forwarded: for=6.6.6.7",
    "X_Forwarded_For: 6.6.6.6",
    "X-Forwarded_For: 6.6.6.6",
    "X_Forwarded-Proto: https",
    "X-FORWARDED_PREFIX: /evil",
    "X-Forwarded: for=6.6.6.6",
    "X-ForwardedFor: 6.6.6.6",
    "X-Real_IP: 6.6.6.6",
    "X_Real-IP: 6.6.6.6",
    "X_FORWARDED_HOST: evil.test",
    "x_real_ip: 6.6.6.6",
  ];

  test("what the client says of itself is replaced, by path", async () => {
    const got = await send(byPath, "/foo/bar/x", ["Host: www.test", ...LIES]);
    expect(forwarded(got)).toEqual({
      "x-forwarded-for": ["127.0.0.1"],
      "x-real-ip": ["127.0.0.1"],
      "x-forwarded-host": ["www.test"],
      "x-forwarded-port": [String(byPath.port)],
      "x-forwarded-proto": ["http"],
      "x-forwarded-prefix": ["/foo/bar"],
    });
    expect(JSON.stringify(got)).not.toMatch(/6\.6\.6|evil|9999[89]|https/);
  });

  test("what the client says of itself is replaced, by host: there is no prefix then", async () => {
    const got = await send(byHost, "/x", ["Host: bar.api.test", ...LIES]);
    expect(forwarded(got)).toEqual({
      "x-forwarded-for": ["127.0.0.1"],
      "x-real-ip": ["127.0.0.1"],
      "x-forwarded-host": ["bar.api.test"],
      "x-forwarded-port": [String(byHost.port)],
      "x-forwarded-proto": ["http"],
    });
    expect(JSON.stringify(got)).not.toMatch(/6\.6\.6|evil|9999[89]|https/);
  });

  test("all other headers pass as they are", async () => {
    const own = [
      "Accept: text/html, */*;q=0.1",
      "Cookie: a=b; c=d",
      "Authorization: Bearer x.y.z",
      "X-Odd: a  b",
      "X-Twice: 1",
      "X-Twice: 2",
      "Origin: http://www.test",
      "Referer: http://www.test/foo/bar/y",
    ];
    const got = await send(byPath, "/foo/bar/x", ["Host: www.test", ...own]);
    const lines = got.headers.map(([name, value]) => `${name.toLowerCase()}: ${value}`);
    for (const line of own) {
      const [name = "", value = ""] = line.split(/: (.*)/);
      expect(lines).toContain(`${name.toLowerCase()}: ${value}`);
    }
    expect(got.values("X-Twice")).toEqual(["1", "2"]);
  });

  /** Sends these header lines and gives what the container received. */
  async function send(site: Site, target: string, lines: string[]): Promise<Received> {
    const connection = await site.connect();
    connection.send(`GET ${target} HTTP/1.1\r\n${lines.join("\r\n")}\r\nConnection: close\r\n\r\n`);
    expect((await connection.response()).status).toBe(200);
    connection.close();
    const [received] = app.received;
    if (received === undefined) throw new Error("the container received nothing");
    return received;
  }
});

/** All headers that tell of the client, whoever set them. */
function forwarded({ headers }: Received): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    if (/forwarded|real.ip/.test(key)) (found[key] ??= []).push(value);
  }
  return found;
}
