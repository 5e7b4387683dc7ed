// The environment of containers that nginx-proxy serves.

import { describe, expect, test } from "bun:test";
import { toServiceName } from "../../../src/routing/compat/vocabulary.ts";
import { EVERYBODY, labelsOf, warningsOf, type Texts } from "./read.ts";

const HOST = { VIRTUAL_HOST: "a.example.com" };
const SERVED = { enable: "true", service: "a.example.com", host: "a.example.com", path: "/" };
const INTERNAL = "127.0.0.0/8,10.0.0.0/8,192.168.0.0/16,172.16.0.0/12";

test.each<[string, Texts, Texts]>([
  ["a host", HOST, SERVED],
  ["a host in capitals", { VIRTUAL_HOST: " A.Example.COM. " }, SERVED],
  [
    "several hosts",
    { VIRTUAL_HOST: "a.example.com, b.example.com,,a.example.com" },
    { ...SERVED, host: "a.example.com,b.example.com" },
  ],
  [
    "a wildcard",
    { VIRTUAL_HOST: "*.example.com" },
    { ...SERVED, host: "*.example.com", service: toServiceName("*.example.com") },
  ],
  [
    "a dot before it stands for itself and all below",
    { VIRTUAL_HOST: ".example.com" },
    { ...SERVED, host: "example.com,*.example.com", service: "example.com" },
  ],
  ["a port", { ...HOST, VIRTUAL_PORT: "8080" }, { ...SERVED, port: "8080" }],
  [
    "a path, which the container knows",
    { ...HOST, VIRTUAL_PATH: "/app/" },
    { ...SERVED, service: toServiceName("a.example.com", "/app"), path: "/app", strip: "false" },
  ],
  [
    "a path with a modifier of nginx",
    { ...HOST, VIRTUAL_PATH: "^~ /app" },
    { ...SERVED, service: toServiceName("a.example.com", "/app"), path: "/app", strip: "false" },
  ],
  [
    "a path that the container does not know",
    { ...HOST, VIRTUAL_PATH: "/app", VIRTUAL_DEST: "/" },
    { ...SERVED, service: toServiceName("a.example.com", "/app"), path: "/app", strip: "true" },
  ],
  [
    "another path for the container",
    { ...HOST, VIRTUAL_PATH: "/app", VIRTUAL_DEST: "/x/" },
    { ...SERVED, service: toServiceName("a.example.com", "/app"), path: "/app", rewrite: "/x" },
  ],
  [
    "another path for the container, for all of the host",
    { ...HOST, VIRTUAL_DEST: "/x" },
    { ...SERVED, rewrite: "/x" },
  ],
  ["an empty destination", { ...HOST, VIRTUAL_DEST: "" }, SERVED],
  ["http", { ...HOST, VIRTUAL_PROTO: "http" }, SERVED],
  [
    "https",
    { ...HOST, VIRTUAL_PROTO: "https", VIRTUAL_PORT: "443" },
    { ...SERVED, port: "443", scheme: "https", "https.verify": "false" },
  ],
  ["gRPC", { ...HOST, VIRTUAL_PROTO: "grpc" }, { ...SERVED, scheme: "h2c" }],
  [
    "gRPC with TLS",
    { ...HOST, VIRTUAL_PROTO: "grpcs" },
    { ...SERVED, scheme: "h2", "https.verify": "false" },
  ],
  [
    "FastCGI",
    { ...HOST, VIRTUAL_PROTO: "fastcgi" },
    { ...SERVED, scheme: "fcgi", "fcgi.root": "/var/www/public" },
  ],
  [
    "FastCGI with a root",
    { ...HOST, VIRTUAL_PROTO: "fastcgi", VIRTUAL_ROOT: "/srv/www" },
    { ...SERVED, scheme: "fcgi", "fcgi.root": "/srv/www" },
  ],
  ["internal", { ...HOST, NETWORK_ACCESS: "internal" }, { ...SERVED, allow: INTERNAL }],
  ["external", { ...HOST, NETWORK_ACCESS: "external" }, SERVED],
  [
    "redirect",
    { ...HOST, HTTPS_METHOD: "redirect" },
    { ...SERVED, redirect: "https", "redirect.code": "301" },
  ],
  [
    "hsts",
    { ...HOST, HSTS: "max-age=15552000; includeSubDomains" },
    { ...SERVED, hsts: "180d, subdomains" },
  ],
  ["no hsts", { ...HOST, HSTS: "off" }, SERVED],
  ["noredirect", { ...HOST, HTTPS_METHOD: "noredirect" }, { ...SERVED, redirect: "none" }],
])("%s", (_, environment, labels) => {
  expect(labelsOf({}, environment)).toEqual(labels);
  expect(warningsOf({}, environment)).toEqual([]);
});

