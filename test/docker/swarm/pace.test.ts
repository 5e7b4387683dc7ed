// How long until a manager is asked again.

import { expect, test } from "bun:test";
import {
  AFTER_EVENT,
  COUNT,
  isQuick,
  pauseAfter,
  QUICK,
  UNDERWAY_LIMIT,
  untilNextCount,
  type Pace,
} from "../../../src/docker/swarm/pace.ts";

const CALM_SERVICE: Pace = { isUnderway: false, changedAt: 0, eventAt: 0 };
const now = 1_000_000;

test.each<[string, Partial<Pace>, boolean]>([
  ["in calm", {}, false],
  ["right after an event", { eventAt: now - AFTER_EVENT + 1 }, true],
  ["some time after an event", { eventAt: now - AFTER_EVENT }, false],
  ["while something is under way", { isUnderway: true, changedAt: now - 1 }, true],
  ["while a task waits for ever", { isUnderway: true, changedAt: now - UNDERWAY_LIMIT }, false],
  ["a change that is over", { changedAt: now }, false],
])("%s", (_, change, expected) => {
  expect(isQuick({ ...CALM_SERVICE, ...change }, now)).toBe(expected);
});

test("a manager that is slow is asked less often", () => {
  expect([pauseAfter(3, QUICK), pauseAfter(400, QUICK)]).toEqual([QUICK, 200]);
  expect([untilNextCount(10), untilNextCount(400)]).toEqual([COUNT - 10, 200]);
});
