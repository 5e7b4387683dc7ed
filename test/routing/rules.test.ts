// The rules of routes: which labels they come from, what a wrong value costs, and whose count.

import { describe, expect, test } from "bun:test";
import { explainContainer } from "../../src/api/explain/container.ts";
import { explainUrl } from "../../src/api/explain/url.ts";
import { NO_RULES, type Container } from "../../src/model.ts";
import { readLabels } from "../../src/routing/labels.ts";
import { route } from "../../src/routing/routing.ts";
import { container, HOST, ROUTING, snapshot } from "../lab/make.ts";
import { labels as prefixed } from "../lab/labels.ts";

/** The rules that labels give. */
function read(labels: Record<string, string>) {
  const found = readLabels(prefixed(labels));
  if ("reason" in found) throw new Error(found.reason);
  return { ...found.route.rules, warnings: found.warnings };
}

function model(...containers: readonly Container[]) {
  return route(snapshot(containers), HOST, ROUTING);
}

const NETWORK = "is not an address or a network, such as 10.0.0.0/8 or fd00::/8";
const HASH =
  "is not a user with a hash that HAProxy can check, such as bob:$2y$10$... (bcrypt with a cost of 4 to 12, SHA-512 or SHA-256)";
const BCRYPT = `$2y$10$${"a".repeat(53)}`;
const SHA512 = `$6$salt$${"a".repeat(86)}`;
const CLOSED = "the route answers 503 until it is right";

test.each([
  ["allow", "10.1.2.3/8 FD00::/8", "10.0.0.0/8,fd00::/8"],
  ["deny", "10.0.0.1,10.0.0.1/32", "10.0.0.1/32"],
  ["auth", `bob:${BCRYPT}`, `bob:${BCRYPT}`],
  ["auth", `bob:${BCRYPT} eve@x.org:${SHA512}`, `bob:${BCRYPT},eve@x.org:${SHA512}`],
  ["auth", `bob:${SHA512}`.replaceAll("$", "$$$$"), `bob:${SHA512}`],
  ["auth", `b:$5$rounds=9999$s$${"a".repeat(43)}`, `b:$5$rounds=9999$s$${"a".repeat(43)}`],
  ["rate", "100/1m", "100/1m"],
  ["rate", "5/60s", "5/1m"],
  ["rate", "1000000/1h", "1000000/1h"],
  ["body", "0", "0"],
  ["body", "2000000", "2000000"],
  ["body", "10m", "10485760"],
  ["body", "10KB", "10240"],
  ["cors", "https://A.org/ http://localhost:3000", "https://a.org,http://localhost:3000"],
  ["cors", "https://a.org,*", "*"],
  ["redirect", "HTTPS", "https"],
  ["redirect", "Shop.example.com.", "shop.example.com"],
  ["redirect", "https://shop.example.com", "https://shop.example.com"],
  ["headers.request.x-user", "a, b: c", "a, b: c"],
  ["headers.response.server", "", ""],
  ["headers.response.x_y", ' "x" ', '"x"'],
])("%s=%j is %j", (name, text, value) => {
  expect(read({ [name]: text })).toEqual({
    values: { [name]: value },
    closed: "",
    prefix: "gateway.",
    warnings: [],
  });
});

test.each([
  ["allow", "x", `label gateway.allow="x" ${NETWORK}: ${CLOSED}`],
  ["allow", "", `label gateway.allow="" ${NETWORK}: ${CLOSED}`],
  ["deny", "10.0.0.0/8,x", `label gateway.deny="10.0.0.0/8,x": "x" ${NETWORK}: ${CLOSED}`],
  // No password ends up in the log.
  ["auth", "bob:secret", `label gateway.auth="bob:..." ${HASH}: ${CLOSED}`],
  ["auth", "secret", `label gateway.auth="..." ${HASH}: ${CLOSED}`],
  [
    "auth",
    `bob:${BCRYPT},eve:secret`,
    `label gateway.auth="bob:...,eve:...": "eve:..." ${HASH}: ${CLOSED}`,
  ],
  ["auth", "bob:$apr1$x$y", `label gateway.auth="bob:..." ${HASH}: ${CLOSED}`],
  ["auth", `bob:${BCRYPT.replace("10", "13")}`, `label gateway.auth="bob:..." ${HASH}: ${CLOSED}`],
  ["auth", `b|b:${BCRYPT}`, `label gateway.auth="b|b:..." ${HASH}: ${CLOSED}`],
])("%s=%j closes the route", (name, text, warning) => {
  const { closed, warnings } = read({ [name]: text });
  expect({ closed, warnings }).toEqual({ closed: name, warnings: [warning] });
});

