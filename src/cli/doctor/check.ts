// What the doctor has found, and what it looks at.

export interface Finding {
  readonly level: "ok" | "warning" | "failure";
  /** What was found, then what to do about it. */
  readonly lines: readonly string[];
}

/** What HAProxy's sockets say. */
export interface HaproxySockets {
  /** Whether the configuration in place is one of the gateway's. */
  readonly isOwnConfig: boolean;
  /** Why the configuration in place cannot be read; empty where it can, or where there is none. */
  readonly unreadable: string;
  /** The stats socket; undefined where the configuration names none. */
  readonly stats: Asked | undefined;
  /** The master socket; undefined where none is to be expected. */
  readonly master: Asked | undefined;
  /** The worker's process; undefined where it does not answer. */
  readonly worker: number | undefined;
  /** All processes of this HAProxy that are known. */
  readonly pids: readonly number[];
  /** The version of the HAProxy that runs, such as `2.6.12`; empty where it does not answer. */
  readonly version: string;
}

export interface Asked {
  readonly path: string;
  /** What is wrong with it; empty where nothing is. */
  readonly problem: string;
}

/** Looks at one thing. One that throws has found a failure. */
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
