// Which of the other proxies' labels are read, and that our own ones win.

import { describe, expect, test } from "bun:test";
import {
  mergeLabels,
  ownLabels,
  PEERS,
  translate,
  withOwnLabels,
  type Compat,
} from "../../../src/routing/compat/compat.ts";
import { isInVocabulary, toServiceName } from "../../../src/routing/compat/vocabulary.ts";
import { readIntent as read, type Intent, type Refusal } from "../../../src/routing/intent.ts";
import type { Container } from "../../../src/model.ts";
import { container, ROUTING } from "../../lab/make.ts";
import { BCRYPT, EVERYBODY } from "./read.ts";

const TRAEFIK = { "traefik.http.routers.web.rule": "Host(`t.example.com`)" };
const CADDY = { caddy: "c.example.com", "caddy.reverse_proxy": "{{upstreams 80}}" };
const NGINX_PROXY = { VIRTUAL_HOST: "n.example.com" };
const ALL = { name: "web", labels: { ...TRAEFIK, ...CADDY }, environment: NGINX_PROXY };

describe("--compat", () => {
  test.each<[Compat, string | undefined]>([
    ["none", undefined],
    ["nginx-proxy", "n.example.com"],
    ["traefik", "t.example.com"],
    ["caddy", "c.example.com"],
    ["all", "t.example.com"],
    [["caddy", "nginx-proxy"], "c.example.com"],
    [["nginx-proxy", "traefik"], "t.example.com"],
    [[], undefined],
  ])("%p", (compat, host) => {
    expect(translate(ALL, compat)?.labels["host"]).toBe(host);
  });

  test("every proxy is tried above", () => {
    expect([...PEERS]).toEqual(["nginx-proxy", "traefik", "caddy"]);
  });

  test("of several proxies one counts, and a warning tells of the others", () => {
    expect(translate(ALL, "all")?.from).toBe("traefik");
    expect(translate(ALL, "all")?.warnings).toEqual([
      "it has labels or variables for traefik and for caddy, and those for caddy are not read; --compat says which are",
      "it has labels or variables for traefik and for nginx-proxy, and those for nginx-proxy are not read; --compat says which are",
    ]);
    expect(translate(ALL, "caddy")?.warnings).toEqual([]);
    const rest = { ...ALL, labels: CADDY };
    expect(translate(rest, "all")?.labels["host"]).toBe("c.example.com");
  });

  test.each([
    [{}, {}],
    [{ "gateway.port": "80", "com.example.x": "y", traefik: "x", "traefikx.a": "b" }, {}],
    [{ caddyshack: "x", caddy_x: "y", caddy_controlled_server: "" }, {}],
    [{}, { VIRTUAL_PORT: "80", HTTPS_METHOD: "redirect", NETWORK_ACCESS: "internal" }],
    [{}, { VIRTUAL_HOST: "" }],
  ])("%p with the variables %p has none of them", (labels, environment) => {
    expect(translate({ name: "web", labels, environment }, "all")).toBeUndefined();
  });
});

