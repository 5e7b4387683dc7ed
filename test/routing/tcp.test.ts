// What the labels tcp and tcp.sni mean: ports, names, whose they are, and what else counts beside them.

import { describe, expect, test } from "bun:test";
import { nameOf } from "../../src/lib/places.ts";
import type { Container, Model } from "../../src/model.ts";
import { parseClaim } from "../../src/routing/claims.ts";
import { titleOf } from "../../src/routing/intent.ts";
import { route, type RoutingOptions } from "../../src/routing/routing.ts";
import { at, container, HOST, ROUTING, snapshot } from "../lab/make.ts";
import { labels, SHA512 } from "../lab/labels.ts";

let created = 0;

/** A container that is younger than those before. */
function of(name: string, own: Record<string, string>, rest: Partial<Container> = {}): Container {
  const more = { image: `acme/${name}`, exposed: [5432], created: ++created };
  return container(name, { ...more, labels: labels(own), ...rest });
}

function modelOf(containers: readonly Container[], options: Partial<RoutingOptions> = {}): Model {
  const all = { ...ROUTING, ...options };
  const model = route(snapshot(containers), HOST, all);
  expect(route(snapshot(containers.toReversed()), HOST, all)).toEqual(model);
  return model;
}

/** Where containers are served, as `place: container:port ...`, and why others are not. */
function served(containers: readonly Container[], options: Partial<RoutingOptions> = {}) {
  const { services, rejections, warnings } = modelOf(containers, options);
  return {
    at: Object.fromEntries(
      services.flatMap(({ routes, servers }) =>
        routes.map((each) => [
          nameOf(each),
          servers.map((server) => `${server.container}:${server.port}`).join(" "),
        ]),
      ),
    ),
    not: Object.fromEntries(rejections.map((each) => [each.container, each.reason] as const)),
    warnings,
  };
}

test("a container with the label is served by TCP only", () => {
  expect(served([of("db", { tcp: "15432" })])).toEqual({
    at: { "tcp port 15432": "db:5432" },
    not: {},
    warnings: [],
  });
});

test("a further route of it is HTTP, at a port of its own", () => {
  const rest = { exposed: [80, 5432] };
  const both = of("db", { tcp: "5432", "route.web.host": "db.org" }, rest);
  expect(served([both]).at).toEqual({
    "tcp port 5432": "db:5432",
    "http://db.org/": "db:80",
  });
  const own = of("db", { tcp: "5432", "route.web.path": "/x", "route.web.port": "81" }, rest);
  expect(served([own]).at).toEqual({ "tcp port 5432": "db:5432", "/x": "db:81" });
});

/** The port of a container with these labels, or why it is not routed. */
function portOf(
  own: Record<string, string>,
  exposed: number[],
  rest: Partial<Container> = {},
): string | undefined {
  const { at: places, not } = served([of("db", { tcp: "5432", ...own }, { exposed, ...rest })]);
  return places["tcp port 5432"] ?? not["db"];
}

describe("the port of the container", () => {
  test.each([
    ["its label", { port: "7" }, [9, 5432], "db:7"],
    ["the only one that is exposed", {}, [9], "db:9"],
    ["that of the label tcp, among others", {}, [9, 80, 5432], "db:5432"],
    ["that of the label tcp, if none is exposed", {}, [], "db:5432"],
    ["one of --ports", {}, [9, 80], "db:80"],
    [
      "none that is known to be something else",
      {},
      [3306, 33060],
      "it exposes the ports 3306, 33060, and 5432 is none of them: label gateway.port names the one that is meant",
    ],
  ])("is %s", (_, own, exposed, expected) => {
    expect(portOf(own, exposed)).toBe(expected);
  });

  test("in the host's network is none of the gateway's own", () => {
    const host = { networkMode: "host", attachments: [] };
    expect(portOf({}, [5432], host)).toBe(
      "it uses the host's network, and port 5432 of the host is the gateway's own",
    );
    expect(portOf({ port: "5433" }, [], host)).toBe("db:5433");
  });
});

/** The containers of each service, by its name for a person. */
function titles(containers: readonly Container[]): Record<string, string> {
  return Object.fromEntries(
    modelOf(containers).services.map(({ name, servers }) => [
      titleOf(name),
      servers.map((server) => server.container).join(" "),
    ]),
  );
}

function db(name: string, own: Record<string, string>): Container {
  return of(name, own, { image: "postgres:16" });
}

