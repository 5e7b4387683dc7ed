// The labels of Traefik: routers, services, and what they may do together.

import { describe, expect, test } from "bun:test";
import { BCRYPT, EVERYBODY, labelsOf, warningsOf, type Texts } from "./read.ts";

const ROUTER = "traefik.http.routers.web";
const SERVICE = "traefik.http.services.app.loadbalancer";
const RULE = { [`${ROUTER}.rule`]: "Host(`a.example.com`)" };
const SERVED = { service: "web", host: "a.example.com", path: "/" };

describe("routers", () => {
  test.each<[string, Texts, Texts]>([
    ["a host", RULE, SERVED],
    ["enabled", { ...RULE, "traefik.enable": "true" }, { ...SERVED, enable: "true" }],
    ["enabled in another way", { ...RULE, "Traefik.Enable": "1" }, { ...SERVED, enable: "true" }],
    ["not enabled", { ...RULE, "traefik.enable": "false" }, { enable: "false" }],
    ["enabled, and nothing else", { "traefik.enable": "true" }, { enable: "true" }],
    ["a network", { ...RULE, "traefik.docker.network": "back" }, { ...SERVED, network: "back" }],
    ["labels in any case", { "TRAEFIK.HTTP.Routers.Web.Rule": "Host(`a.example.com`)" }, SERVED],
    [
      "a path prefix, which the container knows",
      { [`${ROUTER}.rule`]: "Host(`a.example.com`) && PathPrefix(`/x`)" },
      { ...SERVED, path: "/x", strip: "false" },
    ],
    [
      "hosts with the same paths are one route",
      { [`${ROUTER}.rule`]: "(Host(`a`) || Host(`b`)) && (PathPrefix(`/x`) || PathPrefix(`/y`))" },
      { service: "web", host: "a,b", path: "/x,/y", strip: "false" },
    ],
    [
      "hosts with other paths are several routes",
      { [`${ROUTER}.rule`]: "Host(`a`) || Host(`b`) && PathPrefix(`/x`)" },
      {
        service: "web",
        host: "a",
        path: "/",
        "route.web.host": "b",
        "route.web.path": "/x",
        "route.web.strip": "false",
      },
    ],
    [
      "no host",
      { [`${ROUTER}.rule`]: "PathPrefix(`/x`)" },
      { service: "web", path: "/x", strip: "false" },
    ],
    [
      "a host beside any host",
      { [`${ROUTER}.rule`]: "Host(`a`) && PathPrefix(`/x`) || PathPrefix(`/x`)" },
      {
        service: "web",
        host: "a",
        path: "/x",
        strip: "false",
        "route.web.path": "/x",
        "route.web.strip": "false",
      },
    ],
    [
      "usual listeners and TLS",
      {
        ...RULE,
        [`${ROUTER}.entrypoints`]: "web,websecure",
        [`${ROUTER}.tls`]: "true",
        [`${ROUTER}.tls.certresolver`]: "le",
        [`${ROUTER}.tls.domains[0].main`]: "a.example.com",
        [`${ROUTER}.priority`]: "0",
        [`${ROUTER}.ruleSyntax`]: "v3",
      },
      SERVED,
    ],
  ])("%s", (_, labels, expected) => {
    expect(labelsOf(labels)).toEqual(expected);
    expect(warningsOf(labels)).toEqual([]);
  });

  test.each<[string, Texts, Texts, string[]]>([
    [
      "a rule that is not understood",
      { [`${ROUTER}.rule`]: "HostRegexp(`.+`)" },
      { enable: "false" },
      [
        'traefik.http.routers.web.rule="HostRegexp(`.+`)": not understood: HostRegexp; use gateway.host and gateway.path',
        "what Traefik would serve of it is not understood, so it is left out",
      ],
    ],
    [
      "a path without what is below it",
      { [`${ROUTER}.rule`]: "Path(`/x`)" },
      { service: "web", path: "/x", strip: "false" },
      [
        'traefik.http.routers.web.rule="Path(`/x`)": all below its Path is served too; use gateway.path',
      ],
    ],
    [
      "enabled or not",
      { ...RULE, "traefik.enable": "yes" },
      { enable: "false" },
      [
        'traefik.enable="yes": it is neither true nor false, so the container is left out; use gateway.enable',
      ],
    ],
    [
      "options that mean nothing here",
      {
        ...RULE,
        [`${ROUTER}.priority`]: "42",
        [`${ROUTER}.entrypoints`]: "web,vpn",
        [`${ROUTER}.tls.options`]: "default",
        [`${ROUTER}.observability.metrics`]: "true",
        "traefik.docker.network": "a/b",
      },
      SERVED,
      [
        'traefik.docker.network="a/b": it is no name of a network; use gateway.network',
        'traefik.http.routers.web.entrypoints="web,vpn": it is served on all that the gateway listens on; there is no label of ours for it',
        'traefik.http.routers.web.observability.metrics="true": it is not known; there is no label of ours for it',
        'traefik.http.routers.web.priority="42": here the more exact host wins, and then the longer path; there is no label of ours for it',
      ],
    ],
    [
      "other labels",
      {
        ...RULE,
        "traefik.udp.routers.a.entrypoints": "b",
        "traefik.frontend.rule": "Host:a",
        "traefik.port": "80",
        "traefik.tags": "x",
        "traefik.docker.lbswarm": "true",
      },
      SERVED,
      [
        'traefik.frontend.rule="Host:a": it is a label of Traefik 1; use gateway.host and gateway.path',
        'traefik.port="80": it is a label of Traefik 1; use gateway.port',
        'traefik.tags="x": it is not known; there is no label of ours for it',
        'traefik.udp.routers.a.entrypoints="b": UDP is not served; there is no label of ours for it',
      ],
    ],
    [
      "a router without a rule has the route of the image",
      { [`${ROUTER}.middlewares`]: "a", "traefik.http.middlewares.a.compress": "true" },
      { compress: "true" },
      [
        'traefik.http.routers.web.middlewares="a": its router has no rule, and Traefik\'s own is not known; use gateway.host and gateway.path',
      ],
    ],
  ])("%s", (_, labels, expected, warnings) => {
    expect(labelsOf(labels)).toEqual(expected);
    expect(warningsOf(labels)).toEqual(warnings);
  });
});

