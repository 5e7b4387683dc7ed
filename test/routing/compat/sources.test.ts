// Whatever is told of a label of ours names what the person wrote.

import { describe, expect, test } from "bun:test";
import { explainContainer } from "../../../src/api/explain/container.ts";
import { translate } from "../../../src/routing/compat/compat.ts";
import { createSourceFinder } from "../../../src/routing/compat/sources.ts";
import { readIntent } from "../../../src/routing/intent.ts";
import { route } from "../../../src/routing/routing.ts";
import { container, HOST, ROUTING, snapshot } from "../../lab/make.ts";
import { BCRYPT, type Texts } from "./read.ts";

const ROUTER = "traefik.http.routers.r";
const MIDDLEWARE = "traefik.http.middlewares";
const SERVICE = "traefik.http.services.s.loadbalancer";
const TRAEFIK: Texts = {
  [`${ROUTER}.rule`]: "Host(`a.example.com`) && PathPrefix(`/x`)",
  [`${ROUTER}.middlewares`]: "users,strip,often,headers",
  [`${MIDDLEWARE}.users.basicauth.users`]: `bob:${BCRYPT}`,
  [`${MIDDLEWARE}.strip.stripprefix.prefixes`]: "/x",
  [`${MIDDLEWARE}.often.ratelimit.average`]: "10",
  [`${MIDDLEWARE}.headers.headers.customrequestheaders.X-A`]: "b",
  [`${SERVICE}.server.port`]: "8080",
  [`${SERVICE}.server.weight`]: "500",
  [`${SERVICE}.sticky.cookie`]: "true",
};
const NGINX_PROXY: Texts = {
  VIRTUAL_HOST: "a.example.com",
  VIRTUAL_PATH: "/x",
  VIRTUAL_DEST: "/",
  VIRTUAL_PORT: "8080",
  NETWORK_ACCESS: "internal",
  HTTPS_METHOD: "redirect",
};
const CADDY: Texts = {
  caddy: "a.example.com",
  "caddy.reverse_proxy": "{{upstreams 8080}}",
  "caddy.header.X-A": "b",
  "caddy.handle_path": "/x/*",
  "caddy.handle_path.reverse_proxy": "{{upstreams 81}}",
};

/** What a label of ours stands for. */
function sourcesOf(ours: string, labels: Texts, environment: Texts = {}): readonly string[] {
  const from = { name: "web", labels, environment };
  return createSourceFinder(from, "all", translate(from, "all")?.labels ?? {})(ours);
}

describe("a label of ours stands for", () => {
  test.each<[string, string, Texts, Texts?]>([
    ["host", `${ROUTER}.rule`, TRAEFIK],
    ["path", `${ROUTER}.rule`, TRAEFIK],
    ["auth", `${MIDDLEWARE}.users.basicauth.users`, TRAEFIK],
    ["strip", `${MIDDLEWARE}.strip.stripprefix.prefixes`, TRAEFIK],
    ["rate", `${MIDDLEWARE}.often.ratelimit.average`, TRAEFIK],
    ["headers.request.x-a", `${MIDDLEWARE}.headers.headers.customrequestheaders.X-A`, TRAEFIK],
    ["port", `${SERVICE}.server.port`, TRAEFIK],
    ["sticky", `${SERVICE}.sticky.cookie`, TRAEFIK],
    ["deny", `${ROUTER}.middlewares`, { ...TRAEFIK, [`${ROUTER}.middlewares`]: "users@file" }],
    ["host", "VIRTUAL_HOST", {}, NGINX_PROXY],
    ["path", "VIRTUAL_PATH", {}, NGINX_PROXY],
    ["strip", "VIRTUAL_DEST", {}, NGINX_PROXY],
    ["allow", "NETWORK_ACCESS", {}, NGINX_PROXY],
    ["redirect", "HTTPS_METHOD", {}, NGINX_PROXY],
    ["host", "caddy", CADDY],
    ["port", "caddy.reverse_proxy", CADDY],
    ["headers.response.X-A", "caddy.header.X-A", CADDY],
    ["route.a-example-com-x.path", "caddy.handle_path", CADDY],
    ["route.a-example-com-x.port", "caddy.handle_path.reverse_proxy", CADDY],
  ])("%s: %s", (ours, theirs, labels, environment = {}) => {
    expect(sourcesOf(ours, labels, environment)).toEqual([theirs]);
  });

  test("nothing, if there is no such label, or too many to look at each", () => {
    expect(sourcesOf("maxconn", TRAEFIK)).toEqual([]);
    const many = Object.fromEntries(
      Array.from({ length: 100 }, (_, at) => [`traefik.http.routers.r${at}.rule`, "Host(`a`)"]),
    );
    expect(sourcesOf("host", many)).toEqual([]);
    expect(sourcesOf("host", { ...TRAEFIK, "traefik.x": "x".repeat(30_000) })).toEqual([]);
  });
});

