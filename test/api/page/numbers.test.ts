// How the page at --admin writes numbers and draws curves.

import { describe, expect, test } from "bun:test";
import { curve, topOf } from "../../../src/api/admin/page/curve.js";
import { ago, count, duration, rate, span } from "../../../src/api/admin/page/numbers.js";

test("numbers as a person reads them", () => {
  expect([null, undefined, 0, 0.01, 0.049, 0.05, 3.14, 9.94, 9.96, 1234.5].map(rate)).toEqual([
    "–",
    "–",
    "0",
    "< 0.1",
    "< 0.1",
    "0.1",
    "3.1",
    "9.9",
    "10",
    "1,235",
  ]);
  expect([null, 0.2, 4.4, 999.4, 999.6, 12_345].map(duration)).toEqual([
    "–",
    "< 1 ms",
    "4 ms",
    "999 ms",
    "1.0 s",
    "12.3 s",
  ]);
  expect([-1, 59.9, 60, 3_599, 3_600, 172_799, 172_800].map(span)).toEqual([
    "0 s",
    "59 s",
    "1 min",
    "59 min",
    "1 h",
    "47 h",
    "2 days",
  ]);
  const now = Date.parse("2026-11-29T12:00:00Z");
  expect(ago("2026-11-29T12:00:00.5Z", now)).toBe("now");
  expect(ago("2026-11-29T11:58:00Z", now)).toBe("2 min ago");
  expect([count(0, "route"), count(1, "route"), count(1_000, "route")]).toEqual([
    "0 routes",
    "1 route",
    "1,000 routes",
  ]);
});

describe("a curve", () => {
  const size = { width: 100, height: 10, slots: 5, top: 10 };

  test("ends at the right, and has a gap where nothing is known", () => {
    expect(curve([0, 10, null, 5, 20], size)).toEqual({
      line: "M0 10L25 0M75 5L100 0",
      area: "M0 10L0 10L25 0L25 10ZM75 10L75 5L100 0L100 10Z",
    });
    expect(curve([5], size).line).toBe("M100 5L100.5 5");
    expect(curve([null], size)).toEqual({ line: "", area: "" });
  });

  test.each([
    [[], 1],
    [[null, 0], 1],
    [[0.03], 0.05],
    [[1], 1],
    [[3, 1.2, null], 5],
    [[101], 200],
    [[1_000], 1_000],
  ])("of %j has its top at %d", (values, top) => {
    expect(topOf(values)).toBeCloseTo(top);
  });
});
