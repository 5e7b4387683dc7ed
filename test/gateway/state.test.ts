// The published state: the last changes, what is new in it, its one line, and what is logged of it.

import { describe, expect, test } from "bun:test";
import { logState } from "../../src/gateway/report.ts";
import {
  changesSince,
  firstState,
  statusLine,
  withChanges,
  type Change,
  type State,
} from "../../src/gateway/state.ts";
import type { Container, Model } from "../../src/model.ts";
import { route } from "../../src/routing/routing.ts";
import { container, HOST, ROUTING, snapshot } from "../lab/make.ts";
import { listLogger } from "../lab/proxy.ts";

const FIRST = firstState("played", 0);

function model(...containers: readonly Container[]): Model {
  return route(snapshot(containers), HOST, ROUTING);
}

/** Reloads, told apart by how long they took. */
function reloads(from: number, count: number): Change[] {
  return Array.from({ length: count }, (_, index) => {
    return { event: "reload", reasons: [`r${from + index}`], ms: from + index, at: 0 } as const;
  });
}

const numberOf = (change: Change | undefined): number | undefined =>
  change?.event === "reload" ? change.ms : undefined;
const numbers = (changes: readonly Change[]): (number | undefined)[] => changes.map(numberOf);

describe("changes", () => {
  test("the last 1,000 are kept, and all are counted", () => {
    const most = withChanges(FIRST, reloads(0, 999));
    expect([most.changes.length, most.counters.changes]).toEqual([999, 999]);
    const more = withChanges(most, reloads(999, 3));
    expect([more.changes.length, more.counters.changes]).toEqual([1_000, 1_002]);
    expect([numberOf(more.changes[0]), numberOf(more.changes.at(-1))]).toEqual([2, 1_001]);
    expect(FIRST.changes).toEqual([]);
    const { changes, ...counters } = more.counters;
    expect(changes).toBe(1_002);
    expect(counters).toEqual({ reloads: 0, runtimeChanges: 0, failures: 0 });
  });

  test.each([
    [0, 0, []],
    [5, 0, []],
    [0, 2, [0, 1]],
    [5, 2, [5, 6]],
    [999, 3, [999, 1_000, 1_001]],
    [1_500, 1, [1_500]],
  ])("after %d changes, %d more are exactly what is new", (before, more, expected) => {
    const old = withChanges(FIRST, reloads(0, before));
    expect(numbers(changesSince(old, withChanges(old, reloads(before, more))))).toEqual(expected);
  });

  test("of several states", () => {
    const one = withChanges(FIRST, reloads(0, 2));
    const two = withChanges(withChanges(one, reloads(2, 1)), reloads(3, 2));
    expect(numbers(changesSince(one, two))).toEqual([2, 3, 4]);
    expect(numbers(changesSince(FIRST, two))).toEqual([0, 1, 2, 3, 4]);
  });

  test("the changes of one pass are all kept, and only the last ones of several", () => {
    const one = withChanges(FIRST, reloads(0, 1_200));
    expect(changesSince(FIRST, one)).toHaveLength(1_200);
    expect(changesSince(FIRST, withChanges(one, reloads(0, 1)))).toHaveLength(1_000);
  });
});

describe("its line", () => {
  const engine = { name: "played", connected: true };
  const two = model(container("a"), container("b", { image: "b" }));

  test.each<[string, Partial<State>, string]>([
    ["before the first pass", { engine }, "waiting for Docker"],
    ["without Docker at first", {}, "waiting for Docker"],
    ["no route", { engine, applied: model() }, "0 routes, last change 5 s ago"],
    ["one", { engine, applied: model(container("a")) }, "1 route, last change 5 s ago"],
    ["two", { engine, applied: two }, "2 routes, last change 5 s ago"],
    ["without Docker", { applied: two }, "2 routes, last change 5 s ago, waiting for Docker"],
  ])("%s", (_, rest, expected) => {
    expect(statusLine({ ...FIRST, ...rest }, 5_000)).toBe(expected);
  });
});

test("the log has each change and each complaint once, complaints first, in order", () => {
  const lines: string[] = [];
  const tell = logState(listLogger(lines), "gateway.");
  const bad = container("bad", { image: "a b" });
  const complaint =
    'warn: not routed: container bad (image a b): image "a b" has no valid repository, hence no path';
  let state = FIRST;
  const publish = (next: State): string[] => {
    lines.length = 0;
    tell(next, state);
    state = next;
    return [...lines];
  };
  const desired = model(bad);
  expect(publish({ ...state, desired })).toEqual([complaint]);
  expect(publish({ ...state, desired })).toEqual([]);
  expect(publish(withChanges(state, reloads(1, 2)))).toEqual([
    "reload: r1 (1 ms)",
    "reload: r2 (2 ms)",
  ]);
  expect(publish({ ...state, haproxy: { version: "3.4.7", doubt: undefined } })).toEqual([]);
  // It is the same complaint in another model.
  expect(publish({ ...state, desired: model(bad) })).toEqual([]);
  expect(publish({ ...withChanges(state, reloads(3, 1)), desired: model() })).toEqual([
    "reload: r3 (3 ms)",
  ]);
  expect(publish({ ...withChanges(state, reloads(4, 1)), desired: model(bad) })).toEqual([
    complaint,
    "reload: r4 (4 ms)",
  ]);
});