describe("services", () => {
  test.each<[Texts, Texts]>([
    [{ "server.port": "8080" }, { port: "8080" }],
    [
      { "server.port": "443", "server.scheme": "https" },
      { port: "443", scheme: "https" },
    ],
    [{ "server.scheme": "h2c" }, { scheme: "h2c" }],
    [{ "server.weight": "3" }, { weight: "3" }],
    [{ "sticky.cookie": "true" }, { sticky: "_route" }],
    [{ "sticky.cookie": "false" }, {}],
    [
      {
        "sticky.cookie": "true",
        "sticky.cookie.name": "lb",
        "sticky.cookie.secure": "true",
        "sticky.cookie.sameSite": "Lax",
      },
      { sticky: "lb", "sticky.secure": "true", "sticky.samesite": "lax" },
    ],
    [
      {
        "healthcheck.path": "/health",
        "healthcheck.interval": "1m30s",
        "healthcheck.hostname": "a.example.com",
        "healthcheck.status": "204",
      },
      {
        check: "/health",
        "check.interval": "90s",
        "check.host": "a.example.com",
        "check.status": "204",
      },
    ],
    [{ strategy: "p2c" }, { balance: "random" }],
    [{ passhostheader: "true" }, {}],
  ])("%p", (options, expected) => {
    const entries = Object.entries(options).map(([name, value]) => [`${SERVICE}.${name}`, value]);
    const labels = { ...RULE, ...Object.fromEntries(entries) };
    expect(labelsOf(labels)).toEqual({ ...SERVED, service: "app", ...expected });
    expect(warningsOf(labels)).toEqual([]);
  });

  test.each<[string, string, string]>([
    ["server.port", "http", "it is no port number; use gateway.port"],
    ["server.scheme", "ftp", "only http, https and h2c are known; use gateway.scheme"],
    ["server.weight", "x", "it is not known; there is no label of ours for it"],
    ["server.url", "http://x", "it is not known; use gateway.port and gateway.scheme"],
    ["sticky.cookie", "lb", "it is neither true nor false; use gateway.sticky"],
    ["sticky.cookie.name", "a b", "it is no name of a cookie; use gateway.sticky"],
    ["sticky.cookie.maxage", "1", "it is not known; use gateway.sticky"],
    ["healthcheck.path", "x", "it is no path; use gateway.check"],
    ["healthcheck.interval", "soon", "it is no duration; use gateway.check.interval"],
    ["healthcheck.timeout", "1s", "it is not known; use gateway.check"],
    ["strategy", "leasttime", "only wrr, p2c and hrw are known; use gateway.balance"],
    ["serverstransport", "x@file", "it is not known; use gateway.https.verify"],
    [
      "passhostheader",
      "false",
      "the container always gets the host of the request; there is no label of ours for it",
    ],
  ])("%s=%s", (option, value, what) => {
    const labels = { ...RULE, [`${SERVICE}.${option}`]: value };
    expect(labelsOf(labels)).toEqual({ ...SERVED, service: "app" });
    expect(warningsOf(labels)).toEqual([`${SERVICE}.${option}="${value}": ${what}`]);
  });

  test("what belongs to a check or a cookie means nothing without it", () => {
    const labels = {
      ...RULE,
      [`${SERVICE}.healthcheck.interval`]: "5s",
      [`${SERVICE}.sticky.cookie.secure`]: "true",
    };
    expect(labelsOf(labels)).toEqual({ ...SERVED, service: "app" });
  });

  const two = {
    "traefik.http.routers.www.rule": "Host(`www.example.com`)",
    "traefik.http.routers.www.service": "www",
    "traefik.http.services.www.loadbalancer.server.port": "8000",
    "traefik.http.routers.admin.rule": "Host(`admin.example.com`)",
    "traefik.http.routers.admin.service": "admin@docker",
    "traefik.http.services.admin.loadbalancer.server.port": "9000",
  };

  test("each router has its own", () => {
    expect(warningsOf(two)).toEqual([]);
    expect(labelsOf(two)).toEqual({
      service: "admin",
      host: "admin.example.com",
      path: "/",
      port: "9000",
      "route.www.host": "www.example.com",
      "route.www.path": "/",
      "route.www.port": "8000",
    });
  });

  test("a router without one among several is not served", () => {
    const { "traefik.http.routers.www.service": _, ...rest } = two;
    expect(Object.keys(labelsOf(rest)).filter((name) => name.startsWith("route"))).toEqual([]);
    expect(warningsOf(rest)).toEqual([
      expect.stringContaining("its router names none of the several services"),
    ]);
  });

  test.each(["api@internal", "other", "app@file"])("%s is none of the container's", (name) => {
    const labels = { ...RULE, [`${ROUTER}.service`]: name, [`${SERVICE}.server.port`]: "80" };
    const warning = `traefik.http.routers.web.service="${name}": it is no service of this container, so its router is left out; use gateway.service`;
    expect(warningsOf(labels)).toContain(warning);
    expect(labelsOf(labels)).toEqual({ enable: "false" });
  });

  test("one that has no router has the route of the image", () => {
    expect(labelsOf({ [`${SERVICE}.server.port`]: "80" })).toEqual({ port: "80" });
    const several = {
      [`${SERVICE}.server.port`]: "80",
      "traefik.http.services.b.loadbalancer.server.port": "81",
    };
    expect(labelsOf(several)).toEqual({ enable: "false" });
  });

  test("in a compose file, all containers of a service there share its requests", () => {
    const compose = { "com.docker.compose.service": "shop", "com.docker.compose.project": "acme" };
    expect(labelsOf({ ...RULE, ...compose })).toEqual({ ...SERVED, service: "shop-acme" });
  });
});

