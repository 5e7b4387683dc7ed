// Routes that only one container of a service asked for, which has ended while others of its service run.

import { beforeEach, expect, test } from "bun:test";
import { LostRoutes } from "../../src/gateway/lost-routes.ts";
import { route } from "../../src/routing/routing.ts";
import type { Container, Service } from "../../src/model.ts";
import { at, container, HOST, ROUTING, snapshot } from "../lab/make.ts";

const LENGTH = 10_000;
const NOW = 1_000_000;

const [PATH, HOST_NAME] = ["/acme/shop/", "shop.example.com/"];
const onPath = make("path", 1);
const onHost = make("host", 2, { "gateway.host": "shop.example.com" });

let lostRoutes: LostRoutes;

beforeEach(() => void (lostRoutes = new LostRoutes(LENGTH)));

function make(
  name: string,
  count: number,
  labels: Record<string, string> = {},
  image = "acme/shop",
): Container {
  return container(name, {
    image,
    labels,
    created: count,
    attachments: [at("bridge", `172.17.1.${count}`)],
  });
}

function apply(containers: readonly Container[], now = NOW): readonly Service[] {
  return lostRoutes.apply(route(snapshot([...containers]), HOST, ROUTING).services, now);
}

/** The keys of all routes, by the names of their services. */
function keys(services: readonly Service[]): Record<string, string[]> {
  return Object.fromEntries(
    services.map(({ name, routes }) => [name, routes.map(({ key }) => key).toSorted()]),
  );
}

test("one stays for as long as requests would wait, with the servers that are left", () => {
  apply([onPath, onHost], NOW - 1);
  const services = apply([onHost]);
  expect(keys(services)).toEqual({ "acme/shop": [PATH, HOST_NAME] });
  expect(services[0]?.servers.map(({ container: name }) => name)).toEqual(["host"]);
  expect(lostRoutes.dueAt).toBe(NOW + LENGTH);
  expect(keys(apply([onHost], NOW + LENGTH - 1))["acme/shop"]).toContain(PATH);
  expect(keys(apply([onHost], NOW + LENGTH))).toEqual({ "acme/shop": [HOST_NAME] });
  expect(lostRoutes.dueAt).toBe(Infinity);
});

test("nothing is due twice", () => {
  apply([onPath, onHost], NOW - 1);
  apply([onHost]);
  lostRoutes.expire(NOW + LENGTH - 1);
  expect(lostRoutes.dueAt).toBe(NOW + LENGTH);
  lostRoutes.expire(NOW + LENGTH);
  expect(lostRoutes.dueAt).toBe(Infinity);
});

test("the service is the same object as long as nothing changes", () => {
  const { services } = route(snapshot([onPath, onHost]), HOST, ROUTING);
  const left = route(snapshot([onHost]), HOST, ROUTING).services;
  expect(lostRoutes.apply(services, NOW - 1)).toBe(services);
  const first = lostRoutes.apply(left, NOW);
  expect(lostRoutes.apply(left, NOW + 1)[0]).toBe(first[0] as Service);
  expect(lostRoutes.apply(left, NOW + LENGTH)).toBe(left);
});

test("the next container that asks for it has it, once", () => {
  apply([onPath, onHost], NOW - 1);
  apply([onHost]);
  expect(keys(apply([onHost, make("newer", 3)], NOW + 1))).toEqual({
    "acme/shop": [PATH, HOST_NAME],
  });
  // It went with the newer one now, from then on.
  expect(keys(apply([onHost], NOW + LENGTH))["acme/shop"]).toContain(PATH);
  expect(lostRoutes.dueAt).toBe(NOW + 2 * LENGTH);
});

test("another service that asks for it has it", () => {
  apply([onPath, onHost], NOW - 1);
  const other = make("other", 3, { "gateway.path": "/acme/shop" }, "acme/desk");
  expect(keys(apply([onHost, other]))).toEqual({ "acme/desk": [PATH], "acme/shop": [HOST_NAME] });
  expect(keys(apply([onHost], NOW + 1))).toEqual({ "acme/shop": [HOST_NAME] });
});

test.each([
  ["kept somebody out", { "gateway.allow": "192.0.2.0/24" }],
  ["had another timeout", { "gateway.timeout": "5m" }],
])("where the container that ended %s, it goes", (_, labels) => {
  apply([make("path", 1, labels), onHost], NOW - 1);
  expect(keys(apply([onHost]))).toEqual({ "acme/shop": [HOST_NAME] });
});

test("of a service that ends nothing stays here", () => {
  apply([onPath, onHost], NOW - 1);
  apply([onHost]);
  expect(apply([], NOW + 1)).toEqual([]);
  expect(lostRoutes.dueAt).toBe(Infinity);
  expect(keys(apply([onHost], NOW + 2))).toEqual({ "acme/shop": [HOST_NAME] });
});

test("what a container never asked for, and what no container took along, is nothing that stays", () => {
  apply([onHost]);
  expect(keys(apply([onHost, onPath], NOW + 1))).toEqual({ "acme/shop": [PATH, HOST_NAME] });
  lostRoutes.forget();
  expect(keys(apply([onHost], NOW + 2))).toEqual({ "acme/shop": [HOST_NAME] });
});

test("what a pass leaves out after all has not ended", () => {
  apply([onHost], NOW - 1);
  for (const now of [NOW, NOW + 1]) {
    apply([onHost, onPath], now);
    expect(keys(apply([onHost], now))).toEqual({ "acme/shop": [HOST_NAME] });
  }
});
