// Whose route it is, and who may join a service: the same whatever the order of the containers.

import { describe, expect, test } from "bun:test";
import type { Container } from "../../src/model.ts";
import { parseClaim } from "../../src/routing/claims.ts";
import { createRouter, route, type RoutingOptions } from "../../src/routing/routing.ts";
import { container, HOST, randomNumbers, ROUTING, shuffle, snapshot } from "../lab/make.ts";

/** A container of an image of its own. The labels have no prefix here. */
function of(
  name: string,
  created: number,
  labels: Record<string, string>,
  image = name,
): Container {
  const all = Object.entries(labels).map(([label, text]) => [`gateway.${label}`, text]);
  return container(name, { image, created, labels: Object.fromEntries(all) });
}

/** What is served, as `route -> service: containers`, and what is not. */
function served(containers: readonly Container[], options: Partial<RoutingOptions> = {}) {
  const all = { ...ROUTING, ...options };
  const model = route(snapshot(containers), HOST, all);
  const turned = route(snapshot(containers.toReversed()), HOST, all);
  expect(turned).toEqual(model);
  return {
    routes: Object.fromEntries(
      model.services.flatMap(({ name, routes, servers }) =>
        routes.map(({ key }) => [key, [name, ...servers.map((each) => each.container)].join(" ")]),
      ),
    ),
    rejected: Object.fromEntries(
      model.rejections.map((each) => [each.container, each.reason] as const),
    ),
    warnings: model.warnings,
    refusals: model.refusals,
  };
}

const claims = (...texts: string[]) => ({
  claims: texts.flatMap((text) => parseClaim(text) ?? []),
});

describe("a route that two services ask for", () => {
  test("is that of the older container; the other one is not routed, and knows why", () => {
    const [old, young] = [of("z", 1, { host: "a.org" }), of("b", 2, { host: "a.org" })];
    expect(served([old, young])).toMatchObject({
      routes: { "a.org/": "z z" },
      rejected: { b: "http://a.org/ belongs to service z, whose container z is older than b" },
      warnings: [],
    });
  });

  test("of two as old, is that of the first by name", () => {
    const [one, other] = [of("z", 1, { host: "a.org" }), of("b", 1, { host: "a.org" })];
    expect(served([one, other])).toMatchObject({
      routes: { "a.org/": "b b" },
      rejected: {
        z: "http://a.org/ belongs to service b, which comes first by name: b and z are as old",
      },
    });
  });

  test("costs the other one only that route, with a warning", () => {
    const [old, young] = [of("a", 1, { path: "/x" }), of("b", 2, { path: "/x /y" })];
    const reason = "/x belongs to service a, whose container a is older than b";
    expect(served([old, young])).toEqual({
      routes: { "/x/": "a a", "/y/": "b b" },
      rejected: {},
      warnings: [`service b is not served at /x: ${reason}`],
      refusals: [{ ids: [young.id], route: "/x", reason }],
    });
  });

  test("may be an image's own path", () => {
    const [image, label] = [of("shop", 1, {}), of("evil", 2, { path: "/shop" })];
    expect(served([image, label]).routes).toEqual({ "/shop/": "shop shop" });
    const earlier = { ...label, created: 0 };
    expect(served([image, earlier]).routes).toEqual({ "/shop/": "evil evil" });
  });

  test("is nobody's by the age of containers that do not ask for it", () => {
    // The service of `joins` is older than the one that has the route.
    const first = of("old", 1, {}, "img");
    const owner = of("owner", 2, { host: "a.org" });
    const joins = of("joins", 3, { "route.x.host": "a.org" }, "img");
    expect(served([first, owner, joins]).routes).toEqual({
      "/img/": "img joins old",
      "a.org/": "owner owner",
    });
  });

  test("differs from one of a narrower host or a longer path", () => {
    const all = [
      of("a", 1, { host: "*.a.org" }),
      of("b", 2, { host: "x.a.org" }),
      of("c", 3, { host: "x.a.org", path: "/c" }),
      of("d", 4, { path: "/" }),
    ];
    expect(served(all)).toMatchObject({
      routes: { "*.a.org/": "a a", "x.a.org/": "b b", "x.a.org/c/": "c c", "/": "d d" },
      warnings: [],
    });
  });
});