test.each([
  [
    "auth.forward",
    "true",
    "label gateway.auth.forward counts for nothing without label gateway.auth",
  ],
  ["auth.forward", "x", 'label gateway.auth.forward="x" is not true or false'],
  [
    "redirect.code",
    "301",
    "label gateway.redirect.code counts for nothing without label gateway.redirect",
  ],
  ["rate.burst", "5", "label gateway.rate.burst counts for nothing without label gateway.rate"],
  ["rate.burst", "0", 'label gateway.rate.burst="0" is not a number of requests (1 to 1000000)'],
  ...["", "0/1s", "5", "5/1d", "5/500ms", "1000001/1s", "-1/1s", "5/1m/1m", "1e3/1s"].map(
    (text) => [
      "rate",
      text,
      `label gateway.rate="${text}" is not a number of requests in a time of 1s to 1h, such as 100/1m`,
    ],
  ),
  [
    "body.unknown",
    "allow",
    "label gateway.body.unknown counts for nothing without label gateway.body",
  ],
  ["body.unknown", "true", 'label gateway.body.unknown="true" is not allow'],
  ...["", "-1", "1.5m", "10t", "10 m", "999999999999999g"].map((text) => [
    "body",
    text,
    `label gateway.body="${text}" is not a size, such as 10m (k, m and g are 1024, 1024² and so on)`,
  ]),
  ["cors.maxage", "1h", "label gateway.cors.maxage counts for nothing without label gateway.cors"],
  ["cors.maxage", "2d", 'label gateway.cors.maxage="2d" is not a time, such as 1h (up to 1d)'],
  ["cors.methods", "P|T", 'label gateway.cors.methods="P|T" is not a method, such as PUT'],
  [
    "cors.headers",
    "a:b",
    'label gateway.cors.headers="a:b" is not the name of a header, such as X-User',
  ],
  ...["", "a.org", "https://", "https://*.a.org", "https://a.org/x", "null", "ftp://a.org"].map(
    (text) => [
      "cors",
      text,
      `label gateway.cors="${text}" is not an origin, such as https://shop.example.com, or * for all`,
    ],
  ),
  ["redirect.code", "303", 'label gateway.redirect.code="303" is not 301, 302, 307 or 308'],
  ...["", "http", "*.a.org", "a.org:80", "a.org/x", "http://a.org", "https://", "%[src]"]
    .concat(["true", "false", "on", "off", "yes", "no", "1", "0"])
    .map((text) => [
      "redirect",
      text,
      `label gateway.redirect="${text}" is not https, a host name such as shop.example.com, both as https://shop.example.com, or none`,
    ]),
  ...["", "1", "11y", "-1d", "1y, all", "1y, preload", "30d, subdomains, preload"].map((text) => [
    "hsts",
    text,
    `label gateway.hsts="${text}" is not a time such as 1y or 30d, perhaps with subdomains and preload as in 1y, subdomains, preload`,
  ]),
  [
    "headers.request.X-A",
    "é",
    'label gateway.headers.request.x-a="é" is not a text of up to 2000 printable ASCII characters',
  ],
  ...["Host", "content-LENGTH", "Connection", "Upgrade", "te"].map((name) => [
    `headers.request.${name}`,
    "x",
    `label gateway.headers.request.${name} counts for nothing: it is about a header that is the gateway's own`,
  ]),
  [
    "headers.response.Transfer-Encoding",
    "x",
    "label gateway.headers.response.Transfer-Encoding counts for nothing: it is about a header that is the gateway's own",
  ],
  [
    "headers.response.x y",
    "x",
    'label "gateway.headers.response.x y" counts for nothing: it is about a header that has no name of letters, digits, hyphens and underscores',
  ],
  ["headers.x", "x", "label gateway.headers.x is unknown"],
  ["headers.request.", "x", "label gateway.headers.request. is unknown"],
])("%s=%j alone is none", (name, text, warning) => {
  const { values, closed, warnings } = read({ [name]: text });
  const told = [
    warning.includes(" is not ") ? `${warning}: the label counts for nothing` : warning,
  ];
  expect({ values, closed, warnings }).toEqual({ values: {}, closed: "", warnings: told });
});

