// Traefik's middlewares as settings of ours.

import { describe, expect, test } from "bun:test";
import { BCRYPT, EVERYBODY, labelsOf, warningsOf, type Texts } from "./read.ts";

const ROUTER = "traefik.http.routers.web";
const SHA512 = `$6$salt$${"a".repeat(86)}`;

/** The labels of a container with middlewares, in their order. */
function using(rule: string, ...middlewares: readonly Texts[]): Texts {
  const options = middlewares.flatMap((each, index) =>
    Object.entries(each).map(([option, value]) => [
      `traefik.http.middlewares.m${index}.${option}`,
      value,
    ]),
  );
  return {
    [`${ROUTER}.rule`]: rule,
    [`${ROUTER}.middlewares`]: middlewares.map((_, index) => `m${index}@docker`).join(", "),
    ...Object.fromEntries(options),
  };
}

/** The settings without the service, and the host and the path that most tests have. */
function settingsOf(labels: Texts): Texts {
  const { service: _, host: __, path: ___, ...settings } = labelsOf(labels);
  return settings;
}

const HOST = "Host(`a.example.com`)";
const CLOSED = { deny: EVERYBODY };

describe("paths", () => {
  const at = (path: string) => `${HOST} && PathPrefix(\`${path}\`)`;

  test.each<[string, string, Texts[], Texts]>([
    ["the path itself", at("/x"), [{ "stripprefix.prefixes": "/x" }], { strip: "true" }],
    ["one of several", at("/x"), [{ "stripprefix.prefixes": "/y, /x" }], { strip: "true" }],
    [
      "with forceslash",
      at("/x"),
      [{ "stripprefix.prefixes": "/x/", "stripprefix.forceslash": "true" }],
      { strip: "true" },
    ],
    ["a shorter prefix", at("/x/y"), [{ "stripprefix.prefixes": "/x" }], { rewrite: "/y" }],
    ["another prefix", at("/x"), [{ "stripprefix.prefixes": "/y" }], { strip: "false" }],
    ["not by half a segment", at("/xy"), [{ "stripprefix.prefixes": "/x" }], { strip: "false" }],
    ["one that is added", at("/x"), [{ "addprefix.prefix": "/z" }], { rewrite: "/z/x" }],
    ["one that is added to all", HOST, [{ "addprefix.prefix": "z" }], { rewrite: "/z" }],
    [
      "stripped, then added",
      at("/x"),
      [{ "stripprefix.prefixes": "/x" }, { "addprefix.prefix": "/z" }],
      { rewrite: "/z" },
    ],
    [
      "added, then stripped",
      at("/x"),
      [{ "addprefix.prefix": "/z" }, { "stripprefix.prefixes": "/z/x" }],
      { strip: "true" },
    ],
  ])("%s", (_, rule, middlewares, expected) => {
    expect(settingsOf(using(rule, ...middlewares))).toEqual(expected);
    expect(warningsOf(using(rule, ...middlewares))).toEqual([]);
  });

  test("a prefix below the path is stripped there alone", () => {
    expect(labelsOf(using(HOST, { "stripprefix.prefixes": "/api" }))).toEqual({
      service: "web",
      host: "a.example.com",
      path: "/",
      "route.web.host": "a.example.com",
      "route.web.path": "/api",
      "route.web.strip": "true",
    });
  });

  test("one path for all requests is only known for one path", () => {
    const replace = { "replacepath.path": "/z" };
    expect(settingsOf(using(`${HOST} && Path(\`/x\`)`, replace))).toEqual({ rewrite: "/z" });
    expect(settingsOf(using(at("/x"), replace))).toEqual({ strip: "false" });
    expect(warningsOf(using(at("/x"), replace))).toEqual([
      'traefik.http.middlewares.m0.replacepath.path="/z": one path for all requests is only known for a rule with Path; use gateway.rewrite',
    ]);
  });

  test.each<[Texts, string]>([
    [{ "stripprefix.prefixes": "x" }, "one of them is no path prefix; use gateway.strip"],
    [{ "stripprefix.other": "x" }, "it is not known; use gateway.strip"],
    [
      { "stripprefix.prefixes": Array.from({ length: 17 }, (_, index) => `/${index}`).join() },
      "only the first 16 are read; use gateway.strip",
    ],
    [{ "addprefix.prefix": "/a b" }, "it is no path; use gateway.rewrite"],
    [{ "stripprefixregex.regex": "^/x" }, "stripprefixregex is not known; use gateway.rewrite"],
    [{ "replacepathregex.regex": "^/x" }, "replacepathregex is not known; use gateway.rewrite"],
  ])("%p is not understood", (middleware, what) => {
    expect(warningsOf(using(at("/x"), middleware))).toEqual([expect.stringContaining(what)]);
    expect(settingsOf(using(at("/x"), middleware))).toEqual({ strip: "false" });
  });
});

