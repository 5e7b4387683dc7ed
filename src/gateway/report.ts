// Writes to the log what changed between two states, in an operator's words.

import { isDeepStrictEqual } from "node:util";
import { Damper } from "./damper.ts";
import type { History } from "./history.ts";
import type { Oddity } from "../haproxy/runtime/oddities.ts";
import { differingItems } from "../lib/lists.ts";
import type { LogLine, Logger } from "../lib/log.ts";
import { ABOUT_TO_START, isForwarded, type Model, type Server, type Service } from "../model.ts";
import { nameOf } from "../lib/places.ts";
import { formatDuration } from "../lib/text.ts";
import {
  changesSince,
  type CertificateChange,
  type Change,
  type HoldChange,
  type OddAnswersChange,
  type OutageChange,
  type RouteChange,
  type State,
  type Way,
} from "./state.ts";

/** A container's place in a service. */
interface Place {
  readonly container: string;
  readonly id: string;
  readonly route: string;
  readonly server: string;
  readonly why: string;
}

/**
 * Finds the containers that came, went or changed their place.
 * @param before undefined if nothing was served
 * @param waited returns how long ago a container's change was noticed, in milliseconds, by its ID
 */
export function changesBetween(
  before: Model | undefined,
  after: Model,
  waited: (id: string) => number | undefined,
): RouteChange[] {
  const { services = [] } = before ?? {};
  // A service that did not change is the same object, so only the differing ones are looked at.
  const { former, current } = differingItems(services, after.services);
  const [old, now] = [places(former), places(current)];
  const rejected = new Map(after.rejections.map(({ id, reason }) => [id, reason]));
  const changes: RouteChange[] = [];
  for (const [key, place] of now) {
    const was = old.get(key);
    const isSame =
      was?.server === place.server && was.route === place.route && was.why === place.why;
    // Within milliseconds another line tells what became of one that is ending or about to start.
    if (isSame || place.why === "ending" || place.why === ABOUT_TO_START) continue;
    const server = place.server || (was?.server ?? "");
    changes.push(toChange(place.why === "" ? "routed" : "no requests for", { ...place, server }));
  }
  for (const [key, place] of old) {
    if (place.why === ABOUT_TO_START) continue;
    const why = rejected.get(place.id) ?? "it has ended";
    if (!now.has(key)) changes.push(toChange("removed", { ...place, why }));
  }
  return changes;

  function toChange(event: RouteChange["event"], { why, ...place }: Place): RouteChange {
    const ms = waited(place.id);
    return { event, ...place, reason: why, ms: ms === undefined ? undefined : Math.round(ms) };
  }
}

/** Finds the services whose requests wait from now on, or wait no longer and have no container. */
export function holdsBetween(before: Model | undefined, after: Model): HoldChange[] {
  const old = new Map((before?.services ?? []).filter(isWithoutServer).map(byName));
  const now = new Map(after.services.filter(isWithoutServer).map(byName));
  const begun = [...now.values()].filter((service) => {
    const was = old.get(service.name);
    // Nobody waits where bytes are forwarded, so the end of it is no news.
    return was === undefined || (was.hold !== service.hold && !isForwarded(service));
  });
  const ended = new Map(old);
  if (old.size > 0) for (const { name } of after.services) ended.delete(name);
  const taken = new Set<string>();
  if (ended.size > 0) {
    for (const { routes } of after.services) for (const { key } of routes) taken.add(key);
  }
  const gone = [...ended.values()]
    .map((service) => ({
      ...service,
      // Another service may have a route of it now, which its own line tells.
      routes: service.routes.filter(({ key }) => !taken.has(key)),
    }))
    .filter(({ routes }) => routes.length > 0);
  return [
    ...begun.map((service): HoldChange => {
      const waits = service.hold === "waiting" && !isForwarded(service);
      const event = waits ? "waiting for a container" : "no container";
      return { event, route: routeOf(service) };
    }),
    ...gone.map((service): HoldChange => ({ event: "no route", route: routeOf(service) })),
  ];
}

/** Whether a service is held and has no server that may answer. */
function isWithoutServer({ hold, servers }: Service): boolean {
  if (hold === "") return false;
  return servers.every(({ disabled, why }) => disabled && why !== ABOUT_TO_START);
}

function byName(service: Service): [name: string, service: Service] {
  return [service.name, service];
}

/**
 * Returns a listener that logs what is new in each state.
 * @param labelPrefix what labels begin with
 * @param history keeps what is logged, but what the damper holds back; and why a pass failed, which the
 *   gateway logs itself
 */
