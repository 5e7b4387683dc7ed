// What the loop knows, as one immutable value. The log lines and systemd's status are made from it.

import type { Oddity } from "../haproxy/runtime/oddities.ts";
import { formatDuration } from "../lib/text.ts";
import type { CertificateState, Model, NamedEngine } from "../model.ts";
import { RELOAD_CAUSES, type ReloadCause } from "../plan/causes.ts";
import {
  NO_CHOICE,
  type CertificateChoice,
  type CertificateNews,
} from "../routing/certificates.ts";

/**
 * How HAProxy got a change. `none`: it had it already. `runtime`: it was told while it ran. `reload`: it read
 * new files, for these reasons.
 */
export interface Way {
  readonly how: "none" | "runtime" | "reload";
  readonly reasons: readonly string[];
}

/** What happened to a container in HAProxy. */
export interface RouteChange {
  readonly event: "routed" | "no requests for" | "removed";
  readonly route: string;
  /** `address:port`, with several ports if there are candidates; empty if it never had a server. */
  readonly server: string;
  readonly container: string;
  readonly id: string;
  /** Why it gets no requests; empty if it gets them. */
  readonly reason: string;
  /**
   * The time from noticing Docker's event until HAProxy had the change, in milliseconds. Undefined if
   * no event told of it.
   */
  readonly ms: number | undefined;
  /** Undefined until HAProxy has it. */
  readonly way?: Way;
}

/** What happened to the requests of a service that has no container to answer them. */
export interface HoldChange {
  /** They wait; they are answered 503; nothing is served there any more. */
  readonly event: "waiting for a container" | "no container" | "no route";
  readonly route: string;
  /** Undefined until HAProxy has it. */
  readonly way?: Way;
}

/** A server answers no more; it answers again; it has never answered since it is routed. */
export const OUTAGE_EVENTS = ["down", "up", "no answer"] as const;

/** What HAProxy's checks found of a container that gets requests. */
export interface OutageChange {
  readonly event: (typeof OUTAGE_EVENTS)[number];
  readonly route: string;
  /** `address:port`, with several ports if it may be any of them. */
  readonly server: string;
  readonly container: string;
  readonly id: string;
  /** Why, and with `no answer` what to do. Empty: that is not known, or it answers. */
  readonly reason: string;
  /** Since when that is so, in milliseconds since 1970. */
  readonly since: number;
  /** How long it was down, in seconds; undefined: that is not known, or it is. */
  readonly seconds?: number | undefined;
  /** How many containers of the service are up, and what that means; empty: there is nothing to say. */
  readonly left: string;
}

/** What HAProxy noticed of the answers of a container. */
export interface OddAnswersChange {
  readonly event: "odd answers";
  readonly answers: Oddity["answers"];
  readonly route: string;
  /** `address:port`. */
  readonly server: string;
  readonly container: string;
  readonly id: string;
}

/** A request that HAProxy refused as its headers are too large. */
export interface RefusedRequestChange {
  readonly event: "refused request";
  /** The address that it came from. */
  readonly client: string;
}

/** What happened to a certificate that clients see. */
export interface CertificateChange extends CertificateNews {
  /** Undefined until HAProxy has it. */
  readonly way?: Way;
}

interface ReloadChange {
  readonly event: "reload";
  readonly reasons: readonly string[];
  /** How long it took, in milliseconds. */
  readonly ms: number;
}

/** Something that changed in HAProxy, or that it noticed. */
export type Change = (
  | RouteChange
  | HoldChange
  | OutageChange
  | OddAnswersChange
  | RefusedRequestChange
  | CertificateChange
  | ReloadChange
) & {
  /** In milliseconds since 1970. */
  readonly at: number;
};

/** One of several Engines. */
interface EngineState extends NamedEngine {
  readonly connected: boolean;
}

