// Whose a route is when its owner has ended and another service asks for it.

import { beforeEach, expect, test } from "bun:test";
import { Holds } from "../../src/gateway/hold.ts";
import type { Container, Service } from "../../src/model.ts";
import { createRouter, type Router } from "../../src/routing/routing.ts";
import { container, HOST, ROUTING, snapshot } from "../lab/make.ts";

const HOLD = 10_000;
const START = 1_000_000;
/** So long a route stays the one of a container that has ended. */
const STAYS = 1_000;

const own = asking("own", 1);
const other = asking("other", 2);
/** It has a route of its own, too. */
const both = container("both", {
  image: "both",
  created: 3,
  labels: { "gateway.path": "/shop,/both" },
});

let holds: Holds;
let router: Router;
let stopped: Set<string>;

beforeEach(() => {
  stopped = new Set();
  holds = new Holds(HOLD, (id) => stopped.has(id));
  router = createRouter();
});

function asking(name: string, created: number): Container {
  return container(name, { image: name, created, labels: { "gateway.path": "/shop" } });
}

function apply(ms: number, ...containers: Container[]): readonly Service[] {
  const { services } = router(snapshot(containers), HOST, ROUTING);
  return holds.apply(services, START + ms);
}

/** What is served so long after the start, in ms: service, hold, routes, and whose servers. */
function at(ms: number, ...containers: Container[]): string[] {
  return apply(ms, ...containers).map(({ name, hold, routes, servers }) =>
    [name, hold, ...routes.map(({ path }) => path), ...servers.map((each) => each.container)]
      .filter(Boolean)
      .join(" "),
  );
}

test("it stays for a moment, and comes back with the container", () => {
  expect(at(0, own, other)).toEqual(["own /shop own"]);
  stopped.add(own.id);
  expect(at(100, other)).toEqual(["own waiting /shop"]);
  expect(holds.dueAt).toBe(START + 100 + STAYS);
  expect(at(99 + STAYS, other)).toEqual(["own waiting /shop"]);
  stopped.clear();
  expect(at(100 + STAYS, own, other)).toEqual(["own waiting /shop own"]);
  holds.note([own.id.slice(0, 12)]);
  expect(at(200 + STAYS, own, other)).toEqual(["own /shop own"]);
});

test("then it is the other's, with the requests that wait", () => {
  at(0, own, other);
  stopped.add(own.id);
  at(100, other);
  const later = 100 + STAYS;
  // Before the next pass, and if there is none: nothing is due again and again.
  expect(holds.expire(START + later)).toEqual([]);
  expect(holds.dueAt).toBe(START + 100 + HOLD);
  // They wait on until it answers.
  expect(at(later, other)).toEqual(["other waiting /shop other", "own waiting other"]);
  holds.note([other.id.slice(0, 12)]);
  expect(at(later + 1, other)).toEqual(["other /shop other", "own other"]);
  const before = apply(later + 2, other);
  expect(apply(later + 3, other)).toEqual(before);
  expect(apply(later + 3, other).map((each, index) => each === before[index])).toEqual([
    true,
    true,
  ]);
  expect(at(100 + HOLD, other)).toEqual(["other /shop other"]);
  expect(holds.dueAt).toBeUndefined();
  // Docker still has the first one: once it runs, the route and who waits are its own again.
  expect(at(200 + HOLD, own, other)).toEqual(["other own", "own /shop own"]);
});

test("of one that is removed nothing is kept", () => {
  at(0, own, other);
  expect(at(100, other)).toEqual(["other waiting /shop other", "own waiting other"]);
});

test("one that is spoken to otherwise inherits no requests", () => {
  const tls = container("tls", {
    image: "tls",
    created: 2,
    labels: { "gateway.path": "/shop", "gateway.scheme": "https" },
  });
  at(0, own, tls);
  expect(at(100, tls)).toEqual(["tls waiting /shop tls"]);
});

/** Whose servers each service has. */
function names(...all: readonly Service[]): string[] {
  return all.map(({ servers }) => servers.map((each) => each.container).join());
}

test("where bytes are forwarded nobody waits, and nobody inherits", () => {
  const [first, second] = ["first", "second"].map((name, index) =>
    container(name, { image: name, created: index, labels: { "gateway.tcp": "5432" } }),
  ) as [Container, Container];
  expect(names(...apply(0, first, second))).toEqual(["first"]);
  stopped.add(first.id);
  apply(100, second);
  const after = apply(100 + STAYS, second);
  expect(after.map(({ routes }) => routes.length)).toEqual([1]);
  expect(names(...after)).toEqual(["second"]);
});

test("who has another route as well keeps that one", () => {
  expect(at(0, own, both)).toEqual(["both /both both", "own /shop own"]);
  stopped.add(own.id);
  expect(at(100, both)).toEqual(["both /both both", "own waiting /shop"]);
  expect(at(100 + STAYS, both)).toEqual(["both /shop /both both", "own both"]);
});

test("who does not wait for anything has it at once", () => {
  holds = new Holds(0, (id) => stopped.has(id));
  at(0, own, other);
  stopped.add(own.id);
  expect(at(100, other)).toEqual(["other /shop other"]);
});
