// Proves that another prefix comes in place of one, and that what the container answers leads back.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { haproxyVersions } from "../lab/haproxy.ts";
import { reply, startApp, type App } from "../lab/app.ts";
import { serviceOf, Site, START_MS, type Service } from "../lab/proxy.ts";
import { Running } from "../lab/running.ts";

const LABELS: Record<string, Record<string, string>> = {
  shop: { path: "/shop", rewrite: "/app" },
  // Where the one prefix begins with the other.
  nested: { path: "/app/outer", rewrite: "/app" },
  longer: { path: "/in", rewrite: "/in/ner" },
  root: { host: "root.test", rewrite: "/app/ui" },
  host: { host: "host.test", path: "/a/b", rewrite: "/b" },
  plain: {},
};

const REQUESTS: readonly (readonly [host: string, target: string, name: string, seen: string])[] = [
  ["h", "/shop", "shop", "/app/"],
  ["h", "/shop/", "shop", "/app/"],
  ["h", "/shop?q=/shop", "shop", "/app/?q=/shop"],
  ["h", "/shop/x//y/../z%2Fé?q".replace("é", "%c3%a9"), "shop", "/app/x//y/../z%2F%c3%a9?q"],
  ["h", "/shop/app/x", "shop", "/app/app/x"],
  ["h", "/shop/a|/shop/b", "shop", "/app/a|/shop/b"],
  ["h", "/shop/>a|b", "shop", "/app/>a|b"],
  ["h", "/app/outer/x", "nested", "/app/x"],
  ["h", "/in/x", "longer", "/in/ner/x"],
  ["root.test", "/", "root", "/app/ui/"],
  ["root.test", "/x?y", "root", "/app/ui/x?y"],
  ["root.test", "//x", "root", "/app/ui//x"],
  ["root.test", "/app/ui/x", "root", "/app/ui/app/ui/x"],
  ["host.test", "/a/b/c", "host", "/b/c"],
  ["h", "/plain/x", "plain", "/x"],
];

/** What a container answers, and what the client gets. */
const LOCATIONS: readonly (readonly [host: string, target: string, sent: string, got: string])[] = [
  ["h:81", "/shop/x", "/app/login?a=/app", "/shop/login?a=/app"],
  ["h:81", "/shop/x", "/app", "/shop"],
  ["h:81", "/shop/x", "/app?q", "/shop?q"],
  ["h:81", "/shop/x", "/app/#f", "/shop/#f"],
  ["h:81", "/shop/x", "http://h:81/app/x", "http://h:81/shop/x"],
  ["h:81", "/shop/x", "https://H/app", "https://H/shop"],
  ["h:81", "/shop/x", "//h:81/app/x", "//h:81/shop/x"],
  // What is not below it cannot be reached from outside.
  ["h:81", "/shop/x", "/", "/"],
  ["h:81", "/shop/x", "/apple", "/apple"],
  ["h:81", "/shop/x", "/other/app", "/other/app"],
  ["h:81", "/shop/x", "/shop/x", "/shop/x"],
  ["h:81", "/shop/x", "http://other/app/x", "http://other/app/x"],
  ["h:81", "/shop/x", "x/app", "x/app"],
  ["h:81", "/shop/x", "?q", "?q"],
  ["h:81", "/app/outer/x", "/app/y", "/app/outer/y"],
  ["h:81", "/app/outer/x", "/app/outer/y", "/app/outer/outer/y"],
  ["h:81", "/in/x", "/in/ner/y", "/in/y"],
  ["h:81", "/in/x", "/in/y", "/in/y"],
  ["root.test", "/x", "/app/ui/y", "/y"],
  ["root.test", "/x", "/app/ui/", "/"],
  ["root.test", "/x", "/app/ui", "/"],
  ["root.test", "/x", "/app/ui?q", "/?q"],
  ["root.test", "/x", "/app/uix", "/app/uix"],
  ["root.test", "/x", "/app/x", "/app/x"],
  ["root.test", "/x", "http://root.test/app/ui/y", "http://root.test/y"],
  ["root.test", "/x", "http://root.test/app/ui", "http://root.test/"],
  ["root.test", "/x", "?q", "?q"],
  ["root.test", "/x", "#f", "#f"],
  ["host.test", "/a/b/x", "/b/y", "/a/b/y"],
  ["h:81", "/plain/x", "/y", "/plain/y"],
  ["h:81", "/plain/x", "/plain/y", "/plain/y"],
];