export interface State {
  /** Of several Engines: all their names, and whether all of them are connected. */
  readonly engine: { readonly name: string; readonly connected: boolean };
  /** Each of several Engines; empty: there is one. */
  readonly engines: readonly EngineState[];
  readonly haproxy: {
    /** The version of the running HAProxy; undefined if it cannot be asked. */
    readonly version: string | undefined;
    /** Why it is not known what HAProxy runs; undefined if it is known. */
    readonly doubt: string | undefined;
  };
  /** Why the last pass failed, line by line; undefined if it did not. */
  readonly problem: readonly string[] | undefined;
  /** What should be served; undefined before the first pass. */
  readonly desired: Model | undefined;
  /** What is served; undefined before the first pass. */
  readonly applied: Model | undefined;
  /** The certificates that clients see. */
  readonly shown: CertificateChoice;
  /** How the certificates of --acme are; empty without it. */
  readonly certificates: readonly CertificateState[];
  /** The last changes, the oldest first. */
  readonly changes: readonly Change[];
  readonly counters: {
    readonly changes: number;
    readonly reloads: number;
    /** Changes that HAProxy took while it ran. */
    readonly runtimeChanges: number;
    /** Passes that failed. */
    readonly failures: number;
  };
  /** How often the loop looked at everything that was marked. */
  readonly passes: number;
  readonly reloads: Reloads;
  /** When what is served last changed, in milliseconds since 1970. */
  readonly lastChange: number;
}

/** How many reloads there were for each cause: those that HAProxy took, and those that failed. */
export type Reloads = Readonly<
  Record<ReloadCause, { readonly done: number; readonly failed: number }>
>;

const NO_RELOADS = Object.fromEntries(
  RELOAD_CAUSES.map((cause) => [cause, { done: 0, failed: 0 }]),
) as Reloads;

/** How many changes are kept. A pass with more of them, such as the first one, is told whole. */
const CHANGES_KEPT = 1_000;

/** The state of a gateway before its first pass. */
export function firstState(
  engine: string,
  now: number,
  engines: readonly NamedEngine[] = [],
): State {
  return {
    engine: { name: engine, connected: false },
    engines: engines.map((each) => ({ ...each, connected: false })),
    haproxy: { version: undefined, doubt: undefined },
    problem: undefined,
    desired: undefined,
    applied: undefined,
    shown: NO_CHOICE,
    certificates: [],
    changes: [],
    counters: { changes: 0, reloads: 0, runtimeChanges: 0, failures: 0 },
    passes: 0,
    reloads: NO_RELOADS,
    lastChange: now,
  };
}

/** Counts a reload. */
export function withReload(
  reloads: Reloads,
  cause: ReloadCause,
  result: "done" | "failed",
): Reloads {
  const count = reloads[cause];
  return { ...reloads, [cause]: { ...count, [result]: count[result] + 1 } };
}

/** Adds changes to the state. */
export function withChanges(state: State, changes: readonly Change[]): State {
  const { counters } = state;
  return {
    ...state,
    changes: [...state.changes, ...changes].slice(-Math.max(CHANGES_KEPT, changes.length)),
    counters: { ...counters, changes: counters.changes + changes.length },
  };
}

/** The state without the changes that are too many to keep, once everybody was told of them. */
export function withoutOldChanges(state: State): State {
  const { changes } = state;
  return changes.length <= CHANGES_KEPT
    ? state
    : { ...state, changes: changes.slice(-CHANGES_KEPT) };
}

/** The changes that came after an earlier state, the oldest first. */
export function changesSince(before: State, { changes, counters }: State): readonly Change[] {
  const count = counters.changes - before.counters.changes;
  return count === 0 ? [] : changes.slice(-count);
}

/** Says in one line how the gateway is. @param now in milliseconds since 1970 */
export function statusLine(state: State, now: number): string {
  const { applied, engine, engines, lastChange } = state;
  if (applied === undefined) return "waiting for Docker";
  const { length } = applied.services.flatMap(({ routes }) => routes);
  const routes = length === 1 ? "1 route" : `${length} routes`;
  const away = engines.filter(({ connected }) => !connected).map(({ name }) => name);
  const whose = away.length === 0 ? "Docker" : `Docker (${away.join(", ")})`;
  const docker = engine.connected ? "" : `, waiting for ${whose}`;
  return `${routes}, last change ${formatDuration((now - lastChange) / 1000)} ago${docker}`;
}