describe("which containers are one service", () => {
  test("those of one image at one port", () => {
    expect(titles([db("a", { tcp: "1" }), db("b", { tcp: "1" })])).toEqual({
      "postgres (tcp 1)": "a b",
    });
  });

  test("not those of one image at two ports, or by two names", () => {
    const all = [
      db("a", { tcp: "1" }),
      db("b", { tcp: "2", "tcp.sni": "b.org" }),
      db("c", { tcp: "2", "tcp.sni": "*.c.org, c.org" }),
      db("d", { tcp: "2", "tcp.sni": "*" }),
    ];
    expect(titles(all)).toEqual({
      "postgres (tcp 1)": "a",
      "postgres (tcp 2:b.org)": "b",
      "postgres (tcp 2:.c.org:c.org)": "c",
      "postgres (tcp 2:.)": "d",
    });
  });

  test("those whose label says so, whatever their images are; HTTP is another one", () => {
    const all = [
      of("a", { tcp: "1", service: "s" }),
      of("b", { tcp: "2", service: "s" }),
      of("c", { service: "s", port: "80", path: "/" }),
    ];
    expect(titles(all)).toEqual({ "s (tcp)": "a b", s: "c" });
  });

  test("long names do not make a long name", () => {
    const names = Array.from({ length: 20 }, (_, index) => `name-${index}.example.com`).join();
    const [{ backend } = { backend: "" }] = modelOf([
      of("a", { tcp: "1", "tcp.sni": names }),
    ]).services;
    expect(backend).toMatch(/^acme:a::tcp:1:[\w-]{8,30}$/);
  });
});

describe("whose port it is", () => {
  test("that of the oldest container that asks for it", () => {
    const { at: places, not } = served([of("old", { tcp: "1" }), of("young", { tcp: "1" })]);
    expect(places).toEqual({ "tcp port 1": "old:5432" });
    expect(not).toEqual({
      young:
        "tcp port 1 belongs to service acme/old (tcp 1), whose container old is older than young",
    });
  });

  test("a name's, too; others share the port", () => {
    const all = [
      of("a", { tcp: "1", "tcp.sni": "a.org *.a.org" }),
      of("b", { tcp: "1", "tcp.sni": "b.org, a.org" }),
      of("c", { tcp: "1", "tcp.sni": "*" }),
    ];
    expect(served(all)).toEqual({
      at: {
        "tcp port 1 for a.org": "a:5432",
        "tcp port 1 for *.a.org": "a:5432",
        "tcp port 1 for b.org": "b:5432",
        "tcp port 1 for any other name": "c:5432",
      },
      not: {},
      warnings: [
        "service acme/b (tcp 1:a.org:b.org) is not served at tcp port 1 for a.org: tcp port 1 for " +
          "a.org belongs to service acme/a (tcp 1:.a.org:a.org), whose container a is older than b",
      ],
    });
  });

  test("who has the whole port shares it with no name", () => {
    const { at: places, not } = served([
      of("old", { tcp: "1" }),
      of("named", { tcp: "1", "tcp.sni": "a.org" }),
      of("rest", { tcp: "1", "tcp.sni": "*" }),
    ]);
    expect(places).toEqual({ "tcp port 1": "old:5432" });
    expect(not["named"]).toBe(
      "tcp port 1 belongs to service acme/old (tcp 1) as a whole, whose container old is older than named",
    );
    expect(not["rest"]).toContain("as a whole");
  });

  test("and nobody takes all of one that names share", () => {
    const { at: places, not } = served([
      of("named", { tcp: "1", "tcp.sni": "a.org" }),
      of("whole", { tcp: "1" }),
    ]);
    expect(places).toEqual({ "tcp port 1 for a.org": "named:5432" });
    expect(not["whole"]).toBe(
      "tcp port 1 is shared by names of TLS, as service acme/named (tcp 1:a.org) wants it, whose container named is older than whole",
    );
  });

  test("a claim rules who may have a name, as it does for hosts", () => {
    const claims = ["example.com=label:team=web", "*.example.com=label:team=web", "/=image:x"];
    const options = { claims: claims.flatMap((text) => parseClaim(text) ?? []) };
    const mine = of("mine", { tcp: "1", "tcp.sni": "db.example.com" });
    const holder = { ...mine, labels: { ...mine.labels, team: "web" } };
    const whole = of("whole", { tcp: "2" });
    expect(served([holder, whole], options).at).toEqual({
      "tcp port 1 for db.example.com": "mine:5432",
      "tcp port 2": "whole:5432",
    });
    expect(served([mine], options).not["mine"]).toContain(
      "tcp port 1 for db.example.com is kept from container mine by --claim *.example.com=label:team=web",
    );
  });

  test("never one of --listen, nor one that somebody else has", () => {
    const all = [
      of("a", { tcp: "80" }),
      of("b", { tcp: "22", "route.web.path": "/b", "route.web.port": "8080" }),
      of("c", { tcp: "23" }),
    ];
    const { at: places, not } = served(all, { taken: { "22": "sshd (process 1) has it" } });
    expect(places).toEqual({ "tcp port 23": "c:5432", "/b": "b:8080" });
    expect(not).toEqual({
      a: "it cannot be served at tcp port 80: that port is the gateway's own (--listen, --admin)",
      b: "it cannot be served at tcp port 22: sshd (process 1) has it",
    });
  });
});

