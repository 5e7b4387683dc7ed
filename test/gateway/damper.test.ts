// A container that comes and goes: told at first, then counted, and told when it is calm again.

import { beforeEach, expect, test } from "bun:test";
import { Damper } from "../../src/gateway/damper.ts";
import type { LogLine } from "../../src/lib/log.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

let damper: Damper;
/** In milliseconds since 1970. */
let now: number;

beforeEach(() => {
  damper = new Damper();
  now = 0;
});

function line(message: string, container = "web"): LogLine {
  return { level: "info", message, fields: { container, id: `id of ${container}` } };
}

/** What is told at once of so many changes, one after so many milliseconds each. */
function change(count: number, every: number, container?: string): string[] {
  return Array.from({ length: count }, (_, index) => {
    now += every;
    const told = [
      ...damper.settled(now),
      ...damper.damp(line(`change ${index + 1}`, container), now),
    ];
    return told.filter(({ level }) => level !== "debug").map(({ message }) => message);
  }).flat();
}

test("all is told of one that changes now and then", () => {
  for (let day = 0; day < 10; day++) {
    expect(change(11, SECOND)).toHaveLength(11);
    now += 5 * MINUTE;
  }
});

test("the first twelve changes are told of one that never rests, and then one line in 10 min", () => {
  // As Docker's restarts come after some: two lines a minute.
  const told = change(12, 30 * SECOND);
  expect(told.slice(11)).toEqual([
    "change 12",
    "container web comes and goes: 12 changes in 5 min; from now on that is told every 10 min",
  ]);
  expect(change(100, 30 * SECOND)).toEqual(
    [20, 40, 60, 80, 100].map(
      (last) =>
        `container web still comes and goes: 20 changes in 10 min, the last: change ${last}`,
    ),
  );
});

test("how it is is told once it is calm, and then all again", () => {
  change(15, SECOND);
  expect(damper.settled(now + 5 * MINUTE - 1)).toEqual([]);
  expect(damper.settled(now + 5 * MINUTE)).toEqual([
    {
      level: "warn",
      message: "container web has calmed down: 3 changes in 3 s, the last: change 15",
      fields: { event: "restless", container: "web", id: "id of web", lines: 15 },
    },
  ]);
  now += 5 * MINUTE;
  expect(change(11, SECOND)).toHaveLength(11);
});

test("nothing more is told of one that is calm right after it was called restless", () => {
  change(12, SECOND);
  expect(damper.settled(now + 5 * MINUTE)).toEqual([]);
});

test("what is held back is there for debugging", () => {
  change(12, SECOND);
  expect(damper.damp(line("more"), now)).toEqual([{ ...line("more"), level: "debug" }]);
});

test("one container does not hold back another, nor what is of none", () => {
  change(20, SECOND);
  expect(change(1, SECOND, "shop")).toEqual(["change 1"]);
  const reload: LogLine = { level: "info", message: "reload", fields: { event: "reload" } };
  for (let count = 0; count < 20; count++) expect(damper.damp(reload, now)).toEqual([reload]);
});
