// Further routes of containers with servers of their own: each is a service of its own.

import { describe, expect, test } from "bun:test";
import { explainContainer } from "../../src/api/explain/container.ts";
import type { Container } from "../../src/model.ts";
import { parseClaim } from "../../src/routing/claims.ts";
import { isNamed, titleOf } from "../../src/routing/intent.ts";
import { createRouter, route, type RoutingOptions } from "../../src/routing/routing.ts";
import { container, HOST, ROUTING, snapshot } from "../lab/make.ts";

const API = { "gateway.route.api.host": "api.a.org", "gateway.route.api.port": "9000" };

function model(containers: readonly Container[], options: Partial<RoutingOptions> = {}) {
  return route(snapshot(containers), HOST, { ...ROUTING, ...options });
}

/** The services, each with its routes and servers. */
function view(containers: readonly Container[], options: Partial<RoutingOptions> = {}) {
  return model(containers, options).services.map(({ backend, routes, servers }) => [
    backend,
    routes.map(({ key }) => key),
    servers.map(({ container: name, port }) => `${name}:${port}`),
  ]);
}

test("a route with a port of its own is a backend of its own", () => {
  expect(view([container("web", { labels: API })])).toEqual([
    ["foo:bar", ["/foo/bar/"], ["web:8000"]],
    ["foo:bar::route:api", ["api.a.org/"], ["web:9000"]],
  ]);
});

test("the names of its servers are of no other backend", () => {
  const { services } = model([container("web", { labels: API, exposed: [] })]);
  const names = services.flatMap(({ servers }) => servers.map(({ name }) => name));
  expect(new Set(names).size).toBe(3);
  expect(names.at(-1)).toMatch(/^[0-9a-f]{12}:route:api$/);
});

test("the containers of a service share it, where they have it", () => {
  const others = ["b", "c"].map((name) => container(name, { labels: name === "b" ? API : {} }));
  expect(view([container("a", { labels: API }), ...others])).toEqual([
    ["foo:bar", ["/foo/bar/"], ["a:8000", "b:8000", "c:8000"]],
    ["foo:bar::route:api", ["api.a.org/"], ["a:9000", "b:9000"]],
  ]);
});

test("a service that is named so has it by that name", () => {
  const labels = { ...API, "gateway.service": "shop" };
  expect(view([container("web", { labels })]).map(([name]) => name)).toEqual([
    "service::shop",
    "service::shop::route:api",
  ]);
});

test.each([
  ["foo/bar", false, "foo/bar"],
  ["foo/bar::route:api", false, "foo/bar (route api)"],
  ["service", false, "service"],
  ["service::route:api", false, "service (route api)"],
  ["service::web", true, "web"],
  ["service::web::route:api", true, "web (route api)"],
  ["service::route", true, "route"],
  ["service::route::route:route", true, "route (route route)"],
])("%s: labelled %p, %s", (name, named, title) => {
  expect(isNamed(name)).toBe(named);
  expect(titleOf(name)).toBe(title);
});

test("a wrong port costs that route only, with a warning", () => {
  const { services, warnings } = model([
    container("web", { labels: { ...API, "gateway.route.api.port": "x" } }),
  ]);
  expect(services.map(({ name }) => name)).toEqual(["foo/bar"]);
  expect(warnings).toEqual([
    'container web: label gateway.route.api.port="x" is not a port number (1 to 65535): that route is not served',
  ]);
});

test("a route that another service has is told, and the container is served all the same", () => {
  const first = container("old", { image: "old", labels: { "gateway.host": "api.a.org" } });
  const second = container("web", { labels: API, created: 9 });
  const { services, rejections, refusals, warnings } = model([first, second]);
  expect(services.map(({ name }) => name)).toEqual(["foo/bar", "old"]);
  expect(rejections).toEqual([]);
  expect(refusals.map(({ route: name }) => name)).toEqual(["http://api.a.org/"]);
  expect(warnings.join()).toContain(
    "service foo/bar (route api) is not served at http://api.a.org/",
  );
});

test("one that a claim keeps from it is told, too", () => {
  const claims = ["api.a.org=label:team"].flatMap((text) => parseClaim(text) ?? []);
  const { services, rejections, warnings } = model([container("web", { labels: API })], { claims });
  expect(services.map(({ name }) => name)).toEqual(["foo/bar"]);
  expect(rejections).toEqual([]);
  expect(warnings).toEqual([
    "container web is no part of service foo/bar (route api): http://api.a.org/ is kept from container web by --claim api.a.org=label:team",
  ]);
});

describe("with memory", () => {
  test("what changes of a route changes nothing else", () => {
    const router = createRouter();
    const other = container("x", { image: "x" });
    const decide = (labels: Record<string, string>) =>
      router(snapshot([container("web", { labels }), other]), HOST, ROUTING);
    const before = decide(API);
    const after = decide({ ...API, "gateway.route.api.port": "9001" });
    expect(after.services[1]?.servers.map(({ port }) => port)).toEqual([9001]);
    expect(after.services[0]?.name).toBe("foo/bar");
    expect(after.services.includes(before.services[2] as (typeof after.services)[0])).toBe(true);
    expect(decide({}).services.map(({ name }) => name)).toEqual(["foo/bar", "x"]);
  });
});

test("explain tells its port and where it leads", () => {
  const web = container("web", { labels: API });
  const shown = snapshot([web]);
  const lines = explainContainer(web, shown, HOST, ROUTING, model([web]));
  const texts = lines.map(({ about, text }) => `${about}: ${text}`);
  expect(texts).toContain("port: 9000 for route api, label gateway.route.api.port names it");
  expect(texts).toContain("route: http://api.a.org/ -> backend foo:bar::route:api");
  expect(texts).toContain("request: http://api.a.org/x goes there as /x");
});