export function logState(
  log: Logger,
  labelPrefix: string,
  history?: Pick<History, "add">,
): (state: State, before: State) => void {
  const complaints = new Complaints();
  const damper = new Damper();
  return (state, before) => {
    const { desired } = state;
    const isNewModel = desired !== undefined && desired !== before.desired;
    const fresh = [
      ...(isNewModel ? complaints.fresh(desired) : []),
      ...changesSince(before, state).map((change) => lineOf(change, labelPrefix)),
    ];
    const now = Date.now();
    for (const line of [
      // There is a new state every minute at least: that of the resync.
      ...damper.settled(now),
      ...fresh.flatMap((each) => damper.damp(each, now)),
    ]) {
      log[line.level](line.message, line.fields);
      if (line.level !== "debug") history?.add({ ...line, level: line.level }, now);
    }
    const { problem } = state;
    if (problem === undefined || isDeepStrictEqual(problem, before.problem)) return;
    const [message = "", ...details] = problem;
    const fields = { event: "failure", details: details.map((each) => each.trim()) };
    history?.add({ level: "error", message, fields }, now);
  };
}

/** Where bytes are forwarded nobody waits, and nothing is answered. */
const TCP = "tcp port ";

const HOLD_MEANING: Readonly<Record<HoldChange["event"], (route: string) => string>> = {
  "waiting for a container": (route) => `requests for ${route} wait`,
  "no container": (route) =>
    route.startsWith(TCP)
      ? `connections to ${route} are closed`
      : `requests for ${route} are answered 503`,
  "no route": (route) => `nothing is served at ${route} any more`,
};

/** The log line for a change, and how HAProxy got it. */
interface ChangeLine extends LogLine {
  readonly way?: Way;
}

/** Makes the log line for a change. @param labelPrefix what labels begin with */
export function lineOf(change: Change, labelPrefix: string): ChangeLine {
  if (change.event === "reload") {
    const { event, reasons, ms } = change;
    const message = `reload: ${summarise(reasons)} (${ms} ms)`;
    return { level: "info", message, fields: { event, reasons, ms }, way: { how: event, reasons } };
  }
  if (change.event === "odd answers") return oddAnswersLine(change, labelPrefix);
  if (change.event === "refused request") {
    const { event, client } = change;
    const message = `refused a request of ${client}: its headers are ${TOO_LARGE}`;
    return { level: "info", message, fields: { event, client } };
  }
  if ("certificate" in change) return certificateLine(change);
  if ("since" in change) return outageLine(change);
  if (!("container" in change)) {
    const { event, route, way } = change;
    const message = `${event}: ${HOLD_MEANING[event](route)}`;
    return { level: "info", message, fields: { event, route }, ...wayOf(way) };
  }
  const { event, route, server, container, id, reason, ms, way } = change;
  const details = [
    `container ${container}`,
    ...(event === "routed" ? [] : [event === "removed" ? reason : `it is ${reason}`]),
    ...(ms === undefined ? [] : [`${ms} ms`]),
  ];
  const place = server === "" ? route : `${route} -> ${server}`;
  return {
    level: "info",
    message: `${event} ${place} (${details.join(", ")})`,
    fields: {
      event,
      route,
      server,
      container,
      id,
      ...(reason === "" ? {} : { reason }),
      ...(ms === undefined ? {} : { ms }),
    },
    ...wayOf(way),
  };
}

function wayOf(way: Way | undefined): { readonly way?: Way } {
  return way === undefined ? {} : { way };
}

/** More names of a certificate are counted. */
const NAMES_SHOWN = 10;

function certificateLine({ event, certificate, names, way }: CertificateChange): ChangeLine {
  const { source, issuer, notAfter } = certificate;
  const until = new Date(notAfter).toISOString();
  const more = names.length - NAMES_SHOWN;
  const listed = names.slice(0, NAMES_SHOWN).join(", ") + (more > 0 ? ` and ${more} more` : "");
  const message =
    event === "no certificate"
      ? `no certificate for ${listed} any more from ${source}`
      : `${event} for ${listed} from ${source}, by ${issuer}, until ${until.slice(0, 10)}`;
  return {
    level: "info",
    message,
    fields: { event, names, source, issuer, until },
    ...wayOf(way),
  };
}