test("what is wrong is told with what it stands for", () => {
  const web = container("web", { labels: TRAEFIK });
  expect(readIntent(web, ROUTING)).toMatchObject({
    warnings: [
      `container web: label gateway.weight="500" is not a weight (0 to 256): the label counts for nothing (it stands for ${SERVICE}.server.weight)`,
    ],
  });
});

test("a header of the container's own labels is no other proxy's", () => {
  const labels = { ...TRAEFIK, "gateway.headers.request.X-B": "ü", "gateway.weight": "1" };
  const intent = readIntent(container("web", { labels }), ROUTING);
  expect(intent).toMatchObject({
    warnings: [expect.not.stringContaining("it stands for") as unknown],
  });
});

/** What explain tells of a container. */
function explained(labels: Texts, environment: Texts = {}): readonly string[] {
  const web = container("web", { labels, environment });
  const shown = snapshot([web]);
  return explainContainer(web, shown, HOST, ROUTING, route(shown, HOST, ROUTING))
    .filter(({ about }) => !["container", "state", "address", "health", "warning"].includes(about))
    .map(({ about, text }) => `${about}: ${text}`);
}

describe("explain names", () => {
  test("the variables of nginx-proxy", () => {
    expect(explained({}, NGINX_PROXY)).toEqual([
      "labels: those for nginx-proxy are read as labels of the gateway; --as-labels shows them",
      "service: a.example.com-x-b186ed7c, from VIRTUAL_HOST",
      "host: http://a.example.com/x, from VIRTUAL_HOST and VIRTUAL_PATH",
      "setting: allow=127.0.0.0/8,10.0.0.0/8,192.168.0.0/16,172.16.0.0/12, from NETWORK_ACCESS",
      "setting: redirect=https, from HTTPS_METHOD",
      "setting: redirect.code=301, from HTTPS_METHOD",
      "port: 8080, VIRTUAL_PORT names it",
      "route: http://a.example.com/x -> backend service::a.example.com-x-b186ed7c",
      "request: http://a.example.com/x/x goes there as /x (the prefix is stripped, from VIRTUAL_DEST)",
    ]);
  });

  test("the labels of Traefik, and those that are the container's own", () => {
    const own = { ...TRAEFIK, "gateway.rate": "5/1m", "gateway.host": "b.example.com" };
    const lines = explained(own);
    expect(lines).toContain("setting: rate=5/1m, from label gateway.rate");
    expect(lines).toContain(
      `host: http://b.example.com/x, from label gateway.host and ${ROUTER}.rule`,
    );
    expect(lines).toContain(`setting: auth=bob:..., from ${MIDDLEWARE}.users.basicauth.users`);
    expect(lines).toContain(`setting: sticky=_route, from ${SERVICE}.sticky.cookie`);
  });

  test("labels of ours where there are no others", () => {
    expect(explained({ "gateway.host": "b.example.com" })).toContain(
      "host: http://b.example.com/, from label gateway.host",
    );
  });
});