describe("services by label", () => {
  test("several images share one, and one image is split", () => {
    const all = [
      of("a1", 1, { service: "web" }, "a"),
      of("b1", 2, { service: "web", path: "/web" }, "b"),
      of("a2", 3, { service: "canary", host: "c.org" }, "a"),
    ];
    expect(served(all)).toMatchObject({
      routes: {
        "/a/": "service::web a1 b1",
        "/web/": "service::web a1 b1",
        "c.org/": "service::canary a2",
      },
      warnings: [],
    });
  });

  test("no name is that of an image", () => {
    const all = [of("a", 1, {}, "web"), of("b", 2, { service: "web", path: "/b" }, "x")];
    expect(served(all).routes).toEqual({ "/web/": "web a", "/b/": "service::web b" });
  });

  test("with --domain they have a host name, too, unless a label gives another place", () => {
    const all = [
      of("a", 1, { service: "shop" }, "x"),
      of("b", 2, { path: "/b" }, "y"),
      of("c", 3, { host: "c.org" }, "z"),
      of("d", 4, { host: "x.ex.org", "route.n.path": "/n" }, "v/w"),
    ];
    expect(served(all, { domain: "ex.org" })).toMatchObject({
      routes: {
        "shop.ex.org/": "service::shop a",
        "/b/": "y b",
        "c.org/": "z c",
        "x.ex.org/": "v/w d",
        "/n/": "v/w d",
      },
      rejected: {},
    });
  });

  test("with --domain another prefix counts at the host, and strip does not", () => {
    const [one, other] = [of("a", 1, { rewrite: "/app" }), of("b", 1, { strip: "no" })];
    const { services } = route(snapshot([one, other]), HOST, { ...ROUTING, domain: "ex.org" });
    expect(services.flatMap(({ routes }) => routes)).toMatchObject([
      { key: "a.ex.org/", strip: true, rewrite: "/app" },
      { key: "b.ex.org/", strip: false, rewrite: "" },
    ]);
  });

  test("with --domain a label may ask for a name that a service has by itself", () => {
    const [own, label] = [of("a", 2, {}, "x/web"), of("b", 1, { host: "web.ex.org" })];
    expect(served([own, label], { domain: "ex.org" })).toMatchObject({
      routes: { "web.ex.org/": "b b" },
      rejected: { a: "http://web.ex.org/ belongs to service b, whose container b is older than a" },
    });
  });
});

const BY_LABEL = "a.org=label:gateway.team=web";
const BY_IMAGE = "a.org=image:acme/*";

function keptFrom(what: string, whom: string, claim: string): string {
  return `${what} kept from container ${whom} by --claim ${claim}`;
}

describe("claims", () => {
  test("who does not hold it is not routed there", () => {
    const all = [
      of("thief", 1, { host: "a.org" }),
      of("owner", 2, { host: "a.org", team: "web" }),
      of("half", 3, { host: "a.org", "route.x.path": "/half" }),
    ];
    const claim = claims(BY_LABEL);
    expect(served(all, claim)).toMatchObject({
      routes: { "a.org/": "owner owner", "/half/": "half half" },
      rejected: { thief: keptFrom("http://a.org/ is", "thief", BY_LABEL) },
      warnings: expect.arrayContaining([
        `service half is not served at http://a.org/: ${keptFrom("http://a.org/ is", "half", BY_LABEL)}`,
      ]),
    });
  });

  test("who does not hold it does not become a server of it by another way", () => {
    const all = [
      of("owner", 1, { host: "a.org", service: "web" }, "acme/web"),
      of("joins", 2, { path: "/x", service: "web" }, "evil"),
      of("older", 0, { path: "/y", service: "web" }, "evil"),
    ];
    const claim = claims(BY_IMAGE);
    const { routes, rejected } = served(all, claim);
    // Not even by being older.
    expect(routes).toEqual({ "a.org/": "service::web owner" });
    expect(rejected).toEqual({
      joins: keptFrom("service web has http://a.org/, which is", "joins", BY_IMAGE),
      older: keptFrom("service web has http://a.org/, which is", "older", BY_IMAGE),
    });
  });

  test("what a container asks for itself is the reason, not that its service has it", () => {
    const all = [
      of("owner", 1, { host: "a.org", team: "x" }, "x/web"),
      of("other", 2, { host: "a.org" }, "x/web"),
    ];
    const claim = claims("a.org=label:gateway.team=x");
    expect(served(all, claim).rejected).toEqual({
      other: "http://a.org/ is kept from container other by --claim a.org=label:gateway.team=x",
    });
  });

  test("a route that one of its service may not have comes to none of it", () => {
    const all = [
      of("one", 1, { service: "web", host: "a.org", team: "x" }),
      of("both", 2, { service: "web", path: "/b", "route.b.host": "b.org", team: "x", more: "y" }),
    ];
    const claim = claims("a.org=label:gateway.team=x", "b.org=label:gateway.more");
    const reason =
      "http://b.org/ is kept from container one of its service by --claim b.org=label:gateway.more";
    expect(served(all, claim)).toMatchObject({
      routes: { "a.org/": "service::web both one", "/b/": "service::web both one" },
      rejected: {},
      refusals: [{ ids: [all[1]?.id], route: "http://b.org/", reason }],
    });
  });

  test("they hold for the names that --domain gives, too", () => {
    const all = [of("a", 1, {}, "x/web"), of("b", 2, {}, "acme/shop")];
    const options = { domain: "ex.org", ...claims("*.ex.org=image:acme/*") };
    expect(served(all, options)).toMatchObject({
      routes: { "shop.ex.org/": "acme/shop b" },
      rejected: {
        a: "http://web.ex.org/ is kept from container a by --claim *.ex.org=image:acme/*",
      },
    });
  });
});