/** Another router for the same host, on the listener without TLS. */
function otherRouter(middlewares: string): Texts {
  return {
    "traefik.http.routers.other.rule": "Host(`a.example.com`)",
    "traefik.http.routers.other.entrypoints": "web",
    "traefik.http.routers.other.middlewares": middlewares,
    "traefik.http.middlewares.https.redirectscheme.scheme": "https",
    "traefik.http.middlewares.https.redirectscheme.permanent": "true",
    "traefik.http.middlewares.auth.basicauth.users": `bob:${BCRYPT}`,
  };
}

describe("routers with the same route", () => {
  const secure = { [`${ROUTER}.entrypoints`]: "websecure", [`${ROUTER}.tls`]: "true" };
  test("one that only sends to https makes the other do so", () => {
    const labels = {
      ...RULE,
      ...secure,
      ...otherRouter("https"),
      [`${ROUTER}.middlewares`]: "auth",
    };
    expect(warningsOf(labels)).toEqual([]);
    expect(labelsOf(labels)).toEqual({
      ...SERVED,
      auth: `bob:${BCRYPT}`,
      "auth.forward": "true",
      redirect: "https",
      "redirect.code": "308",
    });
  });

  test("so it does beside a longer rule, whose router listens for https alone", () => {
    const { "traefik.http.routers.other.entrypoints": _, ...anywhere } = otherRouter("https");
    const labels = {
      ...secure,
      ...anywhere,
      [`${ROUTER}.rule`]: "Host(`a.example.com`) || HostRegexp(`^[a-z]+\\.lan$`)",
      [`${ROUTER}.entrypoints`]: "websecure",
    };
    expect(labelsOf(labels)).toMatchObject({ redirect: "https", "redirect.code": "308" });
  });

  test("the one that protects is served", () => {
    // By their names alone, it would be the other one.
    const first = { "traefik.http.routers.a.rule": "Host(`a.example.com`)" };
    expect(labelsOf({ ...first, ...otherRouter("auth") })).toMatchObject({ auth: `bob:${BCRYPT}` });
    const labels = { ...RULE, ...secure, ...otherRouter("auth") };
    expect(labelsOf(labels)).toMatchObject({ auth: `bob:${BCRYPT}` });
    expect(warningsOf(labels)).toEqual([
      'traefik.http.routers.web.rule="Host(`a.example.com`)": the router other serves the same; use gateway.host and gateway.path',
    ]);
  });
});