describe("our own labels", () => {
  test("are those with the prefix", () => {
    const labels = {
      "gateway.port": "80",
      "gateway.route.a.host": "x",
      gatewayport: "1",
      ...CADDY,
    };
    expect(ownLabels(labels)).toEqual({ port: "80", "route.a.host": "x" });
    expect(ownLabels({ "gw/port": "80", "gateway.port": "81" }, "gw/")).toEqual({ port: "80" });
  });

  test.each<[string, Record<string, string>, Record<string, string>, Record<string, string>]>([
    [
      "win label by label",
      { host: "a", port: "80", "route.x.host": "b" },
      { port: "81", "route.x.path": "/y" },
      { host: "a", port: "81", "route.x.host": "b", "route.x.path": "/y" },
    ],
    [
      "win with an empty value",
      { "headers.request.X": "y" },
      { "headers.request.X": "" },
      { "headers.request.X": "" },
    ],
    ["say that it is served", { enable: "false" }, { enable: "true" }, { enable: "true" }],
    ["say that it is not served", { enable: "true" }, { enable: "false" }, { enable: "false" }],
    ["with a host it is served", { enable: "false" }, { host: "a" }, { host: "a" }],
    [
      "with a route it is served",
      { enable: "false" },
      { "route.x.path": "/y" },
      { "route.x.path": "/y" },
    ],
    [
      "with a port alone it is not",
      { enable: "false" },
      { port: "80" },
      { enable: "false", port: "80" },
    ],
    [
      "with a host, what protects is still closed",
      { enable: "false", deny: EVERYBODY },
      { host: "a" },
      { host: "a", deny: EVERYBODY },
    ],
    ["what protects opens what was closed", { deny: EVERYBODY }, { auth: "x" }, { auth: "x" }],
    [
      "but only of its own route",
      { deny: EVERYBODY, "route.x.deny": EVERYBODY, "route.y.deny": EVERYBODY },
      { allow: "10.0.0.0/8", "route.x.auth": "a" },
      { allow: "10.0.0.0/8", "route.x.auth": "a", "route.y.deny": EVERYBODY },
    ],
    [
      "a list of networks stays",
      { deny: "10.0.0.0/8" },
      { allow: "192.0.2.0/24" },
      { allow: "192.0.2.0/24", deny: "10.0.0.0/8" },
    ],
  ])("%s", (_, translated, own, expected) => {
    expect(withOwnLabels(translated, own)).toEqual(expected);
  });
});

test("all labels of a container, with the translated ones", () => {
  const labels = { "gateway.port": "80", other: "x" };
  expect(mergeLabels(labels, { port: "81", host: "a" })).toEqual({
    "gateway.port": "80",
    "gateway.host": "a",
    other: "x",
  });
  expect(mergeLabels({ "gw.port": "80" }, { port: "81" }, "gw.")).toEqual({ "gw.port": "80" });
});

describe("the vocabulary", () => {
  test.each([
    ["host", true],
    ["route.a-1.host", true],
    ["headers.request.X-A", true],
    ["route.a.headers.response.X-A", true],
    ["enable", true],
    ["route.a.enable", false],
    ["headers.request.", false],
    ["hosts", false],
    ["route..host", false],
    ["route.A.host", false],
    ["constructor", false],
  ])("%s: %p", (label, expected) => {
    expect(isInVocabulary(label)).toBe(expected);
  });

  test.each([
    [["a.example.com", "/"], "a.example.com"],
    [["A.example.com"], "a.example.com"],
    [["web"], "web"],
    [["a.example.com", "/x/y"], "a.example.com-x-y-71172270"],
    [["a.example.com", "/x-y"], "a.example.com-x-y-7512ab8e"],
    [["*.example.com"], "example.com-459e0f6a"],
    [["my_app"], "my-app-f8559637"],
    [["-web-"], "web-b8e55ea9"],
    [["a b\n*"], "a-b-96517ae6"],
    [["*"], "2f0c9f3d"],
    [[""], "811c9dc5"],
    [["x".repeat(63)], "x".repeat(63)],
    [["x".repeat(64)], `${"x".repeat(54)}-d19b1ac5`],
  ])("the service of %p is %s", (parts, expected) => {
    const name = toServiceName(...parts);
    expect(name).toBe(expected);
    expect(name).toMatch(/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/);
  });
});

function readIntent(of: Container, compat: Compat = "all"): Intent | Refusal {
  return read(of, { ...ROUTING, compat });
}