describe("VIRTUAL_HOST_MULTIPORTS", () => {
  const yaml = `
www.example.org:
  "/":
  "/service1":
    port: 8000
    dest: "/"
service2.example.org:
  "/":
    port: 9443
    proto: https
`;
  const labels = {
    enable: "true",
    service: "www.example.org",
    host: "www.example.org",
    path: "/",
    "route.service2-example-org.host": "service2.example.org",
    "route.service2-example-org.path": "/",
    "route.service2-example-org.port": "9443",
    "route.service2-example-org.scheme": "https",
    "route.service2-example-org.https.verify": "false",
    "route.www-example-org-service1.host": "www.example.org",
    "route.www-example-org-service1.path": "/service1",
    "route.www-example-org-service1.port": "8000",
    "route.www-example-org-service1.strip": "true",
  };
  const json = JSON.stringify({
    "www.example.org": { "/": {}, "/service1": { port: 8000, dest: "/" } },
    "service2.example.org": { "/": { port: "9443", proto: "https" } },
  });

  test.each<[string, Texts, Texts]>([
    ["YAML", { VIRTUAL_HOST_MULTIPORTS: yaml }, labels],
    ["JSON", { VIRTUAL_HOST_MULTIPORTS: json }, labels],
    [
      "it takes the place of the others",
      { ...HOST, VIRTUAL_HOST_MULTIPORTS: "b.example.com:", VIRTUAL_PORT: "1", VIRTUAL_PATH: "/y" },
      { enable: "true", service: "b.example.com", host: "b.example.com", path: "/" },
    ],
    [
      "NETWORK_ACCESS is for all of it",
      { VIRTUAL_HOST_MULTIPORTS: "{a.example.com: {}}", NETWORK_ACCESS: "internal" },
      { ...SERVED, allow: INTERNAL },
    ],
  ])("%s", (_, environment, expected) => {
    expect(labelsOf({}, environment)).toEqual(expected);
    expect(warningsOf({}, environment)).toEqual([]);
  });

  test.each<[string, string, string]>([
    ["an open bracket", "a: [", "it is no YAML (BAD_INDENT)"],
    ["a list", "[a.example.com]", "it has no hosts"],
    ["a word", "a.example.com", "it has no hosts"],
    ["an alias", "a.example.com: &x {}\nb.example.com: *x", "an alias is not known"],
    ["brackets in brackets", "[".repeat(4_000), "it is nested too deep"],
    ["maps in maps", "{a: ".repeat(1_000), "it is nested too deep"],
    ["lists in lists", "- ".repeat(2_000), "it is nested too deep"],
    ["keys in keys", "? ".repeat(2_000), "it is nested too deep"],
    ["a long text", `a: ${"x".repeat(4_096)}`, "it is longer than 4096 characters"],
  ])("%s is refused", (_, text, what) => {
    const environment = { VIRTUAL_HOST_MULTIPORTS: text };
    expect(labelsOf({}, environment)).toEqual({ enable: "false" });
    const [warning, all] = warningsOf({}, environment);
    expect(warning).toContain(`: ${what}; use gateway.host`);
    expect(all).toBe("what nginx-proxy would serve of it is not understood, so it is left out");
  });
});

