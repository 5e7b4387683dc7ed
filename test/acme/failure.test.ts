// What an authority's errors mean, and when it may be asked again.

import { expect, test } from "bun:test";
import { failureOf, parseProblem, Refused, toFailure } from "../../src/acme/failure.ts";
import { retryTime } from "../../src/acme/transport.ts";

const NAMESPACE = "urn:ietf:params:acme:error:";

test.each([
  ["dns", "refused", /address/],
  ["unauthorized", "refused", /another answer/],
  ["rateLimited", "refused", /too many requests/],
  ["serverInternal", "authority", /refuses/],
  ["of tomorrow", "refused", /refuses \(it says: words\)/],
])("%s is %s", (type, outcome, pattern) => {
  const failure = failureOf(parseProblem({ type: NAMESPACE + type, detail: "words" }));
  expect<string>(failure.outcome).toBe(outcome);
  expect(failure.message).toMatch(pattern);
});

test("what it says is one line, however long, with what it says of each name", () => {
  const subproblems = [{ detail: "a\nb" }, { detail: 3 }, null];
  expect(parseProblem({ detail: "x", subproblems }).detail).toBe("x; a b");
  expect(parseProblem({ detail: "y".repeat(9_000) }).detail).toHaveLength(500);
  for (const odd of [undefined, null, 3, "text", []]) expect(parseProblem(odd).type).toBe("");
});

test("an answer that is none of an authority's is no failure of the name", () => {
  for (const status of [404, 429, 500, 503]) {
    const refused = new Refused(status, parseProblem("<html>"), 7);
    expect(toFailure(refused, "ca.test")).toMatchObject({ outcome: "authority" });
  }
  const limited = new Refused(429, parseProblem({ type: `${NAMESPACE}rateLimited` }), 7);
  expect(toFailure(limited, "ca.test")).toMatchObject({ outcome: "refused", notBefore: 7 });
});

test.each([
  [undefined, 0],
  ["120", 121_000],
  ["0", 0],
  ["Thu, 01 Jan 1970 00:01:00 GMT", 60_000],
  ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
  ["soon", 0],
  ["99999999999", 1_000 + 7 * 86_400_000],
])("Retry-After: %s", (value, expected) => {
  expect(retryTime(value, 1_000)).toBe(expected);
});