test("without labels there are none, and a backend has them only if it needs them", () => {
  const plain = container("plain", { image: "plain" });
  const own = container("own", { image: "own", labels: prefixed({ allow: "10.0.0.0/8" }) });
  const slow = prefixed({ allow: "10.0.0.0/8", timeout: "5s" });
  const both = container("both", { image: "both", labels: slow });
  const { services } = model(plain, own, both);
  expect(services.map(({ name, profile }) => [name, profile])).toEqual([
    ["both", "_rules_timeout:5s"],
    ["own", "_rules"],
    ["plain", "_backend"],
  ]);
  expect(services.at(-1)?.routes[0]?.rules).toBe(NO_RULES);
});

test("a further route takes none from its container", () => {
  const labels = prefixed({ allow: "10.0.0.0/8", "route.a.path": "/a", "route.b.path": "/b" });
  const { services } = model(
    container("c", { labels: { ...labels, "gateway.route.b.deny": "10.0.0.1" } }),
  );
  const found = services.flatMap(({ routes }) => routes.map(({ path, rules }) => [path, rules]));
  expect(found).toEqual([
    ["/foo/bar", { values: { allow: "10.0.0.0/8" }, closed: "", prefix: "gateway." }],
    ["/a", NO_RULES],
    ["/b", { values: { deny: "10.0.0.1/32" }, closed: "", prefix: "gateway.route.b." }],
  ]);
});

test("of two containers of a service the oldest decides", () => {
  const old = container("old", { created: 1, labels: prefixed({ allow: "10.0.0.0/8" }) });
  const same = container("same", { created: 2, labels: prefixed({ allow: "10.1.1.1/8" }) });
  expect(model(old, same).warnings).toEqual([]);
  const other = container("other", { created: 3, labels: prefixed({ deny: "10.0.0.1" }) });
  const { services, warnings } = model(old, same, other);
  expect(services[0]?.routes[0]?.rules.values).toEqual({ allow: "10.0.0.0/8" });
  expect(warnings).toEqual([
    "containers old and other share /foo/bar and differ in label gateway.allow and label " +
      "gateway.deny: old is the oldest, so the route is served with allow=10.0.0.0/8 and without deny",
  ]);
  const wrong = container("wrong", { created: 4, labels: prefixed({ allow: "x" }) });
  expect(model(old, wrong).warnings).toEqual([
    `container wrong: label gateway.allow="x" ${NETWORK}: ${CLOSED}`,
    "containers old and wrong share /foo/bar and differ in label gateway.allow: " +
      "old is the oldest, so the route is served with allow=10.0.0.0/8",
  ]);
});

test("cors and what belongs to it", () => {
  const labels = { cors: "https://a.org", "cors.methods": "put,get", "cors.headers": "X-A" };
  expect(read({ ...labels, "cors.credentials": "yes", "cors.maxage": "1m" }).values).toEqual({
    cors: "https://a.org",
    "cors.methods": "PUT,GET",
    "cors.headers": "x-a",
    "cors.credentials": "true",
    "cors.maxage": "60",
  });
  const all = read({ cors: "*", "cors.credentials": "true" });
  expect(all.values).toEqual({ cors: "*" });
  expect(all.warnings).toEqual([
    "label gateway.cors.credentials counts for nothing with label gateway.cors=*",
  ]);
});

test("of headers there are 32 in each direction", () => {
  const names = Array.from({ length: 40 }, (_, at) => `headers.request.x-${at + 10}`);
  const { values, warnings } = read(Object.fromEntries(names.map((name) => [name, "1"])));
  expect([Object.keys(values).length, warnings.length]).toEqual([32, 8]);
  expect(warnings[0]).toBe(
    "label gateway.headers.request.x-42 counts for nothing: it is about a header that comes after 32 others",
  );
});

