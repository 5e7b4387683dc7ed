// The last requests that failed, as the access log has them. It only reads lines.

import type { AccessLogFormat } from "../../template/access-log.ts";

export interface FailedRequest {
  /** In milliseconds since 1970. */
  readonly at: number;
  readonly method: string;
  /** Without its query. */
  readonly path: string;
  readonly service: string;
  /** The container that had the request; empty: none had it. */
  readonly container: string;
  /** Of the answer; -1: there was none. */
  readonly status: number;
  /** How long it took as a whole, in milliseconds. */
  readonly ms: number;
  /** Who ended it, and where. */
  readonly cause: string;
}

/** So many are kept. */
const KEPT = 200;

/** A line of the common form. See `templates/access-log.hbs`. */
const COMMON =
  /^\S+ - - \[([^\]]+)\] "(\S+) ((?:[^"\\]|\\.)*) \S+" (-?\d+) -?\d+ "[^"]*" "([^"]*)" "([^"]*)" (-?\d+) "([^"]*)"$/;

export class Failures {
  #last: FailedRequest[] = [];

  constructor(private readonly format: AccessLogFormat) {}

  /** The newest one last. */
  get last(): readonly FailedRequest[] {
    return this.#last;
  }

  /**
   * Notes a line of a request that did not end as usual. Who got a redirect or a refusal got an answer: that
   * is no failure.
   */
  note(line: string): void {
    const request = this.format === "json" ? readJson(line) : readCommon(line);
    if (request === undefined || (request.status > 0 && request.status < 500)) return;
    this.#last = [...this.#last, request].slice(-KEPT);
  }
}

function readJson(line: string): FailedRequest | undefined {
  const read = JSON.parse(line) as Readonly<Record<string, string>>;
  const { time, method = "", path = "", service = "", container = "", status, cause = "" } = read;
  return {
    at: Math.round(Number(time) * 1000),
    method,
    path,
    service,
    container: nameOf(container),
    status: Number(status),
    ms: Number(read["total_ms"]),
    cause,
  };
}

function readCommon(line: string): FailedRequest | undefined {
  const [
    found,
    time = "",
    method = "",
    path = "",
    status,
    service = "",
    container = "",
    ms,
    cause = "",
  ] = COMMON.exec(line) ?? [];
  if (found === undefined) return undefined;
  return {
    // Such as 29/Nov/2026:10:20:30 +0100.
    at: Date.parse(time.replaceAll("/", " ").replace(":", " ")),
    method,
    path: JSON.parse(`"${path}"`) as string,
    service,
    container: nameOf(container),
    status: Number(status),
    ms: Number(ms),
    cause,
  };
}

function nameOf(container: string): string {
  return container === "-" ? "" : container;
}
