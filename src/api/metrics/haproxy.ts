// The metrics of what HAProxy counts, by service and container: never by a name that only the configuration
// has. HAProxy counts anew after a reload, as Prometheus expects of counters. Pure.

import { LINE_TYPE, toState, type Cells } from "../../haproxy/runtime/stats.ts";
import { labelText, sampleLine, withLabels, type Metric } from "../../lib/prometheus.ts";
import type { Service } from "../../model.ts";
import { titleOf } from "../../routing/intent.ts";
import { nameOf } from "../../lib/places.ts";

/** A service, and the name that its backend has in HAProxy. */
export interface Place {
  readonly service: Service;
  readonly backend: string;
}

/** A value, from a column of `show stat`. Source: management guide, section 9.1. */
interface Value {
  readonly column: string;
  /** The labels that it has besides the service and the container. */
  readonly labels: string;
}

/** What is told of services and containers alike. */
interface Kind extends Pick<Metric, "type"> {
  readonly name: string;
  /** Its help begins so; then comes what it is counted of. */
  readonly about: string;
  readonly label?: string;
  readonly values: readonly Value[];
  /** How many of HAProxy's units are one of the metric. */
  readonly per?: number;
}

/** HAProxy has milliseconds, Prometheus seconds. */
const MS_PER_SECOND = 1000;

/** What went wrong, and the column that counts it. */
const ERRORS: Readonly<Record<string, string>> = {
  connection: "econ",
  response: "eresp",
  client_abort: "cli_abrt",
  server_abort: "srv_abrt",
  denied: "dresp",
};

const ANSWERS = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"].map((code): Value => {
  return { column: `hrsp_${code}`, labels: labelText({ code }) };
});

const KINDS: readonly Kind[] = [
  {
    name: "responses_total",
    type: "counter",
    about: "Answers by the class of their status",
    label: "code",
    values: ANSWERS,
  },
  {
    name: "errors_total",
    type: "counter",
    about:
      "Failed connections, broken answers, requests that one side gave up, and answers that were refused",
    label: "kind",
    values: Object.entries(ERRORS).map(([kind, column]) => ({
      column,
      labels: labelText({ kind }),
    })),
  },
  counter("retries_total", "Connections that were tried again", "wretr"),
  counter("redispatches_total", "Requests that were sent to another container instead", "wredis"),
  counter("received_bytes_total", "Bytes from clients", "bin"),
  counter("sent_bytes_total", "Bytes to clients", "bout"),
  counter("sessions_total", "Requests, or connections where bytes are forwarded", "stot"),
  gauge("current_sessions", "Requests or connections that are under way", "scur"),
  gauge("queued_requests", "Requests that wait for a free server", "qcur"),
  mean("mean_queue_time_seconds", "The mean wait for a free server", "qtime"),
  mean("mean_connect_time_seconds", "The mean time of connecting", "ctime"),
  mean("mean_response_time_seconds", "The mean time until the headers of an answer", "rtime"),
];

const PREFIX = "docker_api_gateway_";

function metricOf(kind: Kind, of: "service" | "container"): Metric {
  const { name, type, about, label } = kind;
  const own = of === "service" ? ["service"] : ["service", "container"];
  return {
    name: `${PREFIX}${of}_${name}`,
    type,
    help: `${about}, by ${of}.`,
    labels: label === undefined ? own : [...own, label],
  };
}

const OF_SERVICE = KINDS.map((kind) => ({ kind, metric: metricOf(kind, "service") }));
const OF_CONTAINER = KINDS.map((kind) => ({ kind, metric: metricOf(kind, "container") }));

const RESPONSES: Metric = {
  name: `${PREFIX}responses_total`,
  type: "counter",
  help: "All answers by the class of their status, also those of HAProxy itself.",
  labels: ["code"],
};
const ROUTE: Metric = {
  name: `${PREFIX}route_info`,
  type: "gauge",
  help: "The routes of a service; its value is 1.",
  labels: ["service", "route"],
};
const CONTAINER_UP: Metric = {
  name: `${PREFIX}container_up`,
  type: "gauge",
  help: "Whether a container gets requests: it is healthy, and neither paused nor about to end.",
  labels: ["service", "container"],
};

export const HAPROXY_METRICS: readonly Metric[] = [
  RESPONSES,
  ROUTE,
  ...OF_SERVICE.map(({ metric }) => metric),
  CONTAINER_UP,
  ...OF_CONTAINER.map(({ metric }) => metric),
];

