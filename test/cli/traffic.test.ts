// The table of top: what went on between two looks, and its order.

import { describe, expect, test } from "bun:test";
import type { RouteRow } from "../../src/api/routes.ts";
import { sorted, trafficBetween, type Column } from "../../src/cli/top/traffic.ts";

function row(backend: string, rest: Partial<RouteRow> = {}): RouteRow {
  const counted = { requests: 0, errors: 0, current: 0, queued: 0, meanTime: 0, longestTime: 0 };
  const times = { p50Time: null, p95Time: null };
  return {
    route: `/${backend}`,
    backend,
    waiting: false,
    servers: [],
    ...counted,
    ...times,
    ...rest,
  };
}

function server(state: string): RouteRow["servers"][number] {
  return { container: "c", name: "n", address: "a", state, since: 0, requests: 0, errors: 0 };
}

describe("between two looks", () => {
  test("requests and errors are those of a second", () => {
    const [found] = trafficBetween(
      [row("a", { requests: 100, errors: 2 })],
      [row("a", { requests: 150, errors: 7, current: 3, p50Time: 12, longestTime: 90 })],
      2,
    );
    expect(found).toMatchObject({ requests: 25, errors: 2.5, current: 3, p50Time: 12 });
  });

  test("after a reload HAProxy counts from the start again", () => {
    const [found] = trafficBetween(
      [row("a", { requests: 1_000 })],
      [row("a", { requests: 30 })],
      1,
    );
    expect(found?.requests).toBe(30);
  });

  test("what is new has no rate yet", () => {
    const [found] = trafficBetween([], [row("a", { requests: 1_000 })], 1);
    expect(found?.requests).toBe(0);
  });

  test("the routes of one backend are one line, as HAProxy counts them together", () => {
    const rows = [
      row("a", { route: "/one" }),
      row("a", { route: "/two" }),
      row("b", { route: "" }),
    ];
    const found = trafficBetween(rows, rows, 1);
    expect(found.map(({ route, more }) => [route, more])).toEqual([
      ["/one", 1],
      ["b", 0],
    ]);
  });

  test("servers that are up are counted", () => {
    const servers = ["up", "down", "draining", "up"].map(server);
    expect(trafficBetween([], [row("a", { servers })], 1)[0]).toMatchObject({ up: 2, servers: 4 });
  });
});

test.each<[Column, boolean, string]>([
  ["r", false, "/b /a /c"],
  ["r", true, "/c /a /b"],
  ["e", false, "/a /b /c"],
  ["c", false, "/c /a /b"],
  ["t", false, "/b /c /a"],
  ["p", false, "/c /b /a"],
  ["m", false, "/a /c /b"],
  ["u", false, "/c /a /b"],
  ["n", false, "/a /b /c"],
  ["n", true, "/c /b /a"],
])("sorted by %s, reversed: %j", (column, isReversed, order) => {
  const before = [row("c"), row("a"), row("b")];
  const after = [
    row("c", {
      requests: 1,
      current: 9,
      p50Time: 5,
      p95Time: 6,
      longestTime: 5,
      servers: [server("up")],
    }),
    row("a", { requests: 2, errors: 1, current: 2, p50Time: null, longestTime: 9 }),
    row("b", { requests: 3, current: 1, p50Time: 9, p95Time: 5, longestTime: 1 }),
  ];
  const rows = sorted(trafficBetween(before, after, 1), column, isReversed);
  expect(rows.map(({ route }) => route).join(" ")).toBe(order);
});