const COOKIES: readonly (readonly [host: string, target: string, sent: string, got: string])[] = [
  ["h", "/shop/x", "a=b; Path=/app; Secure", "a=b; Path=/shop; Secure"],
  ["h", "/shop/x", "a=b; Path=/app/x", "a=b; Path=/shop/x"],
  ["h", "/shop/x", "a=b; Path=/", "a=b; Path=/shop"],
  ["h", "/shop/x", "a=b; Path=/apple", "a=b; Path=/apple"],
  ["h", "/shop/x", "a=b; Path=/other; Secure", "a=b; Path=/other; Secure"],
  ["h", "/shop/x", "a=b|c; Path=/other|d", "a=b|c; Path=/other|d"],
  ["h", "/shop/x", "a=b", "a=b"],
  ["h", "/shop/x", "__Host-a=b; Path=/", "__Host-a=b; Path=/"],
  ["root.test", "/x", "a=b; Path=/app/ui", "a=b; Path=/"],
  ["root.test", "/x", "a=b; Path=/app/ui/x", "a=b; Path=/x"],
  ["root.test", "/x", "a=b; Path=/", "a=b; Path=/"],
  ["root.test", "/x", "a=b; Path=/other", "a=b; Path=/other"],
  ["host.test", "/a/b/x", "a=b; Path=/b/c", "a=b; Path=/a/b/c"],
  ["h", "/plain/x", "a=b; Path=/", "a=b; Path=/plain"],
];