describe("TCP", () => {
  const TCP = "traefik.tcp.routers.db";
  const PORT = { "traefik.tcp.services.db.loadbalancer.server.port": "5432" };
  const any = {
    ...PORT,
    [`${TCP}.rule`]: "HostSNI(`*`)",
    [`${TCP}.entrypoints`]: "tcp-5432",
  };
  const named = { ...any, [`${TCP}.rule`]: "HostSNI(`db.example.com`)" };
  const passed = { ...named, [`${TCP}.tls.passthrough`]: "true" };

  test.each<[string, Texts, Texts]>([
    ["all bytes", any, { service: "db", tcp: "5432", port: "5432" }],
    [
      "by the name of TLS",
      passed,
      { service: "db", tcp: "5432", port: "5432", "tcp.sni": "db.example.com" },
    ],
    [
      "several names",
      { ...passed, [`${TCP}.rule`]: "HostSNI(`a`, `b`) || HostSNI(`*.c`)" },
      { service: "db", tcp: "5432", port: "5432", "tcp.sni": "a,b,*.c" },
    ],
    [
      "any name of TLS",
      { ...passed, [`${TCP}.rule`]: "HostSNI(`*`)" },
      { service: "db", tcp: "5432", port: "5432", "tcp.sni": "*" },
    ],
    [
      "two routers to one port",
      {
        ...passed,
        "traefik.tcp.routers.b.rule": "HostSNI(`b.org`)",
        "traefik.tcp.routers.b.tls.passthrough": "true",
        "traefik.tcp.routers.b.entrypoints": "port5432",
      },
      { service: "db", tcp: "5432", port: "5432", "tcp.sni": "b.org,db.example.com" },
    ],
    [
      "from Traefik's usual port for TLS",
      { ...passed, [`${TCP}.entrypoints`]: "websecure" },
      { service: "db", tcp: "443", port: "5432", "tcp.sni": "db.example.com" },
    ],
    [
      "beside HTTP, which is a further route then",
      { ...RULE, ...any },
      {
        service: SERVED["service"] ?? "",
        tcp: "5432",
        port: "5432",
        "route.web.host": SERVED["host"] ?? "",
        "route.web.path": SERVED["path"] ?? "",
      },
    ],
  ])("%s", (_, labels, expected) => {
    expect(labelsOf(labels)).toEqual(expected);
    expect(warningsOf(labels)).toEqual([]);
  });

  test.each<[string, Texts, string]>([
    ["TLS that ends at Traefik", { ...any, [`${TCP}.tls`]: "true" }, "without tls.passthrough"],
    ["a name without passing TLS on", named, "without tls.passthrough"],
    ["no port", { [`${TCP}.rule`]: "HostSNI(`*`)" }, "its service has no port"],
    ["another condition", { ...PORT, [`${TCP}.rule`]: "ClientIP(`10.0.0.1`)" }, "ClientIP"],
    ["a middleware", { ...any, [`${TCP}.middlewares`]: "allow" }, "middlewares of TCP"],
    ["a rule that is none", { ...any, [`${TCP}.rule`]: "x" }, "the end stands where"],
  ])("%s is left out", (_, labels, what) => {
    expect(labelsOf(labels)).toEqual({ enable: "false" });
    expect(warningsOf(labels)).toEqual([expect.stringContaining(what)]);
  });

  test.each([
    ["postgres", "its port is in Traefik's own configuration and not known here"],
    ["postgres,websecure", "a container has one port of TCP here"],
    ["v1.5", "its port is in Traefik's own configuration and not known here"],
  ])("an entry point %s is left out", (entrypoints, what) => {
    const labels = { ...any, [`${TCP}.entrypoints`]: entrypoints };
    expect(labelsOf(labels)).toEqual({ enable: "false" });
    expect(warningsOf(labels)).toEqual([
      `traefik.tcp.routers.db.entrypoints="${entrypoints}": ${what}, so its router is left out; use gateway.tcp`,
    ]);
  });

  test("without an entry point it is the port of the container, with a warning", () => {
    const { [`${TCP}.entrypoints`]: _, ...labels } = any;
    expect(labelsOf(labels)).toEqual({ service: "db", tcp: "5432", port: "5432" });
    expect(warningsOf(labels)).toEqual([
      'traefik.tcp.routers.db.rule="HostSNI(`*`)": without an entry point Traefik listens at all of its ports, here at 5432; use gateway.tcp',
    ]);
  });
});

