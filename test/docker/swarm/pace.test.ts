// How long until a manager is asked again.

import { expect, test } from "bun:test";
import {
  AFTER_EVENT,
  CALM,
  nextPause,
  QUICK,
  UNDERWAY_LIMIT,
  type Pace,
} from "../../../src/docker/swarm/pace.ts";

const CALM_SWARM: Pace = {
  now: 1_000_000,
  took: 3,
  isUnderway: false,
  changedAt: 0,
  eventAt: 0,
};
const { now } = CALM_SWARM;

test.each<[string, Partial<Pace>, number]>([
  ["in calm", {}, CALM],
  ["right after an event", { eventAt: now - AFTER_EVENT + 1 }, QUICK],
  ["some time after an event", { eventAt: now - AFTER_EVENT }, CALM],
  ["while something is under way", { isUnderway: true, changedAt: now - 1 }, QUICK],
  ["while a task waits for ever", { isUnderway: true, changedAt: now - UNDERWAY_LIMIT }, CALM],
  ["a change that is over", { changedAt: now }, CALM],
  ["a swarm with many tasks, under way", { isUnderway: true, changedAt: now, took: 200 }, 800],
  ["a swarm with many tasks, in calm", { took: 400 }, 1_600],
])("%s", (_, change, expected) => {
  expect(nextPause({ ...CALM_SWARM, ...change })).toBe(expected);
});
