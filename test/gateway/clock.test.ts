// When the loop goes on: tables of due times.

import { describe, expect, test } from "bun:test";
import {
  nextDue,
  quietEnd,
  withChange,
  withoutChange,
  type Due,
  type QuietPeriod,
  type Schedule,
} from "../../src/gateway/clock.ts";

const NOW = 1_000_000;
const CALM: QuietPeriod = { limits: { min: 200, max: 2_000 }, lastReload: -Infinity };
/** Changes wait for a quiet period that ends in 150 ms. */
const BUSY: QuietPeriod = {
  ...CALM,
  lastReload: NOW - 100,
  waiting: { since: NOW - 50, last: NOW - 50 },
};
/** Changes that should go by now. */
const OVERDUE: QuietPeriod = { ...BUSY, waiting: { since: NOW - 500, last: NOW - 500 } };

const IDLE: Schedule = { awake: false, connected: true, resyncAt: NOW + 60_000, quiet: CALM };

test.each<[string, Partial<Schedule>, Due["task"], after: number]>([
  ["nothing happens until everything is read again", {}, "resync", 60_000],
  ["an event causes a pass at once", { awake: true }, "pass", 0],
  ["what has just started is served first", { awake: true, notBefore: NOW + 7 }, "pass", 7],
  ["once it is served, the pass comes at once", { awake: true, notBefore: NOW - 1 }, "pass", 0],
  ["no pass without the Engine", { awake: true, connected: false }, "resync", 60_000],
  ["a container is read again at its time", { rereadAt: NOW + 300 }, "pass", 300],
  ["a container whose time is over is read at once", { rereadAt: NOW - 300 }, "pass", 0],
  ["a failed pass is tried again at its time", { retryAt: NOW + 4_000 }, "pass", 4_000],
  ["changes wait for the quiet period", { quiet: BUSY }, "pass", 150],
  ["changes go when the quiet period is over", { quiet: OVERDUE }, "pass", 0],
  ["failed changes wait for the retry", { quiet: OVERDUE, retryAt: NOW + 900 }, "pass", 900],
  ["a retry does not hold up an event", { awake: true, retryAt: NOW + 900 }, "pass", 0],
  ["a retry does not hold up a reread", { rereadAt: NOW + 10, retryAt: NOW + 900 }, "pass", 10],
  ["silent containers are looked for", { lateAt: NOW + 70 }, "late", 70],
  ["silent ones, without the Engine too", { lateAt: NOW + 70, connected: false }, "late", 70],
  ["a hold ends at its time", { holdAt: NOW + 80 }, "hold", 80],
  ["it ends without the Engine too", { holdAt: NOW - 80, connected: false }, "hold", 0],
  ["files are looked at", { filesAt: NOW + 90, connected: false }, "files", 90],
  ["at the same time, a pass comes first", { lateAt: NOW, awake: true }, "pass", 0],
  ["an overdue resync comes at once", { resyncAt: NOW - 5 }, "resync", 0],
  [
    "nothing is read without the Engine",
    { connected: false, rereadAt: NOW, retryAt: NOW, quiet: OVERDUE },
    "resync",
    60_000,
  ],
])("%s", (_, schedule, task, after) => {
  expect(nextDue({ ...IDLE, ...schedule }, NOW)).toEqual({ at: NOW + after, task });
});

describe("a quiet period of 200 ms, 2 s at most", () => {
  /** The time, what happens then, and how long changes still wait; in milliseconds. */
  type Step = readonly [at: number, what: "changed" | "reloaded" | "forget" | "look", left: number];

  test.each<[string, Step[]]>([
    ["nothing waits", [[0, "look", 0]]],
    ["the first change ever goes at once", [[0, "changed", 0]]],
    [
      "a change right after a reload waits for quiet",
      [
        [0, "reloaded", 0],
        [100, "changed", 200],
        [250, "look", 50],
        [300, "look", 0],
      ],
    ],
    [
      "every further change begins the quiet period again",
      [
        [0, "reloaded", 0],
        [100, "changed", 200],
        [250, "changed", 200],
        [400, "changed", 200],
        [600, "look", 0],
      ],
    ],
    [
      "no change waits longer than 2 s",
      [
        [0, "reloaded", 0],
        [100, "changed", 200],
        [2000, "changed", 100],
        [2050, "changed", 50],
        [2100, "changed", 0],
      ],
    ],
    [
      "the first change after a calm goes at once",
      [
        [0, "reloaded", 0],
        [1999, "changed", 101 + 99],
        [2300, "reloaded", 0],
        [4300, "changed", 0],
      ],
    ],
    [
      "a change that was taken back does not count",
      [
        [0, "reloaded", 0],
        [100, "changed", 200],
        [150, "forget", 0],
        [400, "changed", 200],
      ],
    ],
  ])("%s", (_, steps) => {
    let quiet: QuietPeriod = { limits: { min: 200, max: 2_000 }, lastReload: -Infinity };
    for (const [at, what, left] of steps) {
      if (what === "changed") quiet = withChange(quiet, at);
      if (what === "forget" || what === "reloaded") quiet = withoutChange(quiet);
      if (what === "reloaded") quiet = { ...quiet, lastReload: at };
      const end = quiet.waiting === undefined ? at : quietEnd(quiet);
      expect([at, Math.max(0, end - at)]).toEqual([at, left]);
      if (what !== "look") expect(quietEnd(quiet) === Infinity).toBe(what !== "changed");
    }
  });
});
