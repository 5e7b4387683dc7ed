// Which services a manager is asked about next.

import { beforeEach, describe, expect, test } from "bun:test";
import { AFTER_EVENT, CALM, QUICK } from "../../../src/docker/swarm/pace.ts";
import { MOST_SERVICES, PORTION, Rota } from "../../../src/docker/swarm/rota.ts";

const NOW = 1_000_000;
const CALMLY = { size: 10, running: 10, hasChanged: false, isUnderway: false };

let rota: Rota;
beforeEach(() => {
  rota = new Rota();
});

/** Takes in so many services. @param size how many tasks each has */
function add(count: number, size: number): void {
  for (let index = 0; index < count; index++) rota.add(`s${index}`, size);
}

/** Notes that these were told, and that nothing is under way there. */
function tell(ids: readonly string[], now: number): void {
  for (const id of ids) rota.told(id, CALMLY, rota.question(), now);
}

/** How many tasks of one service run, as the manager counts them, and as it tells them. */
function countRunning(running: number): string[][] {
  return rota.counted(new Map([["s7", running]]), NOW);
}

function tellRunning(running: number): void {
  rota.told("s7", { ...CALMLY, running }, rota.question(), NOW);
}

describe("a swarm of one portion", () => {
  test("is asked for as a whole", () => {
    add(10, PORTION / 10);
    expect([rota.isWhole, rota.tasks, rota.pause(NOW)]).toEqual([true, PORTION, CALM]);
    rota.add("more", 1);
    expect([rota.isWhole, rota.tasks]).toEqual([false, PORTION + 1]);
    rota.drop("more");
    expect(rota.isWhole).toBe(true);
  });

  test("is asked quickly after any event", () => {
    add(1, 1);
    rota.note([], NOW);
    expect([rota.pause(NOW), rota.pause(NOW + AFTER_EVENT)]).toEqual([QUICK, CALM]);
  });
});

describe("a large swarm", () => {
  beforeEach(() => add(1_000, 10));

  test("in calm, all services have their turn, one portion a second", () => {
    const seen = new Map<string, number>();
    let now = NOW;
    for (let turn = 0; turn < 10; turn++, now += CALM) {
      const [ids = [], ...others] = rota.next(now);
      expect(others).toEqual([]);
      expect(ids.length).toBe(Math.min(MOST_SERVICES, PORTION / 10));
      for (const id of ids) seen.set(id, (seen.get(id) ?? 0) + 1);
      tell(ids, now);
      expect(rota.next(now + CALM - 1)).toEqual([]);
    }
    expect([seen.size, Math.max(...seen.values())]).toEqual([1_000, 1]);
  });

  test("where something is under way is asked each time, and the others have their turns", () => {
    rota.next(NOW);
    rota.note(["s7", "s8"], NOW);
    expect([rota.next(NOW + QUICK), rota.pause(NOW)]).toEqual([[["s7", "s8"]], QUICK]);
    const later = rota.next(NOW + CALM);
    expect([later[0], later[1]?.length, later.length]).toEqual([["s7", "s8"], MOST_SERVICES, 2]);
    const changing = { ...CALMLY, hasChanged: true, isUnderway: true };
    rota.told("s7", changing, rota.question(), NOW + AFTER_EVENT);
    expect(rota.next(NOW + AFTER_EVENT)[0]).toEqual(["s7"]);
    expect(rota.next(NOW + AFTER_EVENT + 1)).toEqual([["s7"]]);
  });

  test("of too many at once, two portions are asked for, of those first that waited longest", () => {
    const ids = Array.from({ length: 350 }, (_, index) => `s${index}`);
    rota.next(NOW);
    rota.note(ids, NOW);
    const asked: string[] = [];
    for (let turn = 1; turn <= 2; turn++) {
      const now = NOW + turn * QUICK;
      const next = rota.next(now);
      expect(next.map(({ length }) => length)).toEqual([MOST_SERVICES, MOST_SERVICES]);
      tell(next.flat(), now);
      asked.push(...next.flat());
    }
    expect(new Set(asked)).toEqual(new Set(ids));
  });

  test("what waits for ever is asked every second", () => {
    rota.told("s999", { ...CALMLY, isUnderway: true }, rota.question(), NOW);
    expect(rota.next(NOW).flat()).not.toContain("s999");
    expect(rota.next(NOW + CALM)[0]?.[0]).toBe("s999");
  });

  describe("of a service with ten tasks that run", () => {
    beforeEach(() => {
      tellRunning(10);
      expect(countRunning(10)).toEqual([]);
    });

    test("another number has it asked about, until it is told", () => {
      expect(countRunning(9)).toEqual([["s7"]]);
      rota.next(NOW);
      // It may be about to change again.
      expect(rota.next(NOW + QUICK)).toEqual([["s7"]]);
      // There is no answer yet.
      expect(countRunning(9)).toEqual([]);
      tellRunning(9);
      expect(countRunning(9)).toEqual([]);
    });

    test("so does the same number where another one was told meanwhile", () => {
      tellRunning(11);
      expect(countRunning(10)).toEqual([["s7"]]);
      tellRunning(10);
      expect(countRunning(10)).toEqual([]);
    });

    test("some that are counted and not told are asked about once, and others are noticed beside them", () => {
      expect(countRunning(12)).toEqual([["s7"]]);
      tellRunning(10);
      expect([countRunning(12), countRunning(12)]).toEqual([[], []]);
      // As many as are told are two less than there are to be.
      expect(countRunning(10)).toEqual([["s7"]]);
      tellRunning(8);
      expect(countRunning(10)).toEqual([]);
    });

    test("a service that is not known is left out", () => {
      expect(rota.counted(new Map([["unknown", 1]]), NOW)).toEqual([]);
    });
  });

  test("an answer is late where one to a later question was taken over", () => {
    const [first, second] = [rota.question(), rota.question()];
    rota.told("s7", CALMLY, second, NOW);
    expect([first, second].map((each) => rota.isLate("s7", each))).toEqual([true, false]);
    expect(rota.isLate("s8", first)).toBe(false);
  });

  test("all of it is read in portions, and a service that is one alone", () => {
    rota.add("huge", 3 * PORTION);
    const portions = rota.portions();
    expect([portions.length, portions.at(-1)]).toEqual([11, ["huge"]]);
    expect(new Set(portions.flat()).size).toBe(1_001);
  });
});
