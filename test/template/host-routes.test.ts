// Proves where a request of a host goes: to the host itself, to a wildcard, to a route of any host.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { findRoute } from "../../src/routing/lookup.ts";
import type { Model } from "../../src/model.ts";
import { reply, startApp, type App } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { randomNumbers } from "../lab/make.ts";
import { serviceOf, Site, START_MS, type Service } from "../lab/proxy.ts";
import { Running } from "../lab/running.ts";

/** The labels of each container, by its name. */
const LABELS: Record<string, Record<string, string>> = {
  exact: { host: "a.org" },
  api: { host: "a.org", path: "/api /api/v2/x" },
  deep: { host: "x.y.a.org", path: "/deep" },
  wide: { host: "*.a.org", path: "/ /docs" },
  narrow: { host: "*.y.a.org", path: "/narrow" },
  top: { host: "*.org", path: "/top" },
  many: { host: "b.example, c.example, *.d.e.f.g.h.i.j", path: "/m" },
  any: { path: "/any /any/thing" },
  kept: { host: "kept.example", path: "/kept", strip: "false" },
  plain: {},
};

/** What is asked for, who gets it, and as what. */
const ROUTED: readonly (readonly [host: string, target: string, name: string, seen: string])[] = [
  ["a.org", "/", "exact", "/"],
  ["a.org", "/x//y/../z?q", "exact", "/x//y/../z?q"],
  ["A.Org", "/x", "exact", "/x"],
  ["a.org:8080", "/x", "exact", "/x"],
  ["a.org.", "/x", "exact", "/x"],
  ["A.ORG.:80", "/x", "exact", "/x"],
  // The longest prefix of the host, by whole segments.
  ["a.org", "/api", "api", "/"],
  ["a.org", "/api/v1?x", "api", "/v1?x"],
  ["a.org", "/api/v2/x/y", "api", "/y"],
  ["a.org", "/apis", "exact", "/apis"],
  // A host that has no route for the path: the wildcard, from the longest on, then any host's.
  ["x.y.a.org", "/deep/z", "deep", "/z"],
  ["x.y.a.org", "/narrow/z", "narrow", "/z"],
  ["x.y.a.org", "/docs/z", "wide", "/z"],
  ["x.y.a.org", "/z", "wide", "/z"],
  ["z.y.a.org", "/narrow", "narrow", "/"],
  ["z.y.a.org", "/deep", "wide", "/deep"],
  ["y.a.org", "/narrow", "wide", "/narrow"],
  ["1.2.3.4.5.6.7.8.9.a.org", "/docs", "wide", "/"],
  ["b.org", "/top/x", "top", "/x"],
  ["b.org", "/any/x", "any", "/x"],
  ["b.org", "/any/thing", "any", "/"],
  ["b.example", "/m", "many", "/"],
  ["c.example", "/m/x", "many", "/x"],
  ["x.d.e.f.g.h.i.j", "/m/x", "many", "/x"],
  ["b.example", "/any/x", "any", "/x"],
  ["b.example", "/plain/x", "plain", "/x"],
  ["kept.example", "/kept/x", "kept", "/kept/x"],
  ["other.test", "/any/x", "any", "/x"],
  ["127.0.0.1", "/plain", "plain", "/"],
  ["[::1]:80", "/plain", "plain", "/"],
];

const NOT_ROUTED = [
  ["b.org", "/x"],
  ["org", "/top"],
  ["other.test", "/"],
  ["other.test", "/api"],
  ["a.orgx", "/"],
  ["xa.org", "/api"],
  ["b.example", "/"],
  ["d.e.f.g.h.i.j", "/m"],
  ["kept.example", "/x"],
  ["example", "/m"],
] as const;

/** A path that would leave its prefix, for whoever has one. */
const CLIMBING = [
  ["a.org", "/api/../x"],
  ["a.org", "/api/%2e%2e/x"],
  ["x.y.a.org", "/narrow/..;/x"],
  ["kept.example", "/kept/a/../../x"],
] as const;

function labelsOf(name: string, labels = LABELS[name] ?? {}): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([key, text]) => [`gateway.${key}`, text]));
}

