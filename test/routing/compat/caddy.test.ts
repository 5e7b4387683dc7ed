// The labels of caddy-docker-proxy.

import { describe, expect, test } from "bun:test";
import { toServiceName } from "../../../src/routing/compat/vocabulary.ts";
import { BCRYPT, EVERYBODY, labelsOf, warningsOf, type Texts } from "./read.ts";

const SITE = { caddy: "a.example.com", "caddy.reverse_proxy": "{{upstreams 8080}}" };
const SERVED = {
  enable: "true",
  service: "a.example.com",
  host: "a.example.com",
  path: "/",
  port: "8080",
};

/** The labels of a site with these directives. */
function site(directives: Texts, base: Texts = SITE): Texts {
  const entries = Object.entries(directives).map(([name, value]) => [`caddy.${name}`, value]);
  return { ...base, ...Object.fromEntries(entries) };
}

/** A further route of the site. */
function further(name: string, labels: Texts): Texts {
  const all = { host: "a.example.com", ...labels };
  return Object.fromEntries(
    Object.entries(all).map(([label, value]) => [`route.a-example-com-${name}.${label}`, value]),
  );
}

describe("sites", () => {
  test.each<[string, Texts, Texts]>([
    ["a host", SITE, SERVED],
    [
      "several hosts, with a scheme and a port",
      { ...SITE, caddy: "a.example.com,http://b.example.com https://c.example.com:443" },
      { ...SERVED, host: "a.example.com,b.example.com,c.example.com" },
    ],
    [
      "any host",
      { ...SITE, caddy: ":80" },
      { enable: "true", service: "web", path: "/", port: "8080" },
    ],
    [
      "several sites",
      { ...SITE, caddy_1: "b.example.com", "caddy_1.reverse_proxy": "{{upstreams}}" },
      { ...SERVED, "route.b-example-com.host": "b.example.com", "route.b-example-com.path": "/" },
    ],
    ["a network", { ...SITE, caddy_ingress_network: "back" }, { ...SERVED, network: "back" }],
    ["a network alone", { caddy_ingress_network: "back" }, { network: "back" }],
    ["which Caddy is meant", { ...SITE, caddy_controlled_server: "" }, SERVED],
  ])("%s", (_, labels, expected) => {
    expect(labelsOf(labels)).toEqual(expected);
    expect(warningsOf(labels)).toEqual([]);
  });

  const all = "what Caddy would serve of it is not understood, so it is left out";

  test.each<[string, Texts, Texts, string[]]>([
    [
      "options of Caddy itself",
      { "caddy.email": "me@example.com" },
      {},
      [
        'caddy.email="me@example.com": it is an option of Caddy itself; there is no label of ours for it',
      ],
    ],
    [
      "a snippet",
      { caddy: "(secure)", "caddy.encode": "gzip" },
      { enable: "false" },
      ['caddy="(secure)": snippets are not known; there is no label of ours for it', all],
    ],
    [
      "a template",
      { ...SITE, caddy: "{{index .Names 0}}.example.com" },
      { enable: "false" },
      ['caddy="{{index .Names 0}}.example.com": its template is not known; use gateway.host', all],
    ],
    [
      "what is no host",
      { ...SITE, caddy: "{$DOMAIN} a.example.com" },
      SERVED,
      ['caddy="{$DOMAIN} a.example.com": "{$DOMAIN}" is no host name; use gateway.host'],
    ],
    [
      "another port",
      { ...SITE, caddy: "a.example.com:8443" },
      SERVED,
      [
        'caddy="a.example.com:8443": it is served on all that the gateway listens on; there is no label of ours for it',
      ],
    ],
    [
      "a network that is none",
      { ...SITE, caddy_ingress_network: "/" },
      SERVED,
      ['caddy_ingress_network="/": it is no name of a network; use gateway.network'],
    ],
  ])("%s", (_, labels, expected, warnings) => {
    expect(labelsOf(labels)).toEqual(expected);
    expect(warningsOf(labels)).toEqual(warnings);
  });
});

