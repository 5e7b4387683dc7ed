// What the loop knows, as one immutable value: the log and systemd are told from it.

import { formatDuration } from "../lib/text.ts";
import type { Model } from "../model.ts";

/** Something that happened to a container's place in HAProxy. */
export interface RouteChange {
  readonly event: "routed" | "no requests for" | "removed";
  readonly route: string;
  /** `address:port`; several ports where several may answer; empty where it never had one. */
  readonly server: string;
  readonly container: string;
  readonly id: string;
  /** Why it gets no requests; empty where it gets them. */
  readonly reason: string;
  /** How long it took from Docker's word, in milliseconds; undefined where that is not known. */
  readonly ms: number | undefined;
}

/** A reload with its reasons. */
interface ReloadChange {
  readonly event: "reload";
  readonly reasons: readonly string[];
  /** How long it took, in milliseconds. */
  readonly ms: number;
}

/** Something that changed at HAProxy. */
export type Change = (RouteChange | ReloadChange) & {
  /** In milliseconds since 1970. */
  readonly at: number;
};

export interface State {
  readonly engine: { readonly name: string; readonly connected: boolean };
  readonly haproxy: {
    /** Of the HAProxy that runs; undefined where it cannot be asked. */
    readonly version: string | undefined;
    /** Why it is not known what HAProxy runs; undefined where it is. */
    readonly doubt: string | undefined;
  };
  /** What should be served, as it was last decided; undefined before the first pass. */
  readonly desired: Model | undefined;
  /** What is served; undefined before the first pass. */
  readonly applied: Model | undefined;
  /** The last changes, the newest last. */
  readonly changes: readonly Change[];
  readonly counters: {
    readonly changes: number;
    readonly reloads: number;
    /** Changes that HAProxy took while it ran. */
    readonly runtimeChanges: number;
    /** Passes that failed. */
    readonly failures: number;
  };
  /** When what is served last changed, in milliseconds since 1970. */
  readonly lastChange: number;
}

/** So many changes are kept. */
const CHANGES_KEPT = 1_000;

/** The state of a gateway that has not begun. */
export function firstState(engine: string, now: number): State {
  return {
    engine: { name: engine, connected: false },
    haproxy: { version: undefined, doubt: undefined },
    desired: undefined,
    applied: undefined,
    changes: [],
    counters: { changes: 0, reloads: 0, runtimeChanges: 0, failures: 0 },
    lastChange: now,
  };
}

/** The state with further changes. */
export function withChanges(state: State, changes: readonly Change[]): State {
  const { counters } = state;
  return {
    ...state,
    changes: [...state.changes, ...changes].slice(-CHANGES_KEPT),
    counters: { ...counters, changes: counters.changes + changes.length },
  };
}

/** What is new in the state: the changes since another one, the oldest first. */
export function changesSince(before: State, { changes, counters }: State): readonly Change[] {
  const count = counters.changes - before.counters.changes;
  return count === 0 ? [] : changes.slice(-count);
}

/** How the gateway is, in one line. @param now in milliseconds since 1970 */
export function statusLine({ applied, engine, lastChange }: State, now: number): string {
  if (applied === undefined) return "waiting for Docker";
  const { length } = applied.services.flatMap(({ routes }) => routes);
  const routes = length === 1 ? "1 route" : `${length} routes`;
  const docker = engine.connected ? "" : ", waiting for Docker";
  return `${routes}, last change ${formatDuration((now - lastChange) / 1000)} ago${docker}`;
}