describe.each(haproxyVersions())("routes of hosts, HAProxy %s", (version) => {
  const apps: App[] = [];
  let site: Site;
  let running: Running;
  let model: Model;

  const services = (): Service[] =>
    apps.map((app) => serviceOf(app, { name: app.name, labels: labelsOf(app.name) }));

  beforeAll(async () => {
    for (const name of Object.keys(LABELS)) apps.push(await startApp({ name }));
    site = await Site.make(version);
    const made = site.render(services());
    expect(made.model.rejections).toEqual([]);
    ({ model } = made);
    running = await Running.start(site, made.files);
  }, START_MS);

  afterAll(async () => {
    await running.stop();
    for (const app of apps.splice(0)) await app.stop();
  });

  beforeEach(() => {
    for (const app of apps) app.forget();
  });

  function ask(host: string, target: string, headers: Record<string, string> = {}) {
    return site.ask({ target, headers: { Host: host, ...headers } });
  }

  /** Who got what, since the start of the test. */
  function requests(): string[] {
    return apps.flatMap((app) => app.received.map(({ target }) => `${app.name} ${target}`));
  }

  test.each(ROUTED)("%s%s goes to %s as %s", async (host, target, name, seen) => {
    expect((await ask(host, target)).status).toBe(200);
    expect(requests()).toEqual([`${name} ${seen}`]);
    const [received] = apps.flatMap((app) => app.received);
    expect(received?.values("Host")).toEqual([host]);
    expect(received?.values("X-Forwarded-Host")).toEqual([host]);
  });

  test.each(NOT_ROUTED)("%s%s goes nowhere", async (host, target) => {
    expect((await ask(host, target)).status).toBe(403);
    expect(requests()).toEqual([]);
  });

  test.each(CLIMBING)("%s%s is refused", async (host, target) => {
    expect((await ask(host, target)).status).toBe(400);
    expect(requests()).toEqual([]);
  });

  test("a whole URL in the request line is routed by its host, and becomes a path", async () => {
    expect((await ask("a.org", "http://a.org/x?y")).status).toBe(200);
    expect((await ask("a.org", "http://a.org/api/x?y")).status).toBe(200);
    expect(requests()).toEqual(["exact /x?y", "api /x?y"]);
    expect((await ask("b.example", "http://a.org/x")).status).toBe(400);
  });

  test("no host passes for a wildcard, or for a path", async () => {
    for (const host of ["*.a.org", "a.org/api", "a.org|", "a.org a.org", ""]) {
      expect((await ask(host, "/api/x")).status).toBe(400);
    }
    expect(requests()).toEqual([]);
  });

  test("what HAProxy does is what is said of it beforehand", async () => {
    const random = randomNumbers(11);
    const one = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
    const labels = ["a", "b", "x", "y", "org", "example", "kept", "d"];
    const parts = ["api", "v2", "x", "docs", "deep", "narrow", "top", "m", "any", "thing", ""];
    const routes = model.services.flatMap((service) => service.routes);
    for (let round = 0; round < 400; round++) {
      const pick = (from: readonly string[]): string[] =>
        Array.from({ length: 1 + random() * 4 }, () => one(from));
      const known = one(["x.y.a.org", "z.y.a.org", "a.org", "b.example", ...pick(labels)]);
      const host = random() < 0.5 ? known : pick(labels).join(".");
      const path = `/${pick(parts).join("/")}`;
      for (const app of apps) app.forget();
      const { status } = await ask(host, path);
      const found = findRoute(routes, host, path);
      const service = model.services.find(
        (each) => found !== undefined && each.routes.includes(found),
      );
      const container = service?.servers[0]?.container;
      const got = apps.find((app) => app.received.length > 0)?.name;
      expect([host, path, status, got]).toEqual([
        host,
        path,
        found === undefined ? 403 : 200,
        container,
      ]);
    }
  });

  test("the way back is below the prefix of the host, and the host's own root is left alone", async () => {
    for (const app of apps) {
      app.answerer = () =>
        reply(302, [
          ["Location", "/login"],
          ["Set-Cookie", "a=b; Path=/"],
          ["Referrer-Policy", "no-referrer"],
        ]);
    }
    for (const [host, target, location, cookie, policy] of [
      ["a.org", "/x", "/login", "a=b; Path=/", "no-referrer"],
      ["a.org", "/api/x", "/api/login", "a=b; Path=/api", "same-origin"],
      ["q.y.a.org", "/narrow/x", "/narrow/login", "a=b; Path=/narrow", "same-origin"],
      ["q.y.a.org", "/docs/x", "/docs/login", "a=b; Path=/docs", "same-origin"],
      ["kept.example", "/kept/x", "/login", "a=b; Path=/", "no-referrer"],
    ] as const) {
      const answer = await ask(host, target);
      expect(answer.header("Location")).toBe(location);
      expect(answer.header("Set-Cookie")).toBe(cookie);
      expect(answer.header("Referrer-Policy")).toBe(policy);
    }
    for (const app of apps) app.answerer = () => reply(200, [], app.name);
  });

  test("links that forget the prefix are led below that of the page, on that host", async () => {
    for (const [host, target, page, location] of [
      ["b.example", "/a.js?v", "/m/page", "/m/a.js?v"],
      ["b.example:81", "/a.js", "/any/page", "/any/a.js"],
      ["B.example", "/a.js", "/m", "/m/a.js"],
      ["x.d.e.f.g.h.i.j", "/a.js", "/m/", "/m/a.js"],
      ["x.d.e.f.g.h.i.j", "/a.js", "/any/", "/any/a.js"],
      ["b.org", "/a.js", "/top/", "/top/a.js"],
      ["b.org", "/a.js", "/any/", "/any/a.js"],
    ] as const) {
      const answer = await ask(host, target, { Referer: `http://${host}${page}` });
      expect([host, answer.status, answer.header("Location")]).toEqual([host, 307, location]);
    }
    for (const [host, page] of [
      ["b.example", "http://c.example/m/page"],
      ["b.example", "http://b.example/x"],
      ["kept.example", "http://kept.example/kept/x"],
      ["other.test", "http://other.test/m/x"],
    ] as const) {
      expect((await ask(host, "/a.js", { Referer: page })).status).toBe(403);
    }
  });

  test("a page at the prefix itself has its slash", async () => {
    const answer = await ask("a.org", "/api?x", { Accept: "text/html" });
    expect([answer.status, answer.header("Location")]).toEqual([308, "/api/?x"]);
    expect((await ask("a.org", "/", { Accept: "text/html" })).status).toBe(200);
  });

  test("hosts and wildcards come and go while HAProxy runs, without drift", async () => {
    const all = services();
    const [first, ...others] = all;
    const odd = "/o;d'd$&(c)*!+=@~%C3%A9";
    const wanted = { host: "new.test,*.new.test", service: "new", "route.o.path": odd };
    const fresh = { ...first, labels: labelsOf("", wanted) };
    const next = [...others, fresh as Service];
    expect(await running.go(site.render(next).files)).toBe("commands");
    expect((await ask("new.test", "/x")).status).toBe(200);
    expect((await ask("a.new.test", "/x")).status).toBe(200);
    expect((await ask("other.test", `${odd}/x`)).status).toBe(200);
    expect(requests()).toEqual(["exact /x", "exact /x", "exact /x"]);
    // Its own route is gone, and no wildcard stands for itself.
    expect((await ask("a.org", "/x")).status).toBe(403);
    await running.verify();
    expect(await running.go(site.render(all).files)).toBe("commands");
    expect((await ask("a.new.test", "/x")).status).toBe(403);
    expect((await ask("a.org", "/x")).status).toBe(200);
    await running.verify();
    expect(running.applier.applied.doubt).toBeUndefined();
    expect(running.reloads).toEqual([]);
  });
});

test.each(haproxyVersions())(
  "only the first route of a host is a reload, HAProxy %s",
  async (version) => {
    const app = await startApp({ name: "one" });
    const site = await Site.make(version);
    const plain = serviceOf(app, { name: "plain" });
    const hosted = (host: string): Service =>
      serviceOf(app, { name: host, image: host, labels: { "gateway.host": host } });
    const running = await Running.start(site, site.render([plain]).files);
    expect(await running.serve([plain, hosted("a.org")])).toBe("reload");
    expect(running.reloads[0]?.join()).toContain('frontend "_http" changed');
    expect(await running.serve([plain, hosted("a.org"), hosted("b.org")])).toBe("commands");
    await running.stop();
    await app.stop();
  },
  START_MS,
);