describe("reverse_proxy", () => {
  test.each<[string, Texts]>([
    ["{{upstreams}}", {}],
    ["{{ upstreams 80 }}", { port: "80" }],
    ["{{upstreams https}}", { scheme: "https" }],
    ["{{upstreams http 8080}}", { port: "8080" }],
    ["{{upstreams h2c 50051}}", { port: "50051", scheme: "h2c" }],
    ['{{upstreams "https" 443}}', { port: "443", scheme: "https" }],
    ["* {{upstreams 80}}", { port: "80" }],
    ['"{{upstreams 80}}"', { port: "80" }],
  ])("%s", (value, expected) => {
    const { port: _, ...served } = SERVED;
    const labels = { ...SITE, "caddy.reverse_proxy": value };
    expect(labelsOf(labels)).toEqual({ ...served, ...expected });
    expect(warningsOf(labels)).toEqual([]);
  });

  test.each([
    "localhost:8080",
    "{{upstreams 80}} {{upstreams 81}}",
    "{{upstreams 80}} other:80",
    "{{upstreams 99999}}",
    "{{upstreams .Port}}",
    "",
  ])("%p is not the container", (value) => {
    const labels = { ...SITE, "caddy.reverse_proxy": value };
    expect(labelsOf(labels)).toEqual({ enable: "false" });
    expect(warningsOf(labels)[0]).toContain(
      "only {{upstreams}} with a port is known, so it is left out; use gateway.port",
    );
  });

  test.each<[Texts, Texts]>([
    [{ to: "{{upstreams 80}}" }, { port: "80" }],
    [{ header_up: "X-A b" }, { port: "8080", "headers.request.X-A": "b" }],
    [{ header_up: "-X-A" }, { port: "8080", "headers.request.X-A": "" }],
    [{ header_down: "-Server" }, { port: "8080", "headers.response.Server": "" }],
    [{ lb_policy: "least_conn" }, { port: "8080", balance: "leastconn" }],
    [{ lb_policy: "header X-User" }, { port: "8080", balance: "hash:X-User" }],
    [{ lb_policy: "cookie" }, { port: "8080", sticky: "lb" }],
    [{ lb_policy: "cookie app" }, { port: "8080", sticky: "app" }],
    [
      { health_uri: "/health", health_interval: "5s", health_status: "200" },
      { port: "8080", check: "/health", "check.interval": "5s", "check.status": "200" },
    ],
    [{ health_interval: "5s" }, { port: "8080" }],
    [
      { transport: "http", "transport.tls": "" },
      { port: "8080", scheme: "https" },
    ],
    [
      { transport: "http", "transport.tls_insecure_skip_verify": "" },
      { port: "8080", scheme: "https", "https.verify": "false" },
    ],
    [
      { transport: "http", "transport.versions": "h2c" },
      { port: "8080", scheme: "h2c" },
    ],
    [
      {
        transport: "http",
        "transport.dial_timeout": "2s",
        "transport.response_header_timeout": "1m",
      },
      { port: "8080", "timeout.connect": "2s", timeout: "1m" },
    ],
    [{ flush_interval: "-1" }, { port: "8080" }],
  ])("%p", (options, expected) => {
    const { port: _, ...served } = SERVED;
    const own = Object.entries(options).map(([name, value]) => [`reverse_proxy.${name}`, value]);
    const to = options["to"] === undefined ? {} : { "caddy.reverse_proxy": "" };
    const labels = { ...site(Object.fromEntries(own)), ...to };
    expect(labelsOf(labels)).toEqual({ ...served, ...expected });
    expect(warningsOf(labels)).toEqual([]);
  });

  test.each<[string, string, string]>([
    ["header_up", "Host {upstream_hostport}", "(its value is not shown)"],
    ["header_up", "+X-A b", "(its value is not shown)"],
    ["header_up", "X-A {{.Name}}", "its template is not known"],
    ["lb_policy", "uri_hash", "it is not known; use gateway.balance and gateway.sticky"],
    ["health_uri", "x", "it is no path; use gateway.check"],
    ["health_interval", "x", "it is no duration; use gateway.check.interval"],
    ["health_status", "2xx", "it is no status; use gateway.check.status"],
    ["health_timeout", "1s", "it is not known; use gateway.check"],
    ["transport", "fastcgi", "only http is known; use gateway.scheme"],
    ["transport.proxy_protocol", "v2", "it is not known; use gateway.scheme"],
    ["transport.dial_timeout", "x", "it is no duration; use gateway.timeout.connect"],
    ["trusted_proxies", "private_ranges", "it is not known; there is no label of ours for it"],
  ])("%s %s is not understood", (name, value, what) => {
    const labels = site({ [`reverse_proxy.${name}`]: value });
    expect(labelsOf(labels)).toEqual(SERVED);
    expect(warningsOf(labels)).toEqual([expect.stringContaining(what)]);
  });

  test("PHP", () => {
    const base = { caddy: "a.example.com", "caddy.php_fastcgi": "{{upstreams 9000}}" };
    const { port: _, ...served } = SERVED;
    const php = { ...served, port: "9000", scheme: "fcgi" };
    const rooted = { ...base, "caddy.php_fastcgi.root": "/srv" };
    expect(labelsOf(rooted)).toEqual({ ...php, "fcgi.root": "/srv" });
    expect(warningsOf(rooted)).toEqual([]);
    expect(labelsOf(base)).toEqual(php);
    expect(warningsOf(base)).toEqual([
      'caddy.php_fastcgi="{{upstreams 9000}}": its block does not say the root; use gateway.fcgi.root',
    ]);
    const indexed = { ...rooted, "caddy.php_fastcgi.index": "app.php" };
    expect(labelsOf(indexed)).toEqual({ ...php, "fcgi.root": "/srv", "fcgi.index": "app.php" });
    expect(warningsOf(indexed)).toEqual([]);
    const without = { ...rooted, "caddy.php_fastcgi.index": "off" };
    expect(labelsOf(without)).toEqual({ ...php, "fcgi.root": "/srv" });
    expect(warningsOf(without)).toEqual([
      'caddy.php_fastcgi.index="off": it is no name of a script; use gateway.fcgi.index',
    ]);
  });
});