describe("a value that is none", () => {
  test.each([
    [{ tcp: "0" }, 'label gateway.tcp="0" is not a port number (1 to 65535)'],
    [{ tcp: "5432/udp" }, 'label gateway.tcp="5432/udp" is not a port number (1 to 65535)'],
    [
      { tcp: "1", "tcp.sni": "a_b!" },
      'label gateway.tcp.sni="a_b!" is not a name of TLS, such as db.example.com, a wildcard, such as *.example.com, or * for any other',
    ],
    [{ tcp: "1", "tcp.sni": "" }, 'label gateway.tcp.sni="" is not a name of TLS'],
  ])("%j: the container is not routed", (own, reason) => {
    const { at: places, not } = served([of("db", own)]);
    expect(places).toEqual({});
    expect(not["db"]).toContain(reason);
  });

  test("one of several names is left out, and names without a port mean nothing", () => {
    const some = served([of("a", { tcp: "1", "tcp.sni": "a.org, b!" })]);
    expect(some.at).toEqual({ "tcp port 1 for a.org": "a:5432" });
    expect(some.warnings.join()).toContain('"b!" is not a name of TLS');
    const alone = served([of("b", { "tcp.sni": "a.org" }, { exposed: [80] })]);
    expect(alone.at).toEqual({ "/acme/b": "b:80" });
    expect(alone.warnings).toEqual([
      "container b: label gateway.tcp.sni counts for nothing without label gateway.tcp",
    ]);
  });
});

describe("beside the label", () => {
  test.each([
    ["host", "a.org"],
    ["path", "/x"],
    ["strip", "false"],
    ["rewrite", "/y"],
    ["check", "/health"],
    ["scheme", "https"],
    ["sticky", "id"],
    ["compress", "true"],
    ["timeout", "5m"],
    ["balance", "hash:cookie:a"],
    ["errors.404", "/srv/404.html"],
    ["rate", "1/1s"],
    ["body", "1m"],
    ["cors", "*"],
    ["redirect", "https"],
    ["headers.request.X-A", "1"],
  ])("%s is one warning", (key, value) => {
    const { at: places, warnings } = served([of("db", { tcp: "1", [key]: value })]);
    expect(places).toEqual({ "tcp port 1": "db:5432" });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.toLowerCase()).toStartWith(
      `container db: label gateway.${key.toLowerCase()} is about http and counts for nothing beside label gateway.tcp`,
    );
  });

  test("what is wrong with a label of HTTP costs nothing", () => {
    const { at: places, warnings } = served([of("db", { tcp: "1", host: "!" })]);
    expect(places).toEqual({ "tcp port 1": "db:5432" });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain("the label counts for nothing beside label gateway.tcp");
  });

  test.each([
    [
      "auth",
      `bob:${SHA512}`,
      "label gateway.auth keeps somebody out and cannot be asked for without HTTP, so label gateway.tcp lets nobody in",
    ],
    ["auth", "bob", 'label gateway.auth="..." is not a user with a hash'],
    [
      "allow",
      "10.0.0.0/8, x",
      'label gateway.allow="10.0.0.0/8, x": "x" is not an address or a network, such as 10.0.0.0/8 or fd00::/8: label gateway.tcp lets nobody in until it is right',
    ],
    ["deny", "", 'label gateway.deny="" is not an address'],
  ])("%s=%s lets nobody in", (key, value, reason) => {
    const { at: places, not } = served([of("db", { tcp: "1", [key]: value })]);
    expect(places).toEqual({});
    expect(not["db"]).toStartWith(reason);
  });

  test("what means something there is a setting", () => {
    const own = {
      tcp: "1",
      allow: "10.0.0.0/8",
      balance: "source",
      "check.interval": "1s",
      queue: "5",
      slowstart: "10s",
      "timeout.connect": "1s",
      "timeout.tunnel": "2h",
      weight: "3",
      backup: "true",
      maxconn: "7",
    };
    const { services, warnings } = modelOf([of("db", own)]);
    expect(warnings).toEqual([]);
    const { allow, tcp: _, weight, backup: __, maxconn, ...settings } = own;
    expect(services[0]).toMatchObject({
      settings,
      routes: [{ rules: { values: { allow } } }],
      servers: [{ weight, maxconn, backup: true }],
    });
    expect(services[0]?.profile).toStartWith("_tcp_balance:source_check.interval:1s");
  });
});

test("containers of one service that differ in a setting: the oldest decides", () => {
  const image = { image: "postgres" };
  const all = [
    of("a", { tcp: "1", balance: "leastconn" }, image),
    of("b", { tcp: "1" }, { ...image, attachments: [at("bridge", "172.17.0.9")] }),
  ];
  const { services, warnings } = modelOf(all);
  expect(services[0]?.settings).toEqual({ balance: "leastconn" });
  expect(warnings).toEqual([
    "containers a and b share service postgres (tcp 1) and differ in label gateway.balance: a is the oldest, so it is served with balance=leastconn",
  ]);
});
