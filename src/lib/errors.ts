// What can go wrong, and the exit status each kind ends with.

/** The kinds of failure; each has its own exit status. */
export type ErrorCode = "usage" | "docker" | "template" | "config" | "haproxy" | "release" | "bug";

/** The exit status of each kind of failure; also listed in the README. */
export const EXIT_STATUS: Readonly<Record<ErrorCode, number>> = {
  bug: 1,
  usage: 2,
  docker: 10,
  template: 11,
  config: 12,
  haproxy: 13,
  release: 14,
};

interface ErrorDetails {
  /** Lines of the program that refused, HAProxy's mostly, as it printed them. */
  readonly lines?: readonly string[];
  /** What the user can do about it. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/**
 * A failure that is told to the user. Its message has the form
 * `Cannot <action> "<thing>": <state>`.
 */
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

/** An error as lines for a person: the message, the refusing program's own lines, the hint. */
export function describeError(error: unknown): string[] {
  if (!(error instanceof GatewayError)) return [errorMessage(error)];
  return [
    error.message,
    ...error.lines.map((line) => `  ${line}`),
    ...(error.hint === undefined ? [] : [`  hint: ${error.hint}`]),
  ];
}

/** The message of anything that was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The system's code of an error, such as `ENOENT`; empty where it has none. */
export function systemCode(error: unknown): string {
  if (typeof error !== "object" || error === null || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}
