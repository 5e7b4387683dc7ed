// The log's lines, as text, for the journal, and as JSON.

import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { GatewayError } from "../../src/lib/errors.ts";
import {
  createLogger,
  LOG_LEVELS,
  RepeatedFailure,
  type Logger,
  type LogLevel,
} from "../../src/lib/log.ts";

const TIME = "2026-01-02T03:04:05.678Z";

function lines(
  options: { level?: LogLevel; format?: "text" | "json"; journal?: boolean },
  write: (log: Logger) => void,
): string[] {
  const written: string[] = [];
  const log = createLogger({
    level: "debug",
    format: "text",
    journal: false,
    ...options,
    write: (line) => written.push(line),
    now: () => new Date(TIME),
  });
  write(log);
  return written;
}

function logAll(log: Logger): void {
  for (const level of LOG_LEVELS) log[level](`a ${level}`, { route: "/foo", ms: 12 });
}

function logLineBreaks(log: Logger): void {
  log.info("a\nb\r\n<3>c");
}

const FAILURE = new GatewayError("config", "Cannot x: y", { lines: ["[ALERT] z"], hint: "do" });

test("text has the time, and the level if it is not info", () => {
  expect(lines({}, logAll)).toEqual([
    `${TIME} debug: a debug`,
    `${TIME} a info`,
    `${TIME} warn: a warn`,
    `${TIME} error: a error`,
  ]);
});

test("the journal gets a priority and no time, which it adds itself", () => {
  expect(lines({ journal: true }, logAll)).toEqual([
    "<7>debug: a debug",
    "<6>a info",
    "<4>warn: a warn",
    "<3>error: a error",
  ]);
});

test("JSON has one object with all fields in each line, for the journal too", () => {
  const written = lines({ format: "json", journal: true }, logAll);
  expect(written.map((line) => JSON.parse(line) as unknown)).toEqual(
    LOG_LEVELS.map((level) => ({
      time: TIME,
      level,
      message: `a ${level}`,
      route: "/foo",
      ms: 12,
    })),
  );
});

test.each<[LogLevel, number]>([
  ["debug", 4],
  ["info", 3],
  ["warn", 2],
  ["error", 1],
])("level %s logs %i of the four levels", (level, count) => {
  expect(lines({ level }, logAll)).toHaveLength(count);
  expect(lines({ level, format: "json" }, logAll)).toHaveLength(count);
});

test("a line break in a message does not start a new line", () => {
  expect(lines({}, logLineBreaks)).toEqual([`${TIME} a b <3>c`]);
  expect(lines({ format: "json" }, logLineBreaks)).toHaveLength(1);
  expect(lines({ format: "json" }, logLineBreaks)[0]).not.toContain("\n");
});

test("a failure is several lines of text", () => {
  expect(lines({}, (log) => log.failure(FAILURE, "trying again"))).toEqual([
    `${TIME} error: Cannot x: y (trying again)`,
    `${TIME} error:   [ALERT] z`,
    `${TIME} error:   hint: do`,
  ]);
  expect(lines({}, (log) => log.failure(new Error("x")))).toEqual([`${TIME} error: x`]);
});

test("a failure is one line of JSON", () => {
  const [line = "", ...others] = lines({ format: "json" }, (log) => log.failure(FAILURE, "note"));
  expect(others).toEqual([]);
  expect(JSON.parse(line)).toEqual({
    time: TIME,
    level: "error",
    message: "Cannot x: y (note)",
    details: ["[ALERT] z", "hint: do"],
  });
});

/** What is told, of failures after so many seconds each; an empty one is none: it works again. */
function told(steps: readonly [after: number, message: string][]): string[] {
  const notes: string[] = [];
  const log: Pick<Logger, "failure"> = {
    failure: (error, note) => void notes.push(`${(error as Error).message} (${note})`),
  };
  const failure = new RepeatedFailure(log);
  for (const [after, message] of steps) {
    jest.advanceTimersByTime(after * 1_000);
    if (message === "") failure.forget();
    else failure.tell(new Error(message), "again");
  }
  return notes;
}

describe("a failure that stays the same", () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  test.each<[string, [number, string][], string[]]>([
    [
      "is told once",
      [
        [0, "a"],
        [1, "a"],
        [58, "a"],
      ],
      ["a (again)"],
    ],
    [
      "and after a minute with a count",
      [
        [0, "a"],
        [1, "a"],
        [58, "a"],
        [1, "a"],
        [59, "a"],
        [1, "a"],
      ],
      ["a (again)", "a (again; 3 times since)", "a (again; 2 times since)"],
    ],
    [
      "without one where there was none",
      [
        [0, "a"],
        [60, "a"],
      ],
      ["a (again)", "a (again)"],
    ],
    [
      "another one is told at once",
      [
        [0, "a"],
        [1, "b"],
      ],
      ["a (again)", "b (again)"],
    ],
    [
      "and those that alternate are each told once",
      [
        [0, "a"],
        [1, "b"],
        [1, "a"],
        [1, "b"],
        [58, "a"],
      ],
      ["a (again)", "b (again)", "a (again; 2 times since)"],
    ],
    [
      "so is one after it worked",
      [
        [0, "a"],
        [1, ""],
        [1, "a"],
      ],
      ["a (again)", "a (again)"],
    ],
  ])("%s", (_, steps, expected) => {
    expect(told(steps)).toEqual(expected);
  });
});