describe("as readers of what a container asks for", () => {
  const port = { "traefik.http.services.web.loadbalancer.server.port": "8080" };

  test("a translated label counts, and ours before it", () => {
    const web = container("web", { labels: { ...TRAEFIK, ...port } });
    expect(readIntent(web, "all")).toMatchObject({ port: { value: 8080 } });
    expect(readIntent(web, "caddy")).toMatchObject({ port: undefined });
    expect(readIntent(web, "none")).toMatchObject({ port: undefined });
    const own = container("web", { labels: { ...web.labels, "gateway.port": "81" } });
    expect(readIntent(own, "all")).toMatchObject({ port: { value: 81 } });
    const plain = container("web", { labels: { "gateway.port": "82" } });
    expect(readIntent(plain, "all")).toEqual(readIntent(plain));
  });

  test("the warnings are told", () => {
    const web = container("web", { labels: { ...TRAEFIK, "traefik.tags": "x" } });
    const warning =
      'container web: traefik.tags="x": it is not known; there is no label of ours for it';
    expect(readIntent(web, "all")).toMatchObject({
      warnings: expect.arrayContaining([warning]) as unknown,
    });
  });

  test.each([
    ["traefik.http.middlewares.m.ipallowlist.sourcerange", "10.0.0.0/8", "allow", "10.0.0.0/8"],
    ["traefik.http.middlewares.m.basicauth.users", `bob:${BCRYPT}`, "auth", `bob:${BCRYPT}`],
    ["traefik.http.middlewares.m.forwardauth.address", "http://x", "deny", EVERYBODY],
  ])("what %s protects is served with it", (label, value, ours, rule) => {
    const using = { "traefik.http.routers.web.middlewares": "m", [label]: value };
    const web = container("web", { labels: { ...TRAEFIK, ...using } });
    expect(readIntent(web)).toMatchObject({
      routes: [{ host: "t.example.com", rules: { values: { [ours]: rule }, closed: "" } }],
      translatedFrom: "traefik",
    });
  });

  test("what is not served yet is not served by halves", () => {
    const labels = {
      "traefik.tcp.routers.db.rule": "HostSNI(`*`)",
      "traefik.tcp.routers.db.service": "db",
      "traefik.tcp.services.db.loadbalancer.server.port": "5432",
      "traefik.tcp.routers.other.rule": "HostSNI(`*`)",
      "traefik.tcp.routers.other.service": "other",
      "traefik.tcp.services.other.loadbalancer.server.port": "6379",
    };
    const web = container("web", { labels });
    expect(readIntent(web)).toEqual({
      reason: expect.stringContaining("which is not served yet"),
      optedOut: false,
    });
  });

  test("what asks for FastCGI is served by it", () => {
    const web = container("web", { environment: { ...NGINX_PROXY, VIRTUAL_PROTO: "fastcgi" } });
    expect(readIntent(web)).toMatchObject({
      routes: [{ host: "n.example.com" }],
      settings: { scheme: "fcgi", "fcgi.root": "/var/www/public" },
      warnings: [],
    });
    // Who says it himself is told as with any label of ours.
    const own = { ...web, labels: { "gateway.scheme": "http", "gateway.fcgi.root": "/x" } };
    expect(readIntent(own)).toMatchObject({
      settings: {},
      warnings: [
        "container web: label gateway.fcgi.root counts for nothing without label gateway.scheme=fcgi",
      ],
    });
  });

  test("what is wrong is told with whose labels it stands for", () => {
    const wrong = container("web", { environment: NGINX_PROXY, labels: { "gateway.host": "!" } });
    expect(readIntent(wrong)).toEqual({
      reason:
        'label gateway.host="!" is not a host name, such as shop.example.com, or a wildcard, such as *.example.com',
      optedOut: false,
    });
  });

  test.each<[string, Record<string, string>, object]>([
    [
      "by the other proxy's label",
      { "traefik.enable": "false" },
      { reason: "it is left out by its labels for traefik", optedOut: true },
    ],
    [
      "as nothing of them is understood",
      { "traefik.http.routers.web.rule": "x" },
      {
        reason: expect.stringMatching(/^it is left out by its labels for traefik; traefik\.http/),
        optedOut: false,
      },
    ],
    [
      "by our own label",
      { ...TRAEFIK, "gateway.enable": "false" },
      { reason: "label gateway.enable is false", optedOut: true },
    ],
    [
      "by a label of ours that is wrong",
      { ...TRAEFIK, "gateway.port": "x" },
      { reason: 'label gateway.port="x" is not a port number (1 to 65535)', optedOut: false },
    ],
  ])("left out %s", (_, labels, refusal) => {
    expect(readIntent(container("web", { labels }), "all")).toEqual(refusal as never);
  });
});

test("a container with none of these labels costs next to nothing", () => {
  const labels = Object.fromEntries(
    Array.from({ length: 20 }, (_, index) => [`com.docker.compose.label-${index}`, "x"]),
  );
  const plain = { name: "web", labels, environment: {} };
  const started = performance.now();
  for (let count = 0; count < 20_000; count++) translate(plain, "all");
  // A microsecond each, with room for a busy machine.
  expect(performance.now() - started).toBeLessThan(1_000);
});
