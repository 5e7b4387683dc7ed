// The metrics of what the gateway itself knows and counts. Pure.

import type { CertificateRow } from "../certificates.ts";
import type { Latency } from "./latency.ts";
import type { State } from "../../gateway/state.ts";
import { labelText, sampleLine, type Metric, type Sample } from "../../lib/prometheus.ts";
import { engineIn, REJECTION_KINDS, type Hold, type Model } from "../../model.ts";

/** What they are made of. */
export interface Known {
  readonly state: State;
  /** Of the program. */
  readonly version: string;
  /** When it started, in milliseconds since 1970. */
  readonly started: number;
  /** Whether HAProxy answers. */
  readonly answers: boolean;
  /** How many requests wait for a container. */
  readonly waiting: number;
  readonly certificates: readonly CertificateRow[];
  readonly latency: Latency;
}

interface OwnMetric extends Metric {
  read(known: Known): readonly Sample[];
}

const PREFIX = "docker_api_gateway_";

const OWN: readonly OwnMetric[] = [
  {
    name: `${PREFIX}build_info`,
    type: "gauge",
    help: "The versions of the gateway and of the HAProxy that it runs; its value is 1.",
    labels: ["version", "haproxy_version"],
    read({ version, state }) {
      const labels = { version, haproxy_version: state.haproxy.version ?? "" };
      return [{ labels: labelText(labels), value: 1 }];
    },
  },
  single(
    "start_time_seconds",
    "When the gateway started, since 1970.",
    ({ started }) => started / 1000,
  ),
  {
    name: `${PREFIX}docker_connected`,
    type: "gauge",
    help: "Whether the gateway hears of Docker's events; of several Engines, of each.",
    labels: ["engine"],
    read: ({ state: { engine, engines } }) =>
      engines.length === 0
        ? [{ labels: "", value: Number(engine.connected) }]
        : engines.map(({ name, connected }) => ({
            labels: labelText({ engine: name }),
            value: Number(connected),
          })),
  },
  single("haproxy_up", "Whether HAProxy answers the gateway.", ({ answers }) => Number(answers)),
  single(
    "in_step",
    "Whether HAProxy runs what it should, as far as the last pass could tell.",
    ({ state: { problem, applied } }) => Number(problem === undefined && applied !== undefined),
  ),
  counter(
    "passes_total",
    "How often the gateway compared what is with what should be.",
    ({ state }) => state.passes,
  ),
  counter(
    "failed_passes_total",
    "How many of these passes failed.",
    ({ state }) => state.counters.failures,
  ),
  counter(
    "runtime_changes_total",
    "Changes that HAProxy took while it ran.",
    ({ state }) => state.counters.runtimeChanges,
  ),
  {
    name: `${PREFIX}reloads_total`,
    type: "counter",
    help: "Reloads of HAProxy by their cause, and whether HAProxy took them.",
    labels: ["cause", "result"],
    read: ({ state }) =>
      Object.entries(state.reloads).flatMap(([cause, { done, failed }]) => [
        { labels: labelText({ cause, result: "done" }), value: done },
        { labels: labelText({ cause, result: "failed" }), value: failed },
      ]),
  },
  {
    name: `${PREFIX}apply_duration_seconds`,
    type: "histogram",
    help: "From an event of a container until HAProxy had the change, and how it got it.",
    labels: ["how", "le"],
    read: ({ latency }) => latency.samples(),
  },
  single(
    "last_change_time_seconds",
    "When what is served last changed, since 1970.",
    ({ state }) => state.lastChange / 1000,
  ),
  single("services", "Services that are served.", ({ state }) => servicesOf(state).length),
  {
    name: `${PREFIX}held_services`,
    type: "gauge",
    help: "Services without a container, or with one that only starts: their requests wait, or are answered 503.",
    labels: ["state"],
    read: ({ state }) =>
      HELD.map((hold) => ({
        labels: labelText({ state: hold }),
        value: servicesOf(state).filter((service) => service.hold === hold).length,
      })),
  },
  single("waiting_requests", "Requests that wait for a container.", ({ waiting }) => waiting),
  {
    name: `${PREFIX}routed_containers`,
    type: "gauge",
    help: "Containers that have a route; of several Engines, those of each.",
    labels: ["engine"],
    read: ({ state }) =>
      state.engines.length === 0
        ? [{ labels: "", value: countRouted(state) }]
        : state.engines.map(({ name }) => ({
            labels: labelText({ engine: name }),
            value: countRouted(state, name),
          })),
  },
  {
    name: `${PREFIX}rejected_containers`,
    type: "gauge",
    help: "Containers that are not routed, by the kind of the reason.",
    labels: ["reason"],
    read({ state }) {
      const rejections = (state.desired?.rejections ?? []).filter(({ ending }) => !ending);
      return REJECTION_KINDS.map((reason) => ({
        labels: labelText({ reason: reason.replace(" ", "_") }),
        value: rejections.filter(({ kind }) => kind === reason).length,
      }));
    },
  },
  single(
    "refused_routes",
    "Routes that containers ask for and do not have.",
    ({ state }) => state.desired?.refusals.length ?? 0,
  ),
  single(
    "warnings",
    "Things that work, but are probably a mistake.",
    ({ state }) => state.desired?.warnings.length ?? 0,
  ),
  {
    name: `${PREFIX}certificate_remaining_seconds`,
    type: "gauge",
    help: "Until the certificate of a name ends; below 0: it is too old.",
    labels: ["name", "source", "key"],
    read: ({ certificates }) =>
      certificates.flatMap(({ name, source, key, notAfter }) => {
        if (notAfter === null) return [];
        const remaining = Math.round((Date.parse(notAfter) - Date.now()) / 1000);
        return [{ labels: labelText({ name, source, key }), value: remaining }];
      }),
  },
  single(
    "certificate_problems",
    "Names with whose certificate something is wrong, also one that nobody has made yet.",
    ({ certificates }) =>
      new Set(certificates.filter(({ problem }) => problem !== "").map(({ name }) => name)).size,
  ),
];

const HELD: readonly Exclude<Hold, "">[] = ["waiting", "over"];

export const OWN_METRICS: readonly Metric[] = OWN;

/** Reads all of them: the lines of each. */
export function ownLines(known: Known): ReadonlyMap<Metric, readonly string[]> {
  return new Map(
    OWN.map((metric) => [metric, metric.read(known).map((each) => sampleLine(metric, each))]),
  );
}

function single(name: string, help: string, read: (known: Known) => number): OwnMetric {
  return {
    name: `${PREFIX}${name}`,
    type: "gauge",
    help,
    labels: [],
    read: (known) => [{ labels: "", value: read(known) }],
  };
}

function counter(name: string, help: string, read: (known: Known) => number): OwnMetric {
  return { ...single(name, help, read), type: "counter" };
}

function servicesOf({ applied }: State): Model["services"] {
  return applied?.services ?? [];
}

/** @param engine the name of one of several; undefined: all containers */
function countRouted(state: State, engine?: string): number {
  const servers = servicesOf(state).flatMap((service) => service.servers);
  const own = servers.filter(
    ({ container }) => engine === undefined || engineIn(container) === engine,
  );
  return new Set(own.map(({ id }) => id)).size;
}