/** A middleware that sends one host to another. */
function change(regex: string, replacement: string): Texts {
  return {
    "redirectregex.regex": regex,
    "redirectregex.replacement": replacement,
    "redirectregex.permanent": "true",
  };
}

describe("redirects", () => {
  test.each<[Texts, Texts]>([
    [{ "redirectscheme.scheme": "https" }, { redirect: "https", "redirect.code": "307" }],
    [
      {
        "redirectscheme.scheme": "HTTPS",
        "redirectscheme.permanent": "true",
        "redirectscheme.port": "443",
      },
      { redirect: "https", "redirect.code": "308" },
    ],
  ])("%p", (middleware, expected) => {
    expect(settingsOf(using(HOST, middleware))).toEqual(expected);
    expect(warningsOf(using(HOST, middleware))).toEqual([]);
  });

  test.each<[Texts, string]>([
    [{ "redirectscheme.scheme": "http" }, "only https is known; use gateway.redirect"],
    [
      { "redirectscheme.scheme": "https", "redirectscheme.port": "8443" },
      "only the port 443 is known; use gateway.redirect",
    ],
  ])("%p is not understood", (middleware, what) => {
    expect(warningsOf(using(HOST, middleware))).toEqual([expect.stringContaining(what)]);
  });

  const both = "Host(`example.com`) || Host(`www.example.com`)";
  const away = {
    service: "web",
    host: "example.com",
    path: "/",
    "route.web.host": "www.example.com",
    "route.web.path": "/",
    "route.web.redirect": "example.com",
    "route.web.redirect.code": "308",
  };
  const towards = {
    service: "web",
    host: "example.com",
    path: "/",
    redirect: "www.example.com",
    "redirect.code": "308",
    "route.web.host": "www.example.com",
    "route.web.path": "/",
  };

  test.each<[string, string, Texts]>([
    ["^https?://www\\.(.+)", "https://${1}", away],
    ["^https?://www\\.(.*)$", "https://$1", away],
    ["^(https?)://www\\.example\\.com/(.*)", "https://example.com/${1}", away],
    ["^https?://www\\.example\\.com/(.*)", "https://example.com/${1}", away],
    ["^http://www.example.com(.*)", "http://example.com${1}", away],
    ["^https?:\\/\\/www\\.example\\.com\\/?(.*)", "https://example.com/$1", away],
    ["^https?://www\\.example\\.com(?:/(.*))?", "https://example.com/${1}", away],
    ["^https?://(?:www\\.)?(.+)", "https://www.${1}", towards],
    ["^https?://(www\\.)?(.+)", "https://www.${2}", towards],
    ["^https?://example\\.com/(.*)", "https://www.example.com/${1}", towards],
  ])("%s", (regex, replacement, expected) => {
    expect(labelsOf(using(both, change(regex, replacement)))).toEqual(expected);
    expect(warningsOf(using(both, change(regex, replacement)))).toEqual([]);
  });

  test.each<[string, string]>([
    ["^https?://(.+)", "https://www.${1}"],
    ["^https?://(www\\.)?(.+)", "https://www.${1}"],
    ["^https?://(?:www\\.)?(.+)", "https://www.$1x"],
    ["^https?://example\\.com/old/(.*)", "https://example.com/new/${1}"],
    ["^https?://[^/]+/(.*)", "https://example.com/${1}"],
    ["^https?://example\\.com/(.*)", "https://example.org/x/${1}"],
    ["^https?://*.example.com/(.*)", "https://example.org/${1}"],
    ["(", "https://example.org/${1}"],
    ["x".repeat(600), "https://example.org/${1}"],
  ])("%s to %s is not understood", (regex, replacement) => {
    expect(warningsOf(using(both, change(regex, replacement)))).toEqual([
      expect.stringContaining("only one host sent to another, with the same path, is known"),
    ]);
    expect(labelsOf(using(both, change(regex, replacement)))).toEqual({
      service: "web",
      host: "example.com,www.example.com",
      path: "/",
    });
  });

  test("the host that all others are sent to goes before https", () => {
    const host = change("^https?://www\\.(.+)", "https://${1}");
    const scheme = { "redirectscheme.scheme": "https", "redirectscheme.permanent": "true" };
    const expected = { ...away, redirect: "https", "redirect.code": "308" };
    expect(labelsOf(using(both, scheme, host))).toEqual(expected);
    expect(labelsOf(using(both, host, scheme))).toEqual(expected);
  });
});

