// Proves which container a host name leads to with the template `host`.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { haproxyVersions, type Haproxy } from "../lab/haproxy.ts";
import { reply, startApp, type App } from "../lab/app.ts";
import { serviceOf, Site, START_MS } from "../lab/proxy.ts";

/** Images with the oldest first, which keeps the short name. */
const IMAGES = ["foo/bar", "baz/bar", "my_app.2", "solo"];

const ROUTED: readonly (readonly [host: string, image: string])[] = [
  ["bar.api.test", "foo/bar"],
  ["bar.api.test:80", "foo/bar"],
  ["bar.api.test:8080", "foo/bar"],
  ["BAR.Api.TEST", "foo/bar"],
  ["bar.api.test.", "foo/bar"],
  ["Bar.api.test.:8080", "foo/bar"],
  ["bar-foo.api.test", "foo/bar"],
  ["bar-baz.api.test", "baz/bar"],
  ["my-app-2.api.test", "my_app.2"],
  ["solo.api.test", "solo"],
];

const NOT_ROUTED = [
  "api.test",
  "other.api.test",
  "foo.api.test",
  "bar",
  "bar.api",
  "bar.api.test.evil.test",
  "xbar.api.test",
  "x.bar.api.test",
  "bar.api.testx",
  "my_app.2.api.test",
  "127.0.0.1",
  "[::1]:80",
];

describe.each(haproxyVersions())("hosts, HAProxy %s", (version) => {
  const apps: App[] = [];
  let site: Site;
  let haproxy: Haproxy | undefined;

  beforeAll(async () => {
    for (const name of IMAGES) apps.push(await startApp({ name }));
    site = await Site.make(version, { domain: "api.test" });
    haproxy = await site.start(apps.map((app) => serviceOf(app)));
  }, START_MS);

  afterAll(async () => {
    await haproxy?.stop();
    for (const app of apps.splice(0)) await app.stop();
  });

  beforeEach(() => {
    for (const app of apps) {
      app.forget();
      app.answerer = () => reply(200, [], app.name);
    }
  });

  test.each(ROUTED)("%s is %s", async (host, image) => {
    const { status, body } = await ask(host, "/x");
    expect([status, body]).toEqual([200, image]);
    expect(apps.flatMap((app) => app.received).map((got) => got.values("Host"))).toEqual([[host]]);
  });

  test.each(NOT_ROUTED)("%p is nobody", async (host) => {
    expect((await ask(host, "/foo/bar")).status).toBe(403);
    expect(apps.flatMap((app) => app.received)).toEqual([]);
  });

  test("the path is the container's, byte by byte", async () => {
    const targets = "/ /? /foo/bar /foo/bar/x //x /a/../b /a%2Fb%20c?d=%2F&e /%c3%a9;p".split(" ");
    targets.push(`/${"x".repeat(9_000)}`);
    for (const target of targets) expect((await ask("bar.api.test", target)).status).toBe(200);
    expect(apps[0]?.received.map(({ target }) => target)).toEqual(targets);
  });

  test("redirects and cookies stay as they are", async () => {
    for (const app of apps) {
      app.answerer = () =>
        reply(302, [
          ["Location", "/login"],
          ["Set-Cookie", "a=b; Path=/"],
        ]);
    }
    const answer = await ask("bar.api.test", "/x");
    expect(answer.header("Location")).toBe("/login");
    expect(answer.header("Set-Cookie")).toBe("a=b; Path=/");
  });

  test("a whole URL in the request line is routed by its host", async () => {
    const target = "http://solo.api.test/x?y";
    const { status, body } = await ask("solo.api.test", target);
    expect([status, body]).toEqual([200, "solo"]);
    // One that contradicts the Host header is an attack on somebody.
    expect((await ask("bar.api.test", target)).status).toBe(400);
  });

  function ask(host: string, target: string) {
    return site.ask({ target, headers: { Host: host } });
  }
});
