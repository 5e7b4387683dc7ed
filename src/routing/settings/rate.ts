// Reads how many requests one client may send.

import { durationOf } from "../../lib/durations.ts";

const MOST = 1_000_000;
const parsePeriod = durationOf(1_000, 3_600_000);

/** A number of requests in a time, as `100/1m`. */
export function parseRate(text: string): string | undefined {
  const [, count = "", time = ""] = /^([1-9]\d{0,6})\/(\w+)$/.exec(text) ?? [];
  const period = parsePeriod(time);
  return period === undefined || Number(count) > MOST ? undefined : `${count}/${period}`;
}

/** A number of requests at once. */
export function parseBurst(text: string): string | undefined {
  return /^[1-9]\d{0,6}$/.test(text) && Number(text) <= MOST ? text : undefined;
}