const NO_RATE = "it is no rate that can be had here (up to 1000000 in up to 1h); use gateway.rate";

describe("what protects", () => {
  test.each<[string, Texts, Texts]>([
    [
      "users with bcrypt and SHA-512",
      { "basicauth.users": `bob:${BCRYPT}, al:${SHA512}` },
      { auth: `bob:${BCRYPT},al:${SHA512}`, "auth.forward": "true" },
    ],
    [
      "a header that the container does not get",
      { "basicauth.users": `bob:${BCRYPT}`, "basicauth.removeheader": "true" },
      { auth: `bob:${BCRYPT}` },
    ],
    [
      "networks",
      { "ipallowlist.sourcerange": "10.0.0.0/8, 192.0.2.7,2001:DB8::/32" },
      { allow: "10.0.0.0/8,192.0.2.7,2001:db8::/32" },
    ],
    ["its former name", { "ipwhitelist.sourcerange": "127.0.0.1/32" }, { allow: "127.0.0.1/32" }],
  ])("%s", (_, middleware, expected) => {
    expect(settingsOf(using(HOST, middleware))).toEqual(expected);
    expect(warningsOf(using(HOST, middleware))).toEqual([]);
  });

  test("middlewares in a chain", () => {
    const labels = {
      ...using(HOST, { "chain.middlewares": "strip,allow@docker" }),
      "traefik.http.middlewares.strip.compress": "true",
      "traefik.http.middlewares.allow.ipallowlist.sourcerange": "10.0.0.0/8",
    };
    expect(settingsOf(labels)).toEqual({ allow: "10.0.0.0/8", compress: "true" });
    expect(warningsOf(labels)).toEqual([]);
  });

  test.each<[string, Texts, Texts, string]>([
    [
      "a user with another hash",
      { "basicauth.users": `bob:${BCRYPT},al:$apr1$x$y` },
      { auth: `bob:${BCRYPT}`, "auth.forward": "true" },
      "1 of its 2 users cannot get in: only bcrypt (with a cost of up to 12), SHA-512 and SHA-256 are known; use gateway.auth",
    ],
    [
      "a hash that would stop HAProxy for a second",
      { "basicauth.users": `bob:${BCRYPT},al:${BCRYPT.replace("$10$", "$14$")}` },
      { auth: `bob:${BCRYPT}`, "auth.forward": "true" },
      "1 of its 2 users cannot get in: only bcrypt (with a cost of up to 12)",
    ],
    ["only other hashes", { "basicauth.users": "al:$apr1$x$y" }, CLOSED, "1 of its 1 users"],
    ["a file", { "basicauth.usersfile": "/x" }, CLOSED, "a file of Traefik's cannot be read here"],
    ["no users", { "basicauth.realm": "x" }, CLOSED, "it is not known; use gateway.auth"],
    [
      "what is no network",
      { "ipallowlist.sourcerange": "10.0.0.0/8,x,10.0.0.0/33,fe80::1%eth0" },
      { allow: "10.0.0.0/8" },
      "it has what is no network, which stays out; use gateway.allow",
    ],
    ["no networks", { "ipallowlist.sourcerange": "x" }, CLOSED, "it has what is no network"],
    [
      "the address of a header",
      { "ipallowlist.sourcerange": "10.0.0.0/8", "ipallowlist.ipstrategy.depth": "1" },
      CLOSED,
      "where the address comes from is --trusted-proxies here, so nobody gets in",
    ],
    ["other hosts", { "headers.allowedhosts": "x" }, CLOSED, "it is not known, so nobody gets in"],
    ["another server that asks", { "forwardauth.address": "http://x" }, CLOSED, "may protect"],
    ["a plugin", { "plugin.x.key": "secret" }, CLOSED, "may protect, so nobody gets in"],
    ["something new", { "wall.height": "9" }, CLOSED, "may protect, so nobody gets in"],
    [
      "two types in one",
      { compress: "true", "headers.framedeny": "true" },
      CLOSED,
      "it has several types, so nobody gets in",
    ],
  ])("%s", (_, middleware, expected, what) => {
    expect(settingsOf(using(HOST, middleware))).toEqual(expected);
    const warnings = warningsOf(using(HOST, middleware));
    expect(warnings).toEqual([expect.stringContaining(what)]);
    expect(warnings.join()).not.toMatch(/\$2y|apr1|secret/);
  });

  test.each(["authelia@docker", "guard@file", "missing"])("%s is not known", (name) => {
    const labels = { [`${ROUTER}.rule`]: HOST, [`${ROUTER}.middlewares`]: name };
    expect(settingsOf(labels)).toEqual(CLOSED);
    expect(warningsOf(labels)).toEqual([
      `traefik.http.routers.web.middlewares="${name}": no label of this container says what "${name}" is; as it may protect, nobody gets in; use gateway.auth and gateway.allow`,
    ]);
  });

  test("a chain that names itself ends", () => {
    expect(settingsOf(using(HOST, { "chain.middlewares": "m0,m0" }))).toEqual({});
  });

  test.each([
    [7, { compress: "true" }],
    [8, CLOSED],
    [3_000, CLOSED],
  ])("%i chains in each other", (count, expected) => {
    const chains = Array.from({ length: count }, (_, index) => ({
      "chain.middlewares": `m${index + 1}`,
    }));
    const all = using(HOST, ...chains, { compress: "true" });
    expect(settingsOf({ ...all, [`${ROUTER}.middlewares`]: "m0" })).toEqual(expected);
  });

  test("chains of chains do not grow without end", () => {
    const chains = Array.from({ length: 7 }, (_, index) => ({
      "chain.middlewares": Array(32)
        .fill(`m${index + 1}`)
        .join(),
    }));
    const labels = using(HOST, ...chains, { compress: "true" });
    const started = performance.now();
    expect(settingsOf(labels)).toEqual(CLOSED);
    expect(performance.now() - started).toBeLessThan(500);
  });
});

