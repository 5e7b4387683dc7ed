// What a check of the doctor returns, and what several checks know about HAProxy.

export interface Finding {
  readonly level: "ok" | "warning" | "failure";
  /** First what was found, then what to do about it. */
  readonly lines: readonly string[];
}

/** The configuration on disk, and what HAProxy's sockets say. */
export interface HaproxySockets {
  /** Whether the gateway wrote the configuration on disk. */
  readonly isOwnConfig: boolean;
  /** Why the configuration on disk cannot be read. Empty if it can be, or if there is none. */
  readonly unreadable: string;
  /** The stats socket. Undefined if the configuration names none. */
  readonly stats: Asked | undefined;
  /** The master socket. Undefined if HAProxy is not expected to have one. */
  readonly master: Asked | undefined;
  /** The process ID of the worker. Undefined if it does not answer. */
  readonly worker: number | undefined;
  /** The process IDs of this HAProxy, as far as they are known. */
  readonly pids: readonly number[];
  /** How many connections it takes at most. Undefined if it does not answer. */
  readonly connections: number | undefined;
  /** The version of the HAProxy that runs, such as `2.6.12`. Empty if it does not answer. */
  readonly version: string;
}

/** A socket that was asked. */
export interface Asked {
  readonly path: string;
  /** What is wrong with it. Empty if nothing is. */
  readonly problem: string;
}

/** Looks at one thing. If it throws, it has found a failure. */
export type Check = () => Promise<Finding> | Finding;

export function ok(text: string): Finding {
  return { level: "ok", lines: [text] };
}

export function warning(text: string, hint: string): Finding {
  return { level: "warning", lines: [text, hint] };
}

export function failure(text: string, hint: string): Finding {
  return { level: "failure", lines: [text, hint] };
}