test("a rule that is not understood lets nobody in, if its router protects", () => {
  const labels = {
    ...RULE,
    "traefik.http.routers.admin.rule": "Host(`a.example.com`) && PathRegexp(`^/admin`)",
    "traefik.http.routers.admin.middlewares": "auth",
    "traefik.http.middlewares.auth.basicauth.users": `bob:${BCRYPT}`,
  };
  // Otherwise /admin would be served by the first rule, without asking for a password.
  expect(labelsOf(labels)).toEqual({ enable: "false", deny: EVERYBODY });
  const unknown = { ...labels, "traefik.http.routers.admin.middlewares": "auth@file" };
  expect(labelsOf(unknown)).toEqual({ enable: "false", deny: EVERYBODY });
  const { "traefik.http.routers.admin.middlewares": _, ...open } = labels;
  expect(labelsOf(open)).toEqual(SERVED);
});

describe("what else may protect lets nobody in", () => {
  test.each<[string, string, string]>([
    ["tls.options", "mtls@file", "it is not known and may protect, so nobody gets in"],
    ["entrypoints", "internal", "by its name it is not for everybody, so nobody gets in"],
    ["entrypoints", "https-LAN, vpn", "by its name it is not for everybody, so nobody gets in"],
    ["entrypoints", "traefik", "by its name it is not for everybody, so nobody gets in"],
  ])("%s=%s", (option, value, what) => {
    const labels = { ...RULE, [`${ROUTER}.${option}`]: value };
    expect(labelsOf(labels)).toEqual({ ...SERVED, deny: EVERYBODY });
    const text = `${ROUTER}.${option}="${value}": ${what}; use gateway.auth and gateway.allow`;
    expect(warningsOf(labels)).toEqual([text]);
  });

  test.each(["plane", "islands", "public"])("the listener %s is a warning alone", (name) => {
    const labels = { ...RULE, [`${ROUTER}.entrypoints`]: name };
    expect(labelsOf(labels)).toEqual(SERVED);
    expect(warningsOf(labels)).toHaveLength(1);
  });

  test("middlewares of a service are those of its routers", () => {
    const service = {
      ...RULE,
      "traefik.http.services.app.loadbalancer.server.port": "80",
      "traefik.http.services.app.middlewares": "auth",
    };
    const auth = { "traefik.http.middlewares.auth.basicauth.users": `bob:${BCRYPT}` };
    expect(labelsOf({ ...service, ...auth })).toMatchObject({ auth: `bob:${BCRYPT}` });
    expect(warningsOf({ ...service, ...auth })).toEqual([]);
    expect(labelsOf(service)).toMatchObject({ deny: EVERYBODY });
    const named = { ...service, [`${ROUTER}.service`]: "app@docker", ...auth };
    expect(labelsOf(named)).toMatchObject({ auth: `bob:${BCRYPT}` });
  });
});
