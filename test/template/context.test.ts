// How HAProxy tries again, so that requests wait as long as they should.

import { expect, test } from "bun:test";
import { holdOptions, keepAliveOptions } from "../../src/template/context.ts";

test.each([
  [10_000, false, { hold: 10_000, connectTimeout: 70, retries: 143 }],
  [60_000, false, { hold: 60_000, connectTimeout: 70, retries: 858 }],
  [300, false, { hold: 300, connectTimeout: 70, retries: 20 }],
  // A connection to another machine takes its time.
  [10_000, true, { hold: 10_000, connectTimeout: 1_000, retries: 20 }],
  [60_000, true, { hold: 60_000, connectTimeout: 1_000, retries: 60 }],
  [0, false, { hold: 0, connectTimeout: 70, retries: 20 }],
])("a hold of %d ms, on another machine: %p", (hold, isRemote, expected) => {
  expect(holdOptions(hold, isRemote)).toEqual(expected);
});

/** What a server that is removed gets for its requests, in seconds: see SHORTEST_GRACE in src/gateway/termination.ts. */
const GRACE = 10;

test.each([
  ["this machine, before its requests are closed", false, (seconds: number) => seconds < GRACE],
  [
    "another machine, whose network may be away for a while",
    true,
    (seconds: number) => seconds >= 60,
  ],
])("when a container that is gone without a word is noticed, on %s", (_, isRemote, isInTime) => {
  const { idle, interval, count } = keepAliveOptions(isRemote).keepAlive;
  expect(isInTime(idle + interval * count)).toBe(true);
});