describe("paths", () => {
  const HOST = { caddy: "a.example.com" };
  const { port: _, ...served } = SERVED;
  const at = (path: string) => ({ ...served, service: toServiceName("a.example.com", path), path });

  test.each<[string, Texts, Texts]>([
    [
      "handle_path",
      { handle_path: "/x/*", "handle_path.0_reverse_proxy": "{{upstreams}}" },
      { ...at("/x"), strip: "true" },
    ],
    [
      "handle",
      { handle: "/x/*", "handle.reverse_proxy": "{{upstreams}}" },
      { ...at("/x"), strip: "false" },
    ],
    [
      "a path of the proxy",
      { reverse_proxy: "/x* {{upstreams}}" },
      { ...at("/x"), strip: "false" },
    ],
    [
      "several of them",
      {
        handle_0: "/x/*",
        "handle_0.reverse_proxy": "{{upstreams 1}}",
        handle_1: "",
        "handle_1.reverse_proxy": "{{upstreams 2}}",
      },
      { ...served, port: "2", ...further("x", { path: "/x", strip: "false", port: "1" }) },
    ],
    [
      "a named condition",
      { "@api.path": "/x/* /y/*", reverse_proxy: "@api {{upstreams}}" },
      { ...at("/x"), path: "/x,/y", strip: "false" },
    ],
    [
      "a named condition in one line",
      { "@api": "path /x/*", "route.reverse_proxy": "@api {{upstreams}}" },
      { ...at("/x"), strip: "false" },
    ],
    [
      "another prefix",
      {
        handle_path: "/x/*",
        "handle_path.0_rewrite": "* /z{uri}",
        "handle_path.1_reverse_proxy": "{{upstreams}}",
      },
      { ...at("/x"), rewrite: "/z" },
    ],
    [
      "a prefix for all",
      { rewrite: "* /z{path}", reverse_proxy: "{{upstreams}}" },
      { ...served, rewrite: "/z" },
    ],
    [
      "a prefix that is stripped",
      {
        route: "/x/y/*",
        "route.0_uri": "strip_prefix /x",
        "route.1_reverse_proxy": "{{upstreams}}",
      },
      { ...at("/x/y"), rewrite: "/y" },
    ],
    [
      "a path in a stripped one",
      { handle_path: "/x/*", "handle_path.reverse_proxy": "/y/* {{upstreams}}" },
      { ...at("/x/y"), rewrite: "/y" },
    ],
    [
      "the first of two for one path",
      { "0_reverse_proxy": "/x/* {{upstreams 1}}", "1_reverse_proxy": "/x/* {{upstreams 2}}" },
      { ...at("/x"), strip: "false", port: "1" },
    ],
  ])("%s", (_name, directives, expected) => {
    expect(labelsOf(site(directives, HOST))).toEqual(expected);
    expect(warningsOf(site(directives, HOST))).toEqual([]);
  });

  test.each<[string, Texts, string]>([
    ["a pattern inside", { reverse_proxy: "/x/*/y {{upstreams}}" }, "its condition is not known"],
    ["the path / alone", { reverse_proxy: "/ {{upstreams}}" }, "its condition is not known"],
    [
      "another condition",
      { "@a.method": "GET", reverse_proxy: "@a {{upstreams}}" },
      "its condition",
    ],
    ["no such condition", { reverse_proxy: "@b {{upstreams}}" }, "its condition is not known"],
    ["no prefix", { "handle_path.reverse_proxy": "{{upstreams}}" }, "it has no path prefix"],
  ])("%s is left out", (_name, directives, what) => {
    expect(labelsOf(site(directives, HOST))).toEqual({ enable: "false" });
    expect(warningsOf(site(directives, HOST))[0]).toContain(what);
  });

  test.each<[Texts, string]>([
    [{ reverse_proxy: "/x {{upstreams}}" }, "all below its path is served too; use gateway.path"],
    [
      { reverse_proxy: "/x/* {{upstreams}}", rewrite: "* /index.php" },
      "only a prefix before {uri} or {path} is known; use gateway.rewrite",
    ],
    [
      { reverse_proxy: "/x/* {{upstreams}}", uri: "strip_suffix /y" },
      "only strip_prefix of the path of its block is known; use gateway.rewrite",
    ],
  ])("%p is served with a warning", (directives, what) => {
    expect(labelsOf(site(directives, HOST))).toEqual({ ...at("/x"), strip: "false" });
    expect(warningsOf(site(directives, HOST))).toEqual([expect.stringContaining(what)]);
  });
});

