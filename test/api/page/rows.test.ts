// What the page at --admin makes of what the gateway tells.

import { describe, expect, test } from "bun:test";
import { groupsOf } from "../../../src/api/admin/page/change-lines.js";
import { verdictOf } from "../../../src/api/admin/page/routes-view.js";
import { rowsOf } from "../../../src/api/admin/page/rows.js";
import { FIRST_WISH, found } from "../../../src/api/admin/page/search.js";
import { stateDocument, type StateDocument } from "../../../src/api/state.ts";
import { firstState } from "../../../src/gateway/state.ts";
import { route } from "../../../src/routing/routing.ts";
import { container, HOST, ROUTING, snapshot } from "../../lab/make.ts";

/** What the gateway tells of two services; HAProxy sees nothing of it yet. */
function told(): StateDocument {
  const containers = [
    container("shop-1", { image: "acme/shop:1" }),
    container("shop-2", { image: "acme/shop:1" }),
    container("blog-1", { image: "ghost:5", labels: { "gateway.host": "blog.example.com" } }),
    container("slow-1", { image: "acme/slow:1", state: "restarting" }),
  ];
  const model = route(snapshot(containers), HOST, ROUTING);
  const state = { ...firstState("x", 0), applied: model, desired: model };
  const facts = {
    version: "2.0.0",
    pid: 1,
    started: 0,
    output: "/x.cfg",
    masterSocket: "/x.sock",
    managesHaproxy: true,
    labelPrefix: "gateway.",
    options: {},
  };
  return stateDocument(facts, state, { routes: [], problem: "" });
}

/** The same, where HAProxy has servers in these states, by the names of containers. */
function seen(
  states: Readonly<Record<string, string>>,
  more: Partial<StateDocument["routes"][number]["servers"][number]>[] = [],
): StateDocument {
  const document = told();
  const routes = document.services.map(({ backend, servers }) => ({
    route: "",
    backend,
    waiting: false,
    requests: 0,
    errors: 0,
    current: 0,
    queued: 0,
    meanTime: 0,
    longestTime: 0,
    p50Time: null,
    p95Time: null,
    servers: [
      ...servers.flatMap(({ name, container: own, address, port }) => {
        const state = states[own];
        const counted = {
          name,
          container: own,
          address: `${address}:${port}`,
          since: 5,
          requests: 0,
          errors: 0,
        };
        return state === undefined ? [] : [{ ...counted, state }];
      }),
      ...more.map((each) => ({
        name: "x",
        container: "x",
        address: "127.0.0.9:80",
        state: "draining",
        since: 1,
        requests: 0,
        errors: 0,
        ...each,
      })),
    ],
  }));
  return { ...document, routes };
}

function healthOf(document: StateDocument, name: string): unknown[] {
  const row = rowsOf(document).find(({ route: own }) => own === name);
  return [row?.health, row?.words];
}

describe("a route", () => {
  test.each([
    [{ "shop-1": "up", "shop-2": "up" }, ["up", "2 up"]],
    [{ "shop-1": "up", "shop-2": "down" }, ["partly", "1 of 2 up"]],
    [{ "shop-1": "down", "shop-2": "down" }, ["down", "no container answers"]],
  ])("whose servers are %j", (states, health) => {
    expect(healthOf(seen(states), "/acme/shop")).toEqual(health);
  });

  test("without a container, with requests that wait, and with a HAProxy that cannot be asked", () => {
    expect(healthOf(seen({}), "/acme/slow")).toEqual(["down", "no container answers"]);
    const document = seen({});
    const services = document.services.map((each) => ({ ...each, hold: "waiting" as const }));
    expect(healthOf({ ...document, services }, "/acme/slow")).toEqual(["waiting", "requests wait"]);
    const haproxy = { version: null, problem: "it is gone" };
    expect(healthOf({ ...told(), haproxy }, "/acme/shop")).toEqual(["unknown", "not known"]);
  });

  test("has its containers by their names, also one that goes, and none that nobody knows", () => {
    const document = seen({ "shop-1": "up", "shop-2": "up" }, [
      { name: "0123456789ab", container: "shop-0" },
      { name: "ba9876543210", container: "ba9876543210" },
    ]);
    const row = rowsOf(document).find(({ route: own }) => own === "/acme/shop");
    expect(row?.members.map(({ container: own, state }) => [own, state])).toEqual([
      ["shop-1", "up"],
      ["shop-2", "up"],
      ["shop-0", "draining"],
    ]);
    expect(JSON.stringify(row?.members)).not.toContain("_spare");
  });
});

test("all of it is in trouble, not known, or up", () => {
  expect(verdictOf(12, 3, "down")).toBe("3 of 12 routes in trouble");
  expect(verdictOf(2, 0, "unknown")).toBe("2 routes, and nobody knows how they are");
  expect([verdictOf(1, 0, "up"), verdictOf(1_000, 0, "up")]).toEqual([
    "1 route, and it is up",
    "1,000 routes, all up",
  ]);
});

test("routes are found by all that they have, filtered and sorted", () => {
  const rows = rowsOf(seen({ "shop-1": "up", "shop-2": "down", "blog-1": "up" }));
  const numbers = new Map(
    [
      ["acme/shop", 3],
      ["ghost", 9],
    ].map(([name, requests]) => {
      const { backend = "" } = rows.find(({ service }) => service.name === name)?.service ?? {};
      const each = {
        name: String(name),
        backend,
        requests: Number(requests),
        errors: 0,
        times: null,
      };
      return [backend, each] as const;
    }),
  );
  const shown = (wish: Partial<typeof FIRST_WISH>): string[] =>
    found(rows, numbers, { ...FIRST_WISH, ...wish }).map(({ route: own }) => own);
  expect(shown({})).toEqual(["/acme/shop", "/acme/slow", "http://blog.example.com/"]);
  expect(shown({ words: "SHOP-2" })).toEqual(["/acme/shop"]);
  expect(shown({ words: "ghost example" })).toEqual(["http://blog.example.com/"]);
  expect(shown({ words: "ghost shop" })).toEqual([]);
  expect(shown({ filter: "trouble" })).toEqual(["/acme/shop", "/acme/slow"]);
  expect(shown({ filter: "busy" })).toEqual(["/acme/shop", "http://blog.example.com/"]);
  expect(shown({ column: "requests" })[0]).toBe("http://blog.example.com/");
  expect(shown({ column: "requests", isReversed: true })[0]).toBe("/acme/slow");
  expect(shown({ column: "health" })[0]).toBe("/acme/slow");
});

/** A change of a container. @param time when it was told */
function change(id: number, event: string, time = "t") {
  return {
    id: String(id),
    time,
    level: "info" as const,
    message: "",
    event,
    container: `c-${id}`,
  };
}

test("many changes of one moment are one line", () => {
  const changes = [
    change(1, "removed"),
    ...[2, 3, 4, 5].map((id) => change(id, "routed")),
    ...[6, 7].map((id) => change(id, "routed", "t2")),
  ];
  expect(groupsOf(changes, 9).map(({ length }) => length)).toEqual([1, 4, 1, 1]);
  expect(groupsOf(changes, 2).map(({ length }) => length)).toEqual([1, 4]);
});
