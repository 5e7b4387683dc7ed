// Writes to the log what changed between two states, in an operator's words.

import { Damper } from "./damper.ts";
import { listDifference } from "../lib/lists.ts";
import type { LogLine, Logger } from "../lib/log.ts";
import type { Model, Route, Server, Service } from "../model.ts";
import { changesSince, type Change, type RouteChange, type State } from "./state.ts";

/** A server's name in HAProxy's messages: that of its backend, and the ID of its container. */
const SERVER_NAME = /\S+\/([0-9a-f]{12})(?::\d+)?(?= )/;

/** Adds the name of the container to a message of HAProxy's about a server. */
export function withContainerName(message: string, { services }: Model): string {
  const [found, id = ""] = SERVER_NAME.exec(message) ?? [];
  if (found === undefined) return message;
  const servers = services.flatMap((service) => service.servers);
  const server = servers.find((each) => each.id.startsWith(id));
  if (server === undefined) return message;
  return message.replace(found, () => `${found} (container ${server.container})`);
}

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
  const cut = listDifference(services, after.services);
  const old = places(services.slice(cut.start, cut.before));
  const now = places(after.services.slice(cut.start, cut.after));
  const rejected = new Map(after.rejections.map(({ id, reason }) => [id, reason]));
  const changes: RouteChange[] = [];
  for (const [key, place] of now) {
    const was = old.get(key);
    const isSame =
      was?.server === place.server && was.route === place.route && was.why === place.why;
    if (isSame) continue;
    const server = place.server || (was?.server ?? "");
    changes.push(toChange(place.why === "" ? "routed" : "no requests for", { ...place, server }));
  }
  for (const [key, place] of old) {
    const why = rejected.get(place.id) ?? "it has ended";
    if (!now.has(key)) changes.push(toChange("removed", { ...place, why }));
  }
  return changes;

  function toChange(event: RouteChange["event"], { why, ...place }: Place): RouteChange {
    const ms = waited(place.id);
    return { event, ...place, reason: why, ms: ms === undefined ? undefined : Math.round(ms) };
  }
}

/** Returns a listener that logs what is new in each state. */
export function logState(log: Logger): (state: State, before: State) => void {
  const complaints = new Complaints();
  const damper = new Damper();
  return (state, before) => {
    const { desired } = state;
    const isNewModel = desired !== undefined && desired !== before.desired;
    const fresh = [
      ...(isNewModel ? complaints.fresh(desired) : []),
      ...changesSince(before, state).map(lineOf),
    ];
    const now = Date.now();
    for (const { level, message, fields } of [
      // There is a new state every minute at least: that of the resync.
      ...damper.settled(now),
      ...fresh.flatMap((line) => damper.damp(line, now)),
    ]) {
      log[level](message, fields);
    }
  };
}

/** Makes the log line for a change. */
export function lineOf(change: Change): LogLine {
  if (change.event === "reload") {
    const { event, reasons, ms } = change;
    const message = `reload: ${summarise(reasons)} (${ms} ms)`;
    return { level: "info", message, fields: { event, reasons, ms } };
  }
  const { event, route, server, container, id, reason, ms } = change;
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
  };
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
        .map(({ id, container, image, reason, optedOut }) => ({
          // A user who chose to leave it out knows why.
          level: optedOut ? ("info" as const) : ("warn" as const),
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
  for (const { name, routes, servers, waiting } of services) {
    const route = routes.map(toUrl).join(", ") || name;
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

function toUrl({ host, path }: Route): string {
  return host === "" ? path : `http://${host}${path}`;
}

/** Joins the reasons. Of many, only the first ones and the number of the others are shown. */
function summarise(reasons: readonly string[]): string {
  const shown = 5;
  if (reasons.length <= shown) return reasons.join(", ");
  return `${reasons.slice(0, shown).join(", ")} and ${reasons.length - shown} more`;
}
