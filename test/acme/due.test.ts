// When a certificate is asked for: for the first time, after failures, and before it ends.

import { describe, expect, test } from "bun:test";
import {
  begin,
  canGo,
  fail,
  nextOrder,
  NOTHING,
  succeed,
  type Memory,
  type Outcome,
  type Question,
} from "../../src/acme/due.ts";

const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000] as const;
const NOW = 1_000 * DAY;
const HERE = "https://ca.test/dir";

/** A certificate of 90 days that is so old. */
function aged(days: number, names = ["a.test"]) {
  const notBefore = NOW - days * DAY;
  return { notBefore, notAfter: notBefore + 90 * DAY, names };
}

function ask(question: Partial<Question> = {}): { in: number; why: string } {
  const { at, why } = nextOrder({
    names: ["a.test"],
    directory: HERE,
    wantedSince: NOW,
    certificate: undefined,
    memory: NOTHING,
    others: [],
    chance: 0,
    ...question,
  });
  return { in: at - NOW, why };
}

function memory(news: Partial<Memory>): Memory {
  return { ...NOTHING, directory: HERE, ...news };
}

/** What is remembered after so many failures of one kind, the last one now. */
function failed(count: number, outcome: Outcome): Memory {
  let known = NOTHING;
  for (let each = 0; each < count; each++) {
    if (outcome !== "here") known = begin(known, ["a.test"], NOW);
    known = fail(known, outcome, NOW - (count - 1 - each) * 2 * DAY, outcome !== "here");
  }
  return known;
}

test("a route that came is left for a moment", () => {
  expect(ask()).toEqual({ in: 2_000, why: "first" });
});

test.each([
  ["refused", 1, 5 * MINUTE],
  ["refused", 2, 15 * MINUTE],
  ["refused", 4, HOUR],
  ["refused", 20, DAY],
  ["authority", 1, MINUTE],
  ["authority", 20, HOUR],
  ["here", 1, 10_000],
  ["here", 20, 10 * MINUTE],
] as const)("after %s, %i times", (outcome, count, pause) => {
  expect(ask({ memory: failed(count, outcome) }).in).toBe(pause);
});

test("a try that ended with the gateway is gone on with at once, and not for ever", () => {
  const once = begin(NOTHING, ["a.test"], NOW);
  expect(ask({ memory: once, wantedSince: NOW - MINUTE }).in).toBe(0);
  expect(ask({ memory: begin(once, ["a.test"], NOW) }).in).toBe(MINUTE);
});

test("a failure of another kind begins with the first pause again", () => {
  expect(ask({ memory: fail(failed(8, "refused"), "here", NOW, false) }).in).toBe(10_000);
});

test("a name has never more than five failures in an hour, whatever asks for it", () => {
  const tries = [50, 40, 30, 20, 10].map((minutes) => ({
    at: NOW - minutes * MINUTE,
    outcome: "refused" as const,
  }));
  expect(ask({ others: tries }).in).toBe(10 * MINUTE);
  expect(ask({ others: tries.slice(1) }).in).toBe(2_000);
  let at = NOW;
  let known = NOTHING;
  const all: number[] = [];
  while (at < NOW + DAY) {
    at = NOW + ask({ memory: known }).in;
    all.push(at);
    known = fail(begin(known, ["a.test"], at), "refused", at, true);
  }
  for (const first of all) {
    expect(all.filter((each) => each >= first && each < first + HOUR).length).toBeLessThan(6);
  }
});

test("what an authority says of the next try counts", () => {
  const known = fail(begin(NOTHING, [], NOW), "refused", NOW, true, NOW + 3 * HOUR);
  expect(ask({ memory: known }).in).toBe(3 * HOUR);
});

describe("a certificate of 90 days", () => {
  test.each([
    ["it is renewed after 60 days", { certificate: aged(0) }, 60 * DAY],
    ["or up to three days before that", { certificate: aged(0), chance: 1 }, 57 * DAY],
    ["it is renewed at once if it is old", { certificate: aged(80) }, -20 * DAY],
  ])("%s", (_, question, expected) => {
    expect(ask(question)).toEqual({ in: expected, why: "renewal" });
  });

  test("the authority's own window counts, at a moment of one's own in it", () => {
    const window = { start: NOW + 10 * DAY, end: NOW + 12 * DAY };
    const question = { certificate: aged(40), memory: memory({ window }) };
    expect(ask({ ...question, chance: 0.5 }).in).toBe(11 * DAY);
  });

  test("a window in the past is now, however young the certificate is", () => {
    const window = { start: NOW - 2 * HOUR, end: NOW - HOUR };
    expect(ask({ certificate: aged(1), memory: memory({ window }) }).in).toBeLessThanOrEqual(0);
  });

  test("a window behind its end does not let it end", () => {
    const window = { start: NOW + 500 * DAY, end: NOW + 501 * DAY };
    expect(ask({ certificate: aged(0), memory: memory({ window }) }).in).toBe(81 * DAY);
  });

  test("one that a wrong clock takes for old is not renewed again and again", () => {
    const issued = [NOW];
    const { in: left } = ask({ certificate: aged(200), memory: memory({ issued }) });
    expect(left).toBe(DAY);
  });

  test("one of another authority, or with too few names, is made anew", () => {
    const other = memory({ directory: "https://staging.test/dir" });
    expect(ask({ certificate: aged(1), memory: other })).toEqual({ in: 2_000, why: "authority" });
    const names = ["a.test", "b.test"];
    expect(ask({ certificate: aged(1), memory: memory({}), names }).why).toBe("names");
    const more = aged(1, ["a.test", "b.test", "c.test"]);
    expect(ask({ certificate: more, memory: memory({}), names }).why).toBe("renewal");
  });

  test("names that come and go cost five certificates a week", () => {
    const issued = [6, 5, 4, 3, 2].map((days) => NOW - days * DAY);
    const question = { certificate: aged(1), names: ["b.test"] };
    expect(ask({ ...question, memory: memory({ issued }) }).in).toBe(DAY);
    expect(ask({ ...question, memory: memory({ issued: issued.slice(1) }) }).in).toBe(2_000);
  });
});

test("a certificate ends what was tried before, and is counted for a week", () => {
  const known = succeed(
    memory({ ...failed(3, "refused"), reason: "it was away", issued: [NOW - 8 * DAY] }),
    HERE,
    NOW,
  );
  expect(known).toMatchObject({
    tries: [],
    reason: "",
    issued: [NOW],
    directory: HERE,
    notBefore: 0,
  });
});

test("files stay for 30 days after their route", () => {
  expect(canGo(NOTHING, NOW)).toBe(false);
  expect(canGo(memory({ unwantedSince: NOW - 29 * DAY }), NOW)).toBe(false);
  expect(canGo(memory({ unwantedSince: NOW - 31 * DAY }), NOW)).toBe(true);
});
