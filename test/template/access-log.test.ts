// The names in the lines of an access log, for routes and containers of any name.

import { expect, test } from "bun:test";
import { containerNames, routeNames } from "../../src/template/access-log.ts";
import { inheritedRoutes } from "../../src/template/wildcards.ts";
import { keyOf } from "../../src/lib/places.ts";
import { NO_RULES, type Route, type Service } from "../../src/model.ts";

function service(
  name: string,
  places: readonly (readonly [host: string, path: string])[],
): Service {
  const backend = `be:${name}`;
  const routes = places.map(([host, path]): Route => ({
    host,
    path,
    strip: true,
    rewrite: "",
    key: keyOf({ host, path }),
    backend,
    rules: NO_RULES,
  }));
  return { name, backend, profile: "", settings: {}, routes, servers: [], waiting: [], hold: "" };
}

const OPTIONS = { sample: 10_000, sampled: false } as const;

test("a line of JSON stays one, whatever a service or a path is called", () => {
  const odd = service('a "b" \\c\u00a0d\n', [["", '/x"\\\ty']]);
  const entries = routeNames(odd.routes, [odd], { format: "json", ...OPTIONS }, (name) => name);
  const [none, first] = entries.map(({ value }) => value);
  expect(none).toBe("-");
  expect(first).not.toMatch(/\s/);
  expect(JSON.parse(`{"route":"${first}"}`)).toEqual({ route: '/x"\\\ty', service: odd.name });
});

test("in the common form neither has a blank", () => {
  const odd = service("a (route b)", [["x.org", "/"]]);
  const entries = routeNames(odd.routes, [odd], { format: "common", ...OPTIONS }, (name) => name);
  expect(entries.map(({ value }) => value)).toEqual(["-|-", "x.org/|a%20(route%20b)"]);
});

test("what a wildcard has from a wider one is called as that is", () => {
  const services = [
    service("wide", [["*.example.com", "/docs"]]),
    service("narrow", [["*.eu.example.com", "/api"]]),
  ];
  const own = services.flatMap(({ routes }) => routes);
  const all = [...own, ...inheritedRoutes(own)];
  const names = routeNames(all, services, { format: "common", ...OPTIONS }, (name) => name);
  expect(names.map(({ value }) => value).toSorted()).toEqual([
    "*.eu.example.com/api|narrow",
    "*.example.com/docs|wide",
    "*.example.com/docs|wide",
    "-|-",
  ]);
});

test("a container of two services has one name", () => {
  const server = { name: "0123456789ab", container: "shop-1" } as Service["servers"][number];
  const services = ["a", "b"].map((name) => ({ ...service(name, []), servers: [server] }));
  expect(containerNames(services)).toEqual([{ key: "0123456789ab", value: "shop-1" }]);
});
