// src/lib has the general tools: errors, logs, waits, lists, locks and processes. It knows nothing of
// containers or HAProxy, and may import only itself, so every other folder can use it. This file has
// the kinds of errors, and the exit status of each.

/** The kinds of failure. Each has its own exit status. */
export type ErrorCode =
  | "usage"
  | "docker"
  | "template"
  | "config"
  | "haproxy"
  | "release"
  | "gateway"
  | "bug";

/** The exit status of each kind of failure. docs/options.md lists them too. */
export const EXIT_STATUS: Readonly<Record<ErrorCode, number>> = {
  bug: 1,
  usage: 2,
  docker: 10,
  template: 11,
  config: 12,
  haproxy: 13,
  release: 14,
  gateway: 15,
};

/** Whether a text is the name of a kind of failure. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(EXIT_STATUS, text);
}

interface ErrorDetails {
  /** The output of the program that failed, line by line. Mostly that is HAProxy. */
  readonly lines?: readonly string[];
  /** What the user can do about it. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** A failure to report to the user. Its message reads `Cannot <action> "<thing>": <state>`. */
export class GatewayError extends Error {
  override readonly name = "GatewayError";
  readonly code: ErrorCode;
  readonly lines: readonly string[];
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.code = code;
    this.lines = details.lines ?? [];
    this.hint = details.hint;
  }
}

/** An error as lines for a person: the message, the output of the failed program, and the hint. */
export function describeError(error: unknown): string[] {
  if (!(error instanceof GatewayError)) return [errorMessage(error)];
  return [
    error.message,
    ...error.lines.map((line) => `  ${line}`),
    ...(error.hint === undefined ? [] : [`  hint: ${error.hint}`]),
  ];
}

/** The message of a thrown value of any type. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The system's code of an error, such as `ENOENT`; empty if it has none. */
export function systemCode(error: unknown): string {
  if (typeof error !== "object" || error === null || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}

const FILE_PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EISDIR: "it is a folder",
  EACCES: "the gateway may not read it",
  ELOOP: "its symbolic links lead round in a circle",
};

/** Why a file cannot be read, in words. */
export function fileProblem(error: unknown): string {
  return FILE_PROBLEMS[systemCode(error)] ?? errorMessage(error);
}