describe("limits", () => {
  test.each<[Texts, Texts]>([
    [{ "ratelimit.average": "100" }, { rate: "100/1s" }],
    [
      { "ratelimit.average": "100", "ratelimit.period": "1m", "ratelimit.burst": "50" },
      { rate: "100/1m", "rate.burst": "50" },
    ],
    [{ "ratelimit.average": "6", "ratelimit.period": "90" }, { rate: "6/90s" }],
    [{ "ratelimit.average": "6", "ratelimit.period": "500ms" }, { rate: "12/1s" }],
    [{ "ratelimit.average": "6", "ratelimit.period": "300ms" }, { rate: "24/1200ms" }],
    [{ "ratelimit.average": "0" }, {}],
    [
      { "buffering.maxrequestbodybytes": "2000000", "buffering.memrequestbodybytes": "1" },
      { body: "2000000" },
    ],
    [{ "buffering.maxrequestbodybytes": "0" }, {}],
    [{ compress: "true" }, { compress: "true" }],
    [{ compress: "false" }, {}],
  ])("%p", (middleware, expected) => {
    expect(settingsOf(using(HOST, middleware))).toEqual(expected);
    expect(warningsOf(using(HOST, middleware))).toEqual([]);
  });

  test.each<[Texts, Texts, string]>([
    [{ "ratelimit.average": "x" }, {}, NO_RATE],
    [{ "ratelimit.average": "1", "ratelimit.period": "x" }, {}, NO_RATE],
    [{ "ratelimit.average": "1", "ratelimit.period": "2h" }, {}, NO_RATE],
    [{ "ratelimit.average": "1000001" }, {}, NO_RATE],
    [
      { "ratelimit.average": "1", "ratelimit.burst": "x" },
      { rate: "1/1s" },
      "it is no number; use gateway.rate.burst",
    ],
    [
      { "ratelimit.average": "1", "ratelimit.sourcecriterion.requesthost": "true" },
      { rate: "1/1s" },
      "it is not known; use gateway.rate",
    ],
    [{ "buffering.maxrequestbodybytes": "x" }, {}, "it is no number of bytes; use gateway.body"],
    [{ "buffering.retryexpression": "x" }, {}, "it is not known; there is no label of ours for it"],
    [{ "compress.encodings": "br" }, { compress: "true" }, "it is not known; use gateway.compress"],
    [{ compress: "x" }, {}, "it is neither true nor false; use gateway.compress"],
    [{ "retry.attempts": "4" }, {}, "retry is not known; there is no label of ours for it"],
    [{ "inflightreq.amount": "4" }, {}, "inflightreq is not known; use gateway.maxconn"],
    [{ "errors.status": "404" }, {}, "errors is not known; use gateway.errors"],
  ])("%p is not understood", (middleware, expected, what) => {
    expect(settingsOf(using(HOST, middleware))).toEqual(expected);
    expect(warningsOf(using(HOST, middleware))).toEqual([expect.stringContaining(what)]);
  });
});