describe("what is not understood", () => {
  const none = { enable: "false" };
  const all = "what nginx-proxy would serve of it is not understood, so it is left out";

  test.each<[Texts, Texts, string[]]>([
    [
      { VIRTUAL_HOST: "~^a\\.b,c$" },
      none,
      [
        String.raw`VIRTUAL_HOST="~^a\\.b,c$": a regular expression is not known; use gateway.host`,
        all,
      ],
    ],
    [
      { VIRTUAL_HOST: "a.example.com,~^b" },
      SERVED,
      [
        'VIRTUAL_HOST="a.example.com,~^b": the regular expression "~^b" is not known; use gateway.host',
      ],
    ],
    [
      { VIRTUAL_HOST: "foo.bar.*" },
      none,
      [
        'VIRTUAL_HOST="foo.bar.*": a wildcard at the end, as in "foo.bar.*", is not known; use gateway.host',
        all,
      ],
    ],
    [
      { ...HOST, VIRTUAL_PATH: "~^/(a|b)/" },
      none,
      ['VIRTUAL_PATH="~^/(a|b)/": a regular expression is not known; use gateway.path', all],
    ],
    [
      { ...HOST, VIRTUAL_PATH: "= /a" },
      none,
      ['VIRTUAL_PATH="= /a": a path without what is below it is not known; use gateway.path', all],
    ],
    [
      { ...HOST, VIRTUAL_PORT: "80;" },
      SERVED,
      ['VIRTUAL_PORT="80;": it is no port number; use gateway.port'],
    ],
    [
      { ...HOST, VIRTUAL_PROTO: "uwsgi" },
      none,
      [
        'VIRTUAL_PROTO="uwsgi": it is not known, so the container is not served there; use gateway.scheme',
        all,
      ],
    ],
    [
      { ...HOST, VIRTUAL_PATH: "/x", VIRTUAL_DEST: "$uri" },
      { ...SERVED, service: toServiceName("a.example.com", "/x"), path: "/x", strip: "false" },
      ['VIRTUAL_DEST="$uri": it is no path; use gateway.rewrite'],
    ],
    [
      { ...HOST, HTTPS_METHOD: "nohttps" },
      SERVED,
      [
        'HTTPS_METHOD="nohttps": what the gateway listens on is said for all hosts; there is no label of ours for it',
      ],
    ],
    [
      { ...HOST, HSTS: "on" },
      SERVED,
      ['HSTS="on": it is neither off nor such as max-age=31536000; use gateway.hsts'],
    ],
    [
      { ...HOST, HTTPS_METHOD: "nohttp" },
      { ...SERVED, redirect: "https", "redirect.code": "301" },
      [
        'HTTPS_METHOD="nohttp": what comes without TLS is sent to https instead of refused; use gateway.redirect',
      ],
    ],
    // What protects fails closed.
    [
      { ...HOST, NETWORK_ACCESS: "Internal" },
      { ...SERVED, deny: EVERYBODY },
      [
        'NETWORK_ACCESS="Internal": it is neither internal nor external, so nobody gets in; use gateway.allow and gateway.deny',
      ],
    ],
  ])("%p", (environment, labels, warnings) => {
    expect(labelsOf({}, environment)).toEqual(labels);
    expect(warningsOf({}, environment)).toEqual(warnings);
  });

  test("options that no path has", () => {
    const text =
      "a.example.com:\n  external_https_port: 8448\n  /:\n    port: [1]\n  /x:\n    port: y\n";
    expect(labelsOf({}, { VIRTUAL_HOST_MULTIPORTS: text })).toEqual({
      ...SERVED,
      "route.a-example-com-x.host": "a.example.com",
      "route.a-example-com-x.path": "/x",
      "route.a-example-com-x.strip": "false",
    });
    expect(warningsOf({}, { VIRTUAL_HOST_MULTIPORTS: text })).toEqual([
      expect.stringContaining('"external_https_port" is not known'),
      'port in VIRTUAL_HOST_MULTIPORTS of a.example.com/x="y": it is no port number; use gateway.port',
    ]);
  });
});

describe("its labels", () => {
  const prefix = "com.github.nginx-proxy.nginx-proxy.";

  test.each([
    ["least_conn;", "leastconn"],
    ["ip_hash;", "source"],
    ["hash  $remote_addr;", "source"],
    ["random", "random"],
  ])("loadbalance=%s", (value, balance) => {
    const labels = { [`${prefix}loadbalance`]: value, [`${prefix}keepalive`]: "64" };
    expect(labelsOf(labels, HOST)).toEqual({ ...SERVED, balance });
    expect(warningsOf(labels, HOST)).toEqual([]);
  });

  test.each(["loadbalance", "http3.enable", "ssl_verify_client"])(
    "%s is not understood",
    (name) => {
      const labels = { [prefix + name]: "x" };
      expect(labelsOf(labels, HOST)).toEqual(SERVED);
      expect(warningsOf(labels, HOST)).toEqual([
        expect.stringContaining(`${prefix}${name}="x": it is not known`),
      ]);
    },
  );

  test("without a host they mean nothing", () => {
    expect(labelsOf({ [`${prefix}loadbalance`]: "random" }, {})).toEqual({});
    expect(labelsOf({}, { VIRTUAL_PORT: "80", VIRTUAL_HOST: "" })).toEqual({});
  });
});