describe("settings", () => {
  test.each<[string, Texts, Texts]>([
    ["compression", { encode: "zstd gzip" }, { compress: "true" }],
    ["compression by default", { encode: "" }, { compress: "true" }],
    ["a header", { header: "X-A b" }, { "headers.response.X-A": "b" }],
    [
      "headers",
      { "header.X-A": '"b c"', "header.-Server": "", "header.defer": "" },
      { "headers.response.X-A": "b c", "headers.response.Server": "" },
    ],
    ["a header of requests", { request_header: "X-A b" }, { "headers.request.X-A": "b" }],
    ["the size of a body", { "request_body.max_size": "10MB" }, { body: "10000000" }],
    ["users", { "basic_auth.bob": BCRYPT }, { auth: `bob:${BCRYPT}`, "auth.forward": "true" }],
    [
      "users by the former name",
      { basicauth: "bcrypt", [String.raw`basicauth.b\.ob`]: BCRYPT },
      { auth: `b.ob:${BCRYPT}`, "auth.forward": "true" },
    ],
    [
      "users of a part",
      { basic_auth: "/admin/*", "basic_auth.bob": BCRYPT },
      further("admin", {
        path: "/admin",
        strip: "false",
        port: "8080",
        auth: `bob:${BCRYPT}`,
        "auth.forward": "true",
      }),
    ],
  ])("%s", (_, directives, expected) => {
    expect(labelsOf(site(directives))).toEqual({ ...SERVED, ...expected });
    expect(warningsOf(site(directives))).toEqual([]);
  });

  test("those of a site are for all of its blocks, and those of a block for it alone", () => {
    const directives = {
      encode: "gzip",
      handle_path: "/x/*",
      "handle_path.reverse_proxy": "{{upstreams 1}}",
      "handle_path.basic_auth.bob": BCRYPT,
      "handle_path.header": "/y/* X-A b",
    };
    const auth = { auth: `bob:${BCRYPT}`, "auth.forward": "true", compress: "true", port: "1" };
    expect(labelsOf(site(directives))).toEqual({
      ...SERVED,
      compress: "true",
      ...further("x", { path: "/x", strip: "true", ...auth }),
      ...further("x-y", { path: "/x/y", rewrite: "/y", ...auth, "headers.response.X-A": "b" }),
    });
  });

  test.each<[string, string, Texts]>([
    ["https://www.example.com{uri}", "302", { redirect: "www.example.com" }],
    ["https://www.example.com{uri} permanent", "301", { redirect: "www.example.com" }],
    ["http://www.example.com{uri} 308", "308", { redirect: "www.example.com" }],
    ["* https://{host}{uri} permanent", "301", { redirect: "https" }],
  ])("redir %s", (value, code, expected) => {
    const labels = { caddy: "a.example.com", "caddy.redir": value };
    const { port: _, ...served } = SERVED;
    expect(labelsOf(labels)).toEqual({ ...served, ...expected, "redirect.code": code });
    expect(warningsOf(labels)).toEqual([]);
  });

  test.each(["/old /new", "https://b.example.com", "https://b.example.com{uri} html", "{$X}{uri}"])(
    "redir %s is not understood",
    (value) => {
      expect(labelsOf(site({ redir: value }))).toEqual(SERVED);
      expect(warningsOf(site({ redir: value }))).toEqual([
        expect.stringContaining("only another host with {uri} is known, so it is left out"),
      ]);
    },
  );

  test.each<[string, string, string]>([
    ["tls", "internal", "certificates are said for the whole gateway"],
    ["log", "", "it is not known"],
    ["encode", "br", "only gzip is known; use gateway.compress"],
    ["encode", "@x gzip", "its condition or its template is not known; use gateway.compress"],
    ["header", "X-A {{.Name}}", "its condition or its template is not known"],
    ["header", "?X-A b", "(its value is not shown)"],
    ["header", "X-A {http.request.host}", "(its value is not shown)"],
    ["request_body.max_size", "much", "it is no size; use gateway.body"],
  ])("%s %s is not understood, and all is served", (name, value, what) => {
    expect(labelsOf(site({ [name]: value }))).toEqual(SERVED);
    expect(warningsOf(site({ [name]: value }))).toEqual([expect.stringContaining(what)]);
  });
});

