// When the requests of a service wait, for how long, and how long a service without containers stays.

import { beforeEach, describe, expect, test } from "bun:test";
import { Holds } from "../../src/gateway/hold.ts";
import type { Container, Service } from "../../src/model.ts";
import { createRouter, type Router } from "../../src/routing/routing.ts";
import { container, HOST, ROUTING, snapshot } from "../lab/make.ts";

const HOLD = 10_000;
/** The time of the first pass, in milliseconds since 1970. */
const START = 1_000_000;

const one = container("one");
const two = container("two");
const shop = container("shop", { image: "shop" });

let holds: Holds;
let router: Router;
/** The IDs of stopped containers that Docker still has. */
let stopped: Set<string>;

beforeEach(() => {
  stopped = new Set();
  holds = new Holds(HOLD, (id) => stopped.has(id));
  router = createRouter();
});

function nameOf({ id }: Container): string {
  return id.slice(0, 12);
}

function services(containers: readonly Container[]): readonly Service[] {
  return router(snapshot(containers), HOST, ROUTING).services;
}

/** What is served of these containers so long after the start, in ms: `name` and how it is held. */
function at(ms: number, ...containers: Container[]): string[] {
  return holds
    .apply(services(containers), START + ms)
    .map(({ name, hold }) => `${name} ${hold}`.trim());
}

/** A container answers. Returns whether requests waited for it. */
function answers(each: Container): boolean {
  return holds.note([nameOf(each)]).has(nameOf(each));
}

test("what runs when the gateway starts is not held", () => {
  expect(at(0, one, { ...shop, state: "paused" })).toEqual(["foo/bar", "shop over"]);
  expect(holds.dueAt).toBeUndefined();
});

test("what is told of a server that is gone says nothing of it once it is back", () => {
  at(0, one);
  stopped.add(one.id);
  holds.lose(one.id, START + 1_000);
  expect(at(1_000)).toEqual(["foo/bar waiting"]);
  expect(answers(one)).toBe(false);
  stopped.clear();
  expect(at(2_000, one)).toEqual(["foo/bar waiting"]);
  expect(answers(one)).toBe(true);
  expect(at(3_000, one)).toEqual(["foo/bar"]);
});

test("one that answers only after that is held from then on", () => {
  at(0, { ...one, health: "starting" });
  expect(at(1_000, one)).toEqual(["foo/bar"]);
  // Nobody waits, so the loop need not know.
  expect(answers(one)).toBe(false);
  expect(at(2_000, { ...one, health: "unhealthy" })).toEqual(["foo/bar waiting"]);
});

describe("a service that loses its only container", () => {
  beforeEach(() => void at(0, one, shop));

  test("is held, and then gone", () => {
    expect(at(1_000, shop)).toEqual(["foo/bar waiting", "shop"]);
    expect(holds.dueAt).toBe(START + 1_000 + HOLD);
    expect(at(1_000 + HOLD - 1, shop)).toEqual(["foo/bar waiting", "shop"]);
    expect(at(1_000 + HOLD, shop)).toEqual(["shop"]);
    expect(holds.dueAt).toBeUndefined();
  });

  test("stays without a hold as long as Docker has the container", () => {
    stopped.add(one.id);
    at(1_000, shop);
    expect(at(1_000 + HOLD, shop)).toEqual(["foo/bar over", "shop"]);
    expect(at(1_000_000, shop)).toEqual(["foo/bar over", "shop"]);
    stopped.clear();
    expect(at(1_000_001, shop)).toEqual(["shop"]);
  });

  test("is held to the end if the container is removed before", () => {
    stopped.add(one.id);
    at(1_000, shop);
    stopped.clear();
    expect(at(2_000, shop)).toEqual(["foo/bar waiting", "shop"]);
    expect(at(1_000 + HOLD, shop)).toEqual(["shop"]);
  });

  test("has no servers, and its routes", () => {
    const before = services([one, shop])[0];
    const [held] = holds.apply(services([shop]), START);
    expect(held).toMatchObject({ servers: [], waiting: [], routes: before?.routes });
  });

  test("is held until the next one answers", () => {
    at(1_000, shop);
    expect(at(3_000, two, shop)).toEqual(["foo/bar waiting", "shop"]);
    // A new one has its own time.
    expect(holds.dueAt).toBe(START + 3_000 + HOLD);
    expect(answers(shop)).toBe(false);
    expect(answers(two)).toBe(true);
    expect(at(3_100, two, shop)).toEqual(["foo/bar", "shop"]);
    expect(holds.dueAt).toBeUndefined();
  });

  test("is held for the next one after the hold, too", () => {
    at(1_000, shop);
    at(1_000 + HOLD, shop);
    expect(at(100_000, two, shop)).toEqual(["foo/bar waiting", "shop"]);
  });

  test("is held if the next one comes at the same moment", () => {
    expect(at(1_000, two, shop)).toEqual(["foo/bar waiting", "shop"]);
  });
});