function outageLine(change: OutageChange): LogLine {
  const { event, route, server, container, id, reason, since, seconds, left } = change;
  const told = {
    event,
    route,
    server,
    container,
    id,
    ...(reason === "" ? {} : { reason }),
    ...(left === "" ? {} : { left }),
    since: new Date(since).toISOString(),
    ...(seconds === undefined ? {} : { seconds }),
  };
  if (event === "no answer") {
    return { level: "warn", message: `container ${container} ${reason}`, fields: told };
  }
  const down =
    seconds === undefined ? "it was down for a moment" : `after ${formatDuration(seconds)}`;
  const details = [`container ${container}`, event === "up" ? down : reason, left].filter(Boolean);
  return {
    level: event === "up" ? "info" : "warn",
    message: `${event} ${route} -> ${server} (${details.join(", ")})`,
    fields: told,
  };
}

function oddAnswersLine(
  { event, answers, ...place }: OddAnswersChange,
  labelPrefix: string,
): LogLine {
  const { container, id, server, route } = place;
  const subject = `container ${container} at ${server} (${route})`;
  return {
    level: "warn",
    message: describeOddAnswers(subject, answers, labelPrefix),
    fields: { event, reason: answers, route, server, container, id },
  };
}

/** The limits of the built-in templates. */
const TOO_LARGE = "larger than 32 kB, or more than 250";

/**
 * Says what is odd about the answers of a container, and what to do about it.
 * @param labelPrefix what labels begin with
 */
export function describeOddAnswers(
  subject: string,
  answers: Oddity["answers"],
  labelPrefix: string,
): string {
  if (answers === "circle") {
    return (
      `${subject} redirects to the very URL that was asked for: ` +
      `if it has a base URL of its own, label ${labelPrefix}strip=false leaves the prefix on`
    );
  }
  if (answers === "large") {
    return `${subject} answered with headers that are ${TOO_LARGE}: its client got 502`;
  }
  const help = `label ${labelPrefix}port names another port, ${labelPrefix}enable=false leaves the container out`;
  const why =
    answers === "foreign"
      ? "what it answers is something else"
      : "it closes connections without an answer";
  return `${subject} does not speak HTTP/1.1: ${why} (${help})`;
}

/** Log lines for containers that are not routed, and for warnings: each comes once. */
export class Complaints {
  /** The messages of the last call. */
  #lastMessages = new Set<string>();

  /** Returns the lines that are new since the last call. One that has gone may come again. */
  fresh(model: Model): LogLine[] {
    const lines: LogLine[] = [
      ...model.rejections
        .filter(({ ending }) => !ending)
        .map(({ id, container, image, reason, expected }) => ({
          level: expected ? ("info" as const) : ("warn" as const),
          message: `not routed: container ${container} (image ${image}): ${reason}`,
          fields: { event: "not routed", container, id, image, reason },
        })),
      ...model.warnings.map((message) => ({
        level: "warn" as const,
        message,
        fields: { event: "warning" },
      })),
    ];
    const fresh = lines.filter(({ message }) => !this.#lastMessages.has(message));
    this.#lastMessages = new Set(lines.map(({ message }) => message));
    return fresh;
  }
}

/** The place of every container, by the service's name and the container's ID. */
function places(services: readonly Service[]): Map<string, Place> {
  const found = new Map<string, Place>();
  for (const service of services) {
    const { name, routes, servers, waiting } = service;
    // Its servers are another service's, for requests that have waited for its own.
    if (routes.length === 0) continue;
    const route = routeOf(service);
    for (const { id, container, why } of servers) {
      const ofContainer = servers.filter((server) => server.id === id);
      found.set(`${name}/${id}`, { container, id, route, server: addressesOf(ofContainer), why });
    }
    for (const { id, container, why } of waiting) {
      found.set(`${name}/${id}`, { container, id, route, server: "", why });
    }
  }
  return found;
}

/** Such as `172.17.0.2:8000 or 80`. */
function addressesOf(servers: readonly Server[]): string {
  return `${servers[0]?.address}:${servers.map(({ port }) => port).join(" or ")}`;
}

/** The routes of a service as a person reads them. */
export function routeOf({ name, routes }: Service): string {
  return routes.map(nameOf).join(", ") || name;
}

/** Joins the reasons. Of many, only the first ones and the number of the others are shown. */
function summarise(reasons: readonly string[]): string {
  const shown = 5;
  if (reasons.length <= shown) return reasons.join(", ");
  return `${reasons.slice(0, shown).join(", ")} and ${reasons.length - shown} more`;
}