describe("what protects and is not understood lets nobody in", () => {
  test.each<[string, Texts]>([
    ["another hash", { basic_auth: "argon2id", "basic_auth.bob": "$argon2id$x" }],
    ["no user", { basic_auth: "" }],
    ["a condition", { basic_auth: "@x", "basic_auth.bob": BCRYPT }],
    ["a template", { basic_auth: "{{.Name}}", "basic_auth.bob": BCRYPT }],
    ["another server that asks", { forward_auth: "auth:9091", "forward_auth.uri": "/x" }],
    ["a snippet", { import: "secure" }],
    ["a refusal", { "@blocked.not.remote_ip": "10.0.0.0/8", abort: "@blocked" }],
    ["certificates of clients", { "tls.client_auth.mode": "require_and_verify" }],
    ["a plugin", { "1_authorize": "with policy" }],
  ])("%s", (_, directives) => {
    expect(labelsOf(site(directives))).toEqual({ ...SERVED, deny: EVERYBODY });
    const warnings = warningsOf(site(directives));
    expect(warnings).toContainEqual(
      expect.stringContaining(
        "it is not known and may protect, so nobody gets in; use gateway.auth",
      ),
    );
    expect(warnings.join()).not.toMatch(/argon2id\$|\$2y/);
  });

  test("a user with another hash cannot get in, and others can", () => {
    const labels = site({ "basic_auth.bob": BCRYPT, "basic_auth.al": "plain" });
    expect(labelsOf(labels)).toMatchObject({ auth: `bob:${BCRYPT}` });
    expect(warningsOf(labels)).toEqual([
      "caddy.basic_auth.al (its value is not shown): the user cannot get in: only bcrypt with a cost of up to 12 is known; use gateway.auth",
    ]);
  });

  test("an answer of Caddy's own", () => {
    expect(labelsOf(site({ respond: "/admin/* 403" }))).toEqual({
      ...SERVED,
      ...further("admin", { path: "/admin", strip: "false", port: "8080", deny: EVERYBODY }),
    });
  });

  test("a block whose condition is not known, beside one for all", () => {
    const labels = site({
      "@admin.path_regexp": "^/admin",
      handle: "@admin",
      "handle.basic_auth.bob": BCRYPT,
      "handle.reverse_proxy": "{{upstreams}}",
    });
    expect(labelsOf(labels)).toEqual({ ...SERVED, deny: EVERYBODY });
    const open = { ...labels, "caddy.handle.basic_auth.bob": undefined };
    const { "caddy.handle.basic_auth.bob": _, ...rest } = open;
    expect(labelsOf(rest)).toEqual(SERVED);
  });

  test("what a condition that is not known sends elsewhere", () => {
    const labels = site({
      "@out.not.remote_ip": "10.0.0.0/8",
      redir: "@out https://b.example.com{uri}",
    });
    expect(labelsOf(labels)).toEqual({ ...SERVED, deny: EVERYBODY });
  });

  test("another server that is asked first", () => {
    const labels = site(
      {
        "0_reverse_proxy": "auth:9091",
        "0_reverse_proxy.handle_response": "@good",
        "1_reverse_proxy": "{{upstreams 8080}}",
      },
      { caddy: "a.example.com" },
    );
    expect(labelsOf(labels)).toEqual({ ...SERVED, deny: EVERYBODY });
    const { "caddy.0_reverse_proxy.handle_response": _, ...rest } = labels;
    expect(labelsOf(rest)).toEqual(SERVED);
  });

  test("too many routes", () => {
    const many = Array.from({ length: 300 }, (_, index) => [
      `header_${index}`,
      `/${index}/* X-A b`,
    ]);
    expect(labelsOf(site(Object.fromEntries(many)))).toEqual({
      enable: "true",
      service: "a.example.com",
      host: "a.example.com",
      path: "/",
      deny: EVERYBODY,
    });
  });
});