describe("containers of one service that differ", () => {
  test.each<[Record<string, string>, Record<string, string>, string, string | undefined]>([
    [{ rewrite: "/a" }, { rewrite: "/a" }, "/a", undefined],
    [
      { rewrite: "/a" },
      { rewrite: "/b" },
      "/a",
      "gateway.rewrite: c0 is the oldest, so the prefix is replaced by /a",
    ],
    [{}, { rewrite: "/b" }, "", "gateway.rewrite: c0 is the oldest, so the prefix is stripped"],
    [{ strip: "no" }, {}, "", "gateway.strip: c0 is the oldest, so the prefix is left on"],
  ])("%j and %j", (one, other, rewrite, warning) => {
    const all = [of("c0", 1, one, "foo"), of("c1", 2, other, "foo")];
    const model = route(snapshot(all), HOST, ROUTING);
    expect(model.services[0]?.routes).toMatchObject([{ path: "/foo", rewrite }]);
    const expected = `containers c0 and c1 share /foo and differ in label ${warning}`;
    expect(model.warnings).toEqual(warning === undefined ? [] : [expected]);
  });
});

test("what is remembered never shows, in whatever order containers come and go", () => {
  const random = randomNumbers(3);
  const one = <T>(...items: T[]): T => items[Math.floor(random() * items.length)] as T;
  const options = { ...ROUTING, ...claims("c.org=label:gateway.team=web") };
  const router = createRouter();
  let containers: Container[] = [];
  for (let round = 0; round < 300; round++) {
    const labels = {
      ...one(
        {},
        {},
        { host: "a.org" },
        { host: "*.a.org,c.org" },
        { host: "c.org", path: "/x /y" },
      ),
      ...one({}, { service: one("s", "t") }),
      ...one({}, { rewrite: "/r" }, { strip: "no" }),
      ...one({}, { "route.n.path": one("/x", "/img0", "/") }),
      ...one({}, { team: "web" }),
    };
    const next = of(`c${Math.floor(random() * 8)}`, one(1, 2, 3), labels, one("img0", "img1"));
    containers = [...containers.filter(({ id }) => id !== next.id), ...one([next], [next], [])];
    const domain = one(undefined, undefined, "ex.org");
    const made = router(snapshot(containers), HOST, { ...options, domain });
    const anew = route(snapshot(shuffle(containers, random)), HOST, { ...options, domain });
    expect(made).toEqual(anew);
    const keys = made.services.flatMap(({ routes }) => routes.map(({ key }) => key));
    expect(new Set(keys).size).toBe(keys.length);
    const backends = made.services.map(({ backend }) => backend);
    expect(new Set(backends).size).toBe(backends.length);
    // Each container is routed or told why not.
    const known = made.services.flatMap(({ servers }) => servers.map(({ id }) => id));
    const told = made.rejections.map(({ id }) => id);
    expect([...known, ...told].toSorted()).toEqual(containers.map(({ id }) => id).toSorted());
  }
});