/** What was read of HAProxy. */
export interface Counted {
  /** The lines of each metric. */
  readonly lines: ReadonlyMap<Metric, readonly string[]>;
  /** How many requests wait for a container. */
  readonly waiting: number;
}

/** So many rows, or services, are one piece of work: some milliseconds. */
const [ROWS, SERVICES] = [500, 25];

/**
 * Writes what HAProxy counts.
 * @param rows of frontends, backends and servers
 * @param breathe lets others work for a moment
 */
export async function readCounted(
  rows: readonly Cells[],
  places: readonly Place[],
  breathe: () => Promise<void>,
): Promise<Counted> {
  const lines = new Map<Metric, string[]>(HAPROXY_METRICS.map((metric) => [metric, []]));
  const add = (metric: Metric, labels: string, value: number): void => {
    lines.get(metric)?.push(sampleLine(metric, { labels, value }));
  };
  const frontends: Cells[] = [];
  const backends = new Map<string, Cells>();
  const servers = new Map<string, Cells>();
  for (const [index, cells] of rows.entries()) {
    if (index % ROWS === ROWS - 1) await breathe();
    const [name, type] = [cells("pxname"), cells("type")];
    if (type === LINE_TYPE.frontend) frontends.push(cells);
    else if (type === LINE_TYPE.backend) backends.set(name, cells);
    else servers.set(`${name}/${cells("svname")}`, cells);
  }
  for (const { column, labels } of ANSWERS) {
    add(RESPONSES, labels, sum(frontends.map((cells) => number(cells(column)))));
  }
  let waiting = 0;
  const titles = titlesOf(places.map(({ service }) => service));
  for (const [index, { service, backend }] of places.entries()) {
    if (index % SERVICES === SERVICES - 1) await breathe();
    const labels = labelText({ service: titles.get(service) ?? service.name });
    for (const route of new Set(service.routes.map(nameOf))) {
      add(ROUTE, withLabels(labels, labelText({ route })), 1);
    }
    const cells = backends.get(backend);
    if (cells === undefined) continue;
    for (const { kind, metric } of OF_SERVICE) addValues(kind, metric, labels, [cells]);
    if (service.hold === "waiting") waiting += number(cells("scur"));
    // A container may have several servers, if it is not known yet which port it answers at.
    for (const [container, own] of Map.groupBy(service.servers, (each) => each.container)) {
      const found = own.flatMap(({ name }) => servers.get(`${backend}/${name}`) ?? []);
      if (found.length === 0) continue;
      const both = withLabels(labels, labelText({ container }));
      for (const { kind, metric } of OF_CONTAINER) addValues(kind, metric, both, found);
      const isUp = found.some((each) => toState(each("status")) === "up");
      add(CONTAINER_UP, both, Number(isUp));
    }
  }
  return { lines, waiting };

  function addValues(kind: Kind, metric: Metric, labels: string, from: readonly Cells[]): void {
    for (const value of kind.values) {
      const numbers: number[] = [];
      for (const cells of from) {
        const text = cells(value.column);
        // Where bytes are forwarded there are no answers, and nothing is counted of them.
        if (text !== "") numbers.push(Number(text));
      }
      if (numbers.length === 0) continue;
      // Of two servers of a container one gets no requests, so that its mean is 0.
      const total = kind.per === undefined ? sum(numbers) : Math.max(...numbers) / kind.per;
      add(metric, withLabels(labels, value.labels), total);
    }
  }
}

/** The names of services as a person knows them. Two that look alike are told apart by their backends. */
function titlesOf(services: readonly Service[]): ReadonlyMap<Service, string> {
  const alike = Map.groupBy(services, ({ name }) => titleOf(name));
  return new Map(
    [...alike].flatMap(([title, all]) =>
      all.map((service): [Service, string] => [
        service,
        all.length === 1 ? title : `${title} (${service.backend})`,
      ]),
    ),
  );
}

function counter(name: string, about: string, column: string): Kind {
  return { name, type: "counter", about, values: [{ column, labels: "" }] };
}

function gauge(name: string, about: string, column: string): Kind {
  return { name, type: "gauge", about, values: [{ column, labels: "" }] };
}

function mean(name: string, about: string, column: string): Kind {
  const last = `${about}, of the last 1024 requests`;
  return { name, type: "gauge", about: last, values: [{ column, labels: "" }], per: MS_PER_SECOND };
}

function number(text: string): number {
  return Number(text) || 0;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
