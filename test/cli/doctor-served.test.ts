// What doctor says is not served: containers without a route, routes without an answer, and labels of no use.

import { expect, test } from "bun:test";
import { judgeServed } from "../../src/cli/doctor/served.ts";
import type { StateDocument } from "../../src/api/state.ts";

type Row = StateDocument["routes"][number];

function route(name: string, servers: Record<string, string>, waiting = false): Row {
  return {
    route: name,
    waiting,
    servers: Object.entries(servers).map(([container, state]) => ({ container, state })),
  } as unknown as Row;
}

function documentOf(routes: readonly Row[], warnings: readonly string[] = []): StateDocument {
  return { routes, warnings, notRouted: [], refusals: [] } as unknown as StateDocument;
}

test("a route whose containers do not answer, but none that has one, waits, or is none", () => {
  const routes = [
    route("/shop", { "shop-1": "up", "shop-2": "down" }),
    route("/wiki", { "wiki-1": "down", "wiki-2": "disabled" }),
    route("/desk", {}),
    route("/soon", { "soon-1": "down" }, true),
    route("", { other: "down" }),
  ];
  expect(judgeServed(documentOf(routes))).toEqual({
    level: "warning",
    lines: [
      "not everything that asks for a route",
      "/wiki: no container answers (wiki-1 is down, wiki-2 is disabled)",
      "/desk: no container answers",
      "explain CONTAINER tells more",
    ],
  });
});

test("of very many only some are named", () => {
  const routes = Array.from({ length: 23 }, (_, index) => route(`/app-${index}`, { one: "down" }));
  const { lines } = judgeServed(documentOf(routes));
  expect([lines.length, lines.at(-2)]).toEqual([23, "and 3 more routes that no container answers"]);
});

test("what labels say and is of no use", () => {
  const warning = "container shop-1: label gateway.allow=x: it is no address";
  expect(judgeServed(documentOf([route("/shop", { one: "up" })], [warning])).lines[1]).toBe(
    warning,
  );
});

test("where all is well, and where no gateway runs", () => {
  const well = { level: "ok", lines: ["nothing is left out that asks for a route"] };
  expect(judgeServed(documentOf([route("/shop", { one: "up" })]))).toEqual(well as never);
  expect(judgeServed({ notRouted: [], refusals: [] })).toEqual(well as never);
});