describe.each(haproxyVersions())("another prefix, HAProxy %s", (version) => {
  const apps: App[] = [];
  let site: Site;
  let running: Running;

  const services = (): Service[] =>
    apps.map((app) => {
      const own = Object.entries(LABELS[app.name] ?? {});
      const labels = Object.fromEntries(own.map(([key, text]) => [`gateway.${key}`, text]));
      return serviceOf(app, { name: app.name, labels });
    });

  beforeAll(async () => {
    for (const name of Object.keys(LABELS)) apps.push(await startApp({ name }));
    site = await Site.make(version);
    running = await Running.start(site, site.render(services()).files);
  }, START_MS);

  beforeEach(() => {
    for (const app of apps) {
      app.forget();
      app.answerer = () => reply(200, [], app.name);
    }
  });

  afterAll(async () => {
    await running.stop();
    for (const app of apps.splice(0)) await app.stop();
  });

  function ask(host: string, target: string, more: Record<string, string> = {}, method = "GET") {
    return site.ask({ target, method, headers: { Host: host, ...more } });
  }

  /** Who got what, since the start of the test. */
  function requests(): string[] {
    return apps.flatMap((app) => app.received.map(({ target }) => `${app.name} ${target}`));
  }

  function answer(headers: [name: string, value: string][]): void {
    for (const app of apps) app.answerer = () => reply(302, headers);
  }

  test.each(REQUESTS)("%s%s goes to %s as %s", async (host, target, name, seen) => {
    for (const method of ["GET", "DELETE"]) {
      expect((await ask(host, target, {}, method)).status).toBe(200);
    }
    expect(requests()).toEqual([`${name} ${seen}`, `${name} ${seen}`]);
    const prefixes = apps.flatMap(({ received }) =>
      received.flatMap((each) => each.values("X-Forwarded-Prefix")),
    );
    expect(prefixes).toEqual(name === "plain" ? ["/plain", "/plain"] : []);
  });

  test.each([
    ["h", "/shop/.."],
    ["h", "/shop/../x"],
    ["h", "/shop/x/../../y"],
    ["h", "/shop/%2e%2e/x"],
    ["h", "/shop/..%2fx"],
    ["h", "/in/../x"],
    ["root.test", "/../x"],
    ["root.test", "/x/%2e%2e/..;/y"],
    ["host.test", "/a/b/../c"],
  ])("%s%s leaves neither prefix", async (host, target) => {
    expect((await ask(host, target)).status).toBe(400);
    expect(requests()).toEqual([]);
  });

  test.each(LOCATIONS)("on %s%s, Location %s comes back as %s", async (host, target, sent, got) => {
    answer([["Location", sent]]);
    expect((await ask(host, target)).header("Location")).toBe(got);
    answer([
      ["Content-Location", sent],
      ["Refresh", `5; url=${sent}`],
      ["Link", `<${sent}>`],
    ]);
    const mended = await ask(host, target);
    expect(mended.header("Content-Location")).toBe(got);
    expect(mended.header("Refresh")).toBe(`5; url=${got}`);
    expect(mended.header("Link")).toBe(`<${got}>`);
  });

  test.each(COOKIES)("on %s%s, cookie %s comes back as %s", async (host, target, sent, got) => {
    answer([
      ["Set-Cookie", sent],
      ["Set-Cookie", "x=y; Path=/"],
    ]);
    const { headers } = await ask(host, target);
    const cookies = headers.filter(([name]) => name.toLowerCase() === "set-cookie");
    expect(cookies.map(([, value]) => value)[0]).toBe(got);
    expect(cookies).toHaveLength(2);
  });

  test("a page at the prefix itself has its slash", async () => {
    const accept = { Accept: "text/html" };
    const slash = await ask("h", "/shop?q", accept);
    expect([slash.status, slash.header("Location")]).toEqual([308, "/shop/?q"]);
    expect((await ask("h", "/shop/", accept)).status).toBe(200);
    expect((await ask("root.test", "/", accept)).status).toBe(200);
    expect((await ask("root.test", "/app/ui", accept)).status).toBe(200);
    expect(requests()).toEqual(["shop /app/", "root /app/ui/", "root /app/ui/app/ui"]);
  });

  test("links that have the container's own prefix are led below the outer one", async () => {
    for (const [target, page, location] of [
      ["/app/a.js?v=/app", "/shop/page", "/shop/a.js?v=/app"],
      ["/app", "/shop/", "/shop"],
      ["/app?x", "/shop/", "/shop?x"],
      ["/x", "/plain/", "/plain/x"],
    ] as const) {
      const found = await ask("h", target, { Referer: `http://h${page}` });
      expect([target, found.status, found.header("Location")]).toEqual([target, 307, location]);
    }
    // Outside of it, nothing of the container can be reached.
    for (const target of ["/a.js", "/apple", "/", "/admin/app"]) {
      expect((await ask("h", target, { Referer: "http://h/shop/page" })).status).toBe(403);
    }
    expect(requests()).toEqual([]);
  });

  test("and so are those with a long body, at once where they must", async () => {
    const body = "x".repeat(40_000);
    const headers = { Host: "h", Referer: "http://h/shop/page" };
    const { status } = await site.ask({ target: "/app/upload", method: "POST", body, headers });
    expect(status).toBe(version === "2.6" ? 200 : 307);
    expect(requests()).toEqual(version === "2.6" ? ["shop /app/upload"] : []);
    const climbing = await site.ask({ target: "/app/../up", method: "POST", body, headers });
    expect(climbing.status).toBe(version === "2.6" ? 400 : 307);
    const outside = await site.ask({ target: "/other", method: "POST", body, headers });
    expect(outside.status).toBe(403);
    expect(requests()).toHaveLength(version === "2.6" ? 1 : 0);
  });

  test("WebDAV's Destination goes the same way as the path", async () => {
    for (const [target, host, sent, got] of [
      ["/shop/a", "h", "/shop/b", "/app/b"],
      ["/shop/a", "h", "http://h/shop/b", "http://h/app/b"],
      ["/shop/a", "h", "/other/b", "/other/b"],
      ["/a", "root.test", "http://root.test/b", "http://root.test/app/ui/b"],
      ["/plain/a", "h", "/plain/b", "/b"],
    ] as const) {
      for (const app of apps) app.forget();
      await ask(host, target, { Destination: sent }, "MOVE");
      const [received] = apps.flatMap((app) => app.received);
      expect(received?.values("Destination")).toEqual([got]);
    }
  });

  test("a request of any size arrives as it was sent, or is refused", async () => {
    // The target of a request gets longer here, in a buffer that may be nearly full.
    for (let size = 30_000; size < 34_500; size += 113) {
      for (const app of apps) app.forget();
      const pad = "p".repeat(size - 300);
      const { status } = await ask("root.test", "/x?y", { "X-Pad": pad, "X-Last": "end" });
      const [received] = apps.flatMap((app) => app.received);
      if (received === undefined) expect([400, 413, 414, 431, 500]).toContain(status);
      else {
        expect([status, received.target]).toEqual([200, "/app/ui/x?y"]);
        expect(received.values("X-Pad")).toEqual([pad]);
        expect(received.values("X-Last")).toEqual(["end"]);
      }
      if (size < 31_000) expect(status).toBe(200);
    }
  });

  test("it comes and goes while HAProxy runs, without drift", async () => {
    const next = services().map((each) =>
      each.name === "shop" ? { ...each, labels: { "gateway.path": "/shop" } } : each,
    );
    expect(await running.go(site.render(next).files)).toBe("commands");
    await ask("h", "/shop/x");
    expect(requests()).toEqual(["shop /x"]);
    await running.verify();
    expect(await running.go(site.render(services()).files)).toBe("commands");
    await ask("h", "/shop/x");
    expect(requests()).toEqual(["shop /x", "shop /app/x"]);
    await running.verify();
    expect(running.reloads).toEqual([]);
  });
});
