// Errors as lines for a person, and the exit status of each kind.

import { expect, test } from "bun:test";
import {
  describeError,
  errorMessage,
  EXIT_STATUS,
  fileProblem,
  GatewayError,
  systemCode,
} from "../../src/lib/errors.ts";

test("every kind has its own exit status, and the documented ones never change", () => {
  const documented = { bug: 1, usage: 2, docker: 10, template: 11, config: 12, haproxy: 13 };
  expect(EXIT_STATUS).toMatchObject(documented);
  // 0 is success, and 3 means that `render --diff` found a difference.
  const all = [0, 3, ...Object.values(EXIT_STATUS)];
  expect(new Set(all).size).toBe(all.length);
});

const cause = new Error("deep down");

test.each<[string, unknown, string[]]>([
  ["a message alone", new GatewayError("docker", "Cannot x: y"), ["Cannot x: y"]],
  [
    "with the output of the failed program and a hint",
    new GatewayError("config", "Cannot x: y", { lines: ["[ALERT] a", "b"], hint: "do z", cause }),
    ["Cannot x: y", "  [ALERT] a", "  b", "  hint: do z"],
  ],
  [
    "with an undefined hint",
    new GatewayError("config", "Cannot x: y", { hint: undefined }),
    ["Cannot x: y"],
  ],
  ["any other error", new TypeError("x is not a function"), ["x is not a function"]],
  ["a thrown text", "text", ["text"]],
  ["a thrown undefined", undefined, ["undefined"]],
])("%s", (_, error, lines) => {
  expect(describeError(error)).toEqual(lines);
  expect(errorMessage(error)).toBe(lines[0] ?? "");
});

test("a failure keeps its cause and its kind", () => {
  const error = new GatewayError("haproxy", "Cannot x: y", { cause });
  expect(error).toBeInstanceOf(Error);
  expect([error.name, error.code, error.cause]).toEqual(["GatewayError", "haproxy", cause]);
});

test.each<[string, unknown, string]>([
  ["an error with a code", Object.assign(new Error("x"), { code: "ENOENT" }), "ENOENT"],
  ["any object with a code", { code: "EACCES" }, "EACCES"],
  ["an object with a number", { code: 5 }, ""],
  ["an error without a code", new Error("ENOENT"), ""],
  ["a text", "ENOENT", ""],
  ["null", null, ""],
  ["undefined", undefined, ""],
])("the system's code of %s", (_, error, code) => {
  expect(systemCode(error)).toBe(code);
});

test.each([
  [{ code: "ENOENT" }, "there is no such file"],
  [{ code: "ENOTDIR" }, "there is no such file"],
  [{ code: "EISDIR" }, "it is a folder"],
  [{ code: "EACCES" }, "the gateway may not read it"],
  [{ code: "EIO", toString: () => "the disk is on fire" }, "the disk is on fire"],
])("why a file cannot be read: %p", (error, words) => {
  expect(fileProblem(error)).toBe(words);
});
