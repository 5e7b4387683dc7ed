// What goes on at each backend, from two looks at what HAProxy counted. Pure.

import type { RouteRow } from "../../api/routes.ts";
import { grown } from "../../haproxy/runtime/stats.ts";
import { compare } from "../../lib/text.ts";

/** A line of the table: a backend with all its routes, as HAProxy counts them together. */
export interface Traffic {
  /** The first one, or the name of the backend if no map leads to it. */
  readonly route: string;
  /** How many other routes it has. */
  readonly more: number;
  /** Requests a second. */
  readonly requests: number;
  /** Answers of status 500 to 599 a second, by HAProxy too. */
  readonly errors: number;
  /** Requests under way. */
  readonly current: number;
  /**
   * How long it took until the answer's headers, in milliseconds: half of the requests of the last minute, and 95 % of
   * them (null: there was none), the mean of the last 1,024, and the longest one since the last reload.
   */
  readonly p50Time: number | null;
  readonly p95Time: number | null;
  readonly meanTime: number;
  readonly longestTime: number;
  readonly up: number;
  readonly servers: number;
  readonly waiting: boolean;
}

/** What the table can be sorted by: the key to press, and the title of the column. */
export const COLUMNS = {
  r: "REQ/S",
  e: "5XX/S",
  c: "NOW",
  t: "P50 MS",
  p: "P95 MS",
  m: "MAX MS",
  u: "UP",
  n: "ROUTE",
} as const;
export type Column = keyof typeof COLUMNS;

/**
 * Finds what went on between two looks.
 * @param seconds how long the time between them was
 */
export function trafficBetween(
  before: readonly RouteRow[],
  after: readonly RouteRow[],
  seconds: number,
): readonly Traffic[] {
  const earlier = new Map(before.map((row) => [row.backend, row]));
  return [...Map.groupBy(after, ({ backend }) => backend)].flatMap(([backend, rows]): Traffic[] => {
    const [row] = rows;
    if (row === undefined) return [];
    const { servers, current, p50Time, p95Time, meanTime, longestTime, waiting } = row;
    const was = earlier.get(backend);
    const rate = (name: "requests" | "errors"): number =>
      was === undefined ? 0 : grown(was[name], row[name]) / seconds;
    return [
      {
        route: row.route || backend,
        more: rows.length - 1,
        requests: rate("requests"),
        errors: rate("errors"),
        current,
        p50Time,
        p95Time,
        meanTime,
        longestTime,
        up: servers.filter(({ state }) => state === "up").length,
        servers: servers.length,
        waiting,
      },
    ];
  });
}

const VALUES: Readonly<Record<Exclude<Column, "n">, (row: Traffic) => number>> = {
  r: ({ requests }) => requests,
  e: ({ errors }) => errors,
  c: ({ current }) => current,
  t: ({ p50Time }) => p50Time ?? -1,
  p: ({ p95Time }) => p95Time ?? -1,
  m: ({ longestTime }) => longestTime,
  u: ({ up }) => up,
};

/**
 * Sorts the lines: numbers from the largest down, routes by their names.
 * @param isReversed the other way round
 */
export function sorted(
  rows: readonly Traffic[],
  column: Column,
  isReversed: boolean,
): readonly Traffic[] {
  const byName = (a: Traffic, b: Traffic): number => compare(a.route, b.route);
  const value = column === "n" ? undefined : VALUES[column];
  const order = rows.toSorted((a, b) =>
    value === undefined ? byName(a, b) : value(b) - value(a) || byName(a, b),
  );
  return isReversed ? order.toReversed() : order;
}