describe("headers", () => {
  test.each<[Texts, Texts]>([
    [
      { "headers.customRequestHeaders.X-Script-Name": "test" },
      { "headers.request.X-Script-Name": "test" },
    ],
    [{ "headers.customrequestheaders.X-Gone": "" }, { "headers.request.X-Gone": "" }],
    [
      { "headers.customResponseHeaders.X-A": 'a, b; c="d"' },
      { "headers.response.X-A": 'a, b; c="d"' },
    ],
    [
      {
        "headers.stsSeconds": "31536000",
        "headers.stsIncludeSubdomains": "true",
        "headers.stsPreload": "true",
        "headers.forceSTSHeader": "true",
      },
      { hsts: "1y, subdomains, preload" },
    ],
    [{ "headers.stsSeconds": "600" }, { hsts: "600s" }],
    // Our own label has no preload without a year.
    [
      { "headers.stsSeconds": "600", "headers.stsPreload": "true" },
      { "headers.response.Strict-Transport-Security": "max-age=600; preload" },
    ],
    [{ "headers.stsSeconds": "0" }, {}],
    [{ "headers.frameDeny": "true" }, { "headers.response.X-Frame-Options": "DENY" }],
    [{ "headers.frameDeny": "false" }, {}],
    [
      { "headers.customFrameOptionsValue": "SAMEORIGIN" },
      { "headers.response.X-Frame-Options": "SAMEORIGIN" },
    ],
    [
      { "headers.contentTypeNosniff": "true", "headers.browserXssFilter": "true" },
      {
        "headers.response.X-Content-Type-Options": "nosniff",
        "headers.response.X-XSS-Protection": "1; mode=block",
      },
    ],
    [
      { "headers.contentSecurityPolicy": "default-src 'self'", "headers.referrerPolicy": "origin" },
      {
        "headers.response.Content-Security-Policy": "default-src 'self'",
        "headers.response.Referrer-Policy": "origin",
      },
    ],
    [{ "headers.sslRedirect": "true" }, { redirect: "https", "redirect.code": "308" }],
    [
      { "headers.sslRedirect": "true", "headers.sslTemporaryRedirect": "true" },
      { redirect: "https", "redirect.code": "307" },
    ],
    [
      {
        "headers.accessControlAllowOriginList": "https://a.example.com, https://b.example.com",
        "headers.accessControlAllowMethods": "GET,PUT",
        "headers.accessControlAllowHeaders": "*",
        "headers.accessControlAllowCredentials": "true",
        "headers.accessControlMaxAge": "100",
        "headers.addVaryHeader": "true",
      },
      {
        cors: "https://a.example.com,https://b.example.com",
        "cors.methods": "GET,PUT",
        "cors.headers": "*",
        "cors.credentials": "true",
        "cors.maxage": "100s",
      },
    ],
    [{ "headers.accessControlMaxAge": "100" }, {}],
  ])("%p", (middleware, expected) => {
    expect(settingsOf(using(HOST, middleware))).toEqual(expected);
    expect(warningsOf(using(HOST, middleware))).toEqual([]);
  });

  test.each<[string, string, string]>([
    ["customRequestHeaders.X Y", "secret", "(its value is not shown)"],
    ["customRequestHeaders.Authorization", "secret\n", ""],
    ["customResponseHeaders.X", "secret\nSet-Cookie: x", "(its value is not shown)"],
    ["contentSecurityPolicy", "a\nb", "it is no value of one line; use gateway.headers.response"],
    ["frameDeny", "x", "it is neither true nor false; use gateway.headers.response"],
    ["stsSeconds", "x", "it is no number of seconds; use gateway.hsts"],
    ["accessControlAllowOriginListRegex", "x", "it is not known; use gateway.cors"],
    ["accessControlAllowOriginList", "", "it is no list of words; use gateway.cors"],
    ["accessControlMaxAge", "x", "it is no number of seconds; use gateway.cors"],
    [
      "isDevelopment",
      "true",
      "it is not known; use gateway.headers.request and gateway.headers.response",
    ],
  ])("%s=%p", (option, value, what) => {
    const labels = using(HOST, { [`headers.${option}`]: value });
    const warnings = warningsOf(labels);
    expect(warnings).toEqual(what === "" ? [] : [expect.stringContaining(what)]);
    expect(warnings.join()).not.toContain("secret");
    expect(JSON.stringify(labelsOf(labels))).not.toContain(String.raw`\n`);
  });
});
