// The log's lines, as text, for the journal, and as JSON.

import { expect, test } from "bun:test";
import { GatewayError } from "../../src/lib/errors.ts";
import { createLogger, LOG_LEVELS, type Logger, type LogLevel } from "../../src/lib/log.ts";

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