test.each([
  ["is paused", { state: "paused" }],
  ["restarts", { state: "restarting" }],
  ["is unhealthy", { health: "unhealthy" }],
] as const)("a service whose only container %s is held until it answers again", (_, change) => {
  at(0, one);
  const away = { ...one, ...change };
  expect(at(1_000, away)).toEqual(["foo/bar waiting"]);
  expect(at(2_000, one)).toEqual(["foo/bar waiting"]);
  answers(one);
  expect(at(2_001, one)).toEqual(["foo/bar"]);
  expect(at(3_000, away)).toEqual(["foo/bar waiting"]);
  expect(at(3_000 + HOLD, away)).toEqual(["foo/bar over"]);
});

test("a service is not held as long as another container answers", () => {
  at(0, one, two);
  expect(at(1_000, one)).toEqual(["foo/bar"]);
  expect(at(2_000)).toEqual(["foo/bar waiting"]);
});

test("one that was started and does not answer yet is no other container", () => {
  at(0, one);
  expect(at(1_000, one, two)).toEqual(["foo/bar"]);
  expect(at(2_000, two)).toEqual(["foo/bar waiting"]);
});

test("a new service is held until its container answers", () => {
  at(0, shop);
  expect(at(1_000, one, shop)).toEqual(["foo/bar waiting", "shop"]);
  answers(one);
  expect(at(1_001, one, shop)).toEqual(["foo/bar", "shop"]);
});

test("a container that restarts and never answers is worth one hold only", () => {
  at(0);
  expect(at(1_000, one)).toEqual(["foo/bar waiting"]);
  expect(at(2_000, { ...one, state: "restarting" })).toEqual(["foo/bar waiting"]);
  expect(at(3_000, one)).toEqual(["foo/bar waiting"]);
  expect(at(1_000 + HOLD, one)).toEqual(["foo/bar"]);
  expect(at(2_000 + HOLD, { ...one, state: "restarting" })).toEqual(["foo/bar over"]);
});

test("one that answered too late for the gateway to see is held all the same", () => {
  at(0);
  at(1_000, one);
  expect(at(1_000 + HOLD, one)).toEqual(["foo/bar"]);
  expect(at(5 * HOLD)).toEqual(["foo/bar waiting"]);
});

test("a service that is not held stays the same object, and one that is held too", () => {
  at(0, one, shop);
  const all = services([one, shop]);
  expect(holds.apply(all, START)).toBe(all);
  const left = services([shop]);
  const [held, other] = holds.apply(left, START + 1);
  expect(other).toBe(left[0]);
  expect(holds.apply(left, START + 2)[0]).toBe(held);
});

test("a route that became another service's is not kept", () => {
  const domain = { ...ROUTING, domain: "ex.org" };
  const own = container("own", { image: "a/web" });
  const others = container("others", { image: "b/web", created: 1 });
  const serve = (...containers: Container[]) => router(snapshot(containers), HOST, domain).services;
  holds.apply(serve(own, others), START);
  const after = holds.apply(serve(others), START + 1);
  const hosts = after.map(({ name, routes }) => [name, ...routes.map(({ host }) => host)]);
  expect(hosts).toEqual([
    ["a/web", "web-a.ex.org"],
    ["b/web", "web.ex.org"],
  ]);
});