test("nobody is told a hash", () => {
  const one = container("one", { created: 1, labels: prefixed({ auth: `bob:${BCRYPT}` }) });
  const two = container("two", { created: 2, labels: prefixed({ auth: `bob:${SHA512}` }) });
  const found = model(one, two);
  expect(found.warnings).toEqual([
    "containers one and two share /foo/bar and differ in label gateway.auth: " +
      "one is the oldest, so the route is served with auth=bob:...",
  ]);
  const lines = explainContainer(one, snapshot([one]), HOST, ROUTING, found);
  expect(lines).toContainEqual({ about: "setting", text: "auth=bob:..., from label gateway.auth" });
});

test("explain tells them with the labels that they come from", () => {
  const labels = { allow: "10.0.0.0/8", "route.a.path": "/a", "route.a.deny": "x" };
  const one = container("one", { labels: prefixed(labels) });
  const found = model(one);
  const lines = explainContainer(one, snapshot([one]), HOST, ROUTING, found);
  expect(lines.filter(({ about }) => about === "setting").map(({ text }) => text)).toEqual([
    "allow=10.0.0.0/8, from label gateway.allow",
    "deny=(none: answered 503), from label gateway.route.a.deny",
  ]);
  const seen = { routes: [], servers: [], oddities: [] };
  expect(explainUrl("/foo/bar/x", found, seen, "gateway.")).toContainEqual({
    about: "setting",
    text: "allow=10.0.0.0/8, from label gateway.allow",
  });
  expect(explainUrl("/a/x", found, seen, "gateway.").at(-1)).toEqual({
    about: "answer",
    text: "503: label gateway.route.a.deny keeps somebody out and is not right, so nobody comes in",
  });
});

test("explain tells of a route that nobody may use, and of one that leads elsewhere", () => {
  const labels = { auth: "bob:secret", "route.a.path": "/a", "route.a.redirect": "b.example.com" };
  const one = container("one", { labels: prefixed(labels) });
  const found = model(one);
  const lines = explainContainer(one, snapshot([one]), HOST, ROUTING, found);
  const why = "503: label gateway.auth keeps somebody out and is not right, so nobody comes in";
  expect(lines).toContainEqual({ about: "answer", text: why });
  expect(lines).toContainEqual({
    about: "setting",
    text: "auth=(none: answered 503), from label gateway.auth",
  });
  const seen = { routes: [], servers: [], oddities: [] };
  expect(explainUrl("/a/x", found, seen, "gateway.")).toContainEqual({
    about: "answer",
    text: "307, to b.example.com (label gateway.route.a.redirect); what is asked for there goes on:",
  });
});

test("explain tells what a container's check asks for", () => {
  for (const [own, text] of [
    [{ check: "/up" }, "GET /up is answered 200-399"],
    [{ check: "/up", "check.status": "204" }, "GET /up is answered 204"],
    [{}, "its port answers"],
  ] as const) {
    const one = container("one", { labels: prefixed(own) });
    const lines = explainContainer(one, snapshot([one]), HOST, ROUTING, model(one));
    expect(lines).toContainEqual({
      about: "health",
      text: `no HEALTHCHECK: it gets requests while ${text}`,
    });
  }
});

/** What is told of a container with labels that are given without their prefix. */
function toldOf(labels: Record<string, string>): readonly string[] {
  const all = Object.entries(labels).map(([key, text]) => [`gateway.${key}`, text]);
  return model(container("web", { labels: Object.fromEntries(all) })).warnings;
}

describe("a further route without the password of its container's own", () => {
  const api = { "route.api.path": "/api" };
  const own = { auth: `bob:${BCRYPT}` };
  test("is open to all, which is told", () => {
    expect(toldOf({ ...own, ...api })).toEqual([
      "container web: label gateway.auth is not for route api, which is open to all " +
        "unless label gateway.route.api.auth asks for a password there, too",
    ]);
  });

  test.each([
    ["it has one of its own", { ...own, ...api, "route.api.auth": `eve:${BCRYPT}` }],
    ["it has a file of its own", { ...own, ...api, "route.api.auth.file": "/srv/users" }],
    ["nobody asks for one", { ...api }],
    ["only it asks for one", { ...api, "route.api.auth": `bob:${BCRYPT}` }],
  ])("nothing is told where %s", (_, labels) => {
    expect(toldOf(labels)).toEqual([]);
  });
});