describe("a container that is lost before it is read", () => {
  beforeEach(() => void at(0, one, two, shop));

  test("costs nothing if another one answers", () => {
    expect([...holds.lose(one.id, START)]).toEqual([]);
    expect(holds.dueAt).toBeUndefined();
  });

  test("begins a hold if it is the last", () => {
    holds.lose(one.id, START + 1);
    expect([...holds.lose(two.id, START + 2)]).toEqual(["foo/bar"]);
    expect(holds.dueAt).toBe(START + 2 + HOLD);
    // It may be back before anything is read.
    expect(at(100, one, two, shop)).toEqual(["foo/bar waiting", "shop"]);
    answers(two);
    expect(at(200, one, two, shop)).toEqual(["foo/bar", "shop"]);
  });

  test("begins no hold if it never answered, but belongs to one", () => {
    const next = container("next", { image: "next" });
    at(1, one, two, shop, next);
    expect([...holds.lose(next.id, START + 2)]).toEqual(["next"]);
    expect(holds.dueAt).toBe(START + 1 + HOLD);
    at(1 + HOLD, one, two, shop, next);
    expect([...holds.lose(next.id, START + 1 + HOLD)]).toEqual([]);
  });
});

test("a container that runs and can not be reached just now is no reason to forget its service", () => {
  at(0, one);
  // Docker takes the address of one that crashes away before it says that it has ended.
  stopped.add(one.id);
  expect(at(1)).toEqual(["foo/bar waiting"]);
  expect(at(1 + HOLD)).toEqual(["foo/bar over"]);
});

test("a hold that is over is told once", () => {
  at(0, one);
  at(1_000);
  expect(holds.expire(START + HOLD)).toEqual([]);
  expect(holds.expire(START + 1_000 + HOLD)).toEqual(["foo:bar"]);
  expect(holds.expire(START + 1_000 + HOLD)).toEqual([]);
});

describe("a container that ended before its service was known", () => {
  test("lets requests for its backend wait, once and for so long", () => {
    expect(holds.mayBegin("foo:bar")).toBe(true);
    holds.begin(["foo:bar"], START);
    expect([holds.mayBegin("foo:bar"), holds.dueAt]).toEqual([false, START + HOLD]);
    expect(holds.expire(START + HOLD - 1)).toEqual([]);
    expect(holds.expire(START + HOLD)).toEqual(["foo:bar"]);
    expect([holds.mayBegin("foo:bar"), holds.dueAt]).toEqual([false, undefined]);
  });

  test("has to answer again", () => {
    holds.lose(one.id, START);
    holds.begin(["foo:bar"], START);
    expect(at(1_000, one, shop)).toEqual(["foo/bar waiting", "shop"]);
    expect(holds.dueAt).toBe(START + 1_000 + HOLD);
    answers(one);
    expect(at(1_100, one, shop)).toEqual(["foo/bar", "shop"]);
  });

  test("is no loss beside another one", () => {
    holds.lose(one.id, START);
    expect(at(1_000, one, two)).toEqual(["foo/bar"]);
  });

  test("begins nothing that way once services are known", () => {
    at(0, one);
    expect(holds.mayBegin("foo:bar")).toBe(false);
    holds.begin(["foo:bar"], START);
    expect(holds.dueAt).toBeUndefined();
  });
});

test("the servers to wait for are those of held services", () => {
  at(0, shop);
  at(1, one, { ...two, state: "paused" }, shop);
  expect([...holds.awaited]).toEqual([nameOf(one)]);
});

test("nothing is held where the configuration lets nobody wait", () => {
  at(0, one);
  const none = services([]);
  expect(holds.apply(none, START, false)).toBe(none);
  expect(holds.mayAnswer("any")).toBe(true);
  // Once it does, what runs then is as at the start.
  expect(at(1_000, two)).toEqual(["foo/bar"]);
});

test("with --hold 0 nothing is held", () => {
  holds = new Holds(0, () => true);
  const all = services([one]);
  expect(holds.apply(all, START)).toBe(all);
  expect(at(1_000)).toEqual([]);
  expect(holds.mayAnswer("any")).toBe(true);
});
