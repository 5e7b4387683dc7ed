// What changed between two models, told as an operator understands it.

import { listDifference } from "../lib/difference.ts";
import type { LogFields } from "../lib/log.ts";
import type { Backend, Model, Route, Server } from "../model.ts";

export interface Line {
  readonly level: "info" | "warn";
  readonly message: string;
  readonly fields: LogFields;
}

/** A container in its backend: where it is served, and at which ports it may answer. */
interface Place {
  readonly server: Server;
  readonly url: string;
  readonly target: string;
}

/**
 * The lines for what changed.
 * @param before undefined: nothing was served
 * @param waited for each container how long ago its change was noticed, in milliseconds, by ID
 */
export function reportChanges(
  before: Model | undefined,
  after: Model,
  waited: (id: string) => number | undefined,
): Line[] {
  const { backends = [], routes = [] } = before ?? {};
  // One that did not change is the same object still.
  const differing = listDifference(backends, after.backends);
  const old = places(backends.slice(differing.start, differing.before), routes);
  const now = places(after.backends.slice(differing.start, differing.after), after.routes);
  const rejected = new Map(after.rejections.map(({ id, reason }) => [id, reason]));
  const lines: Line[] = [];
  for (const [key, place] of now) {
    const was = old.get(key);
    const same =
      was?.target === place.target && was.url === place.url && was.server.why === place.server.why;
    if (!same) lines.push(toLine(place.server.disabled ? "no requests for" : "routed", place));
  }
  for (const [key, place] of old) if (!now.has(key)) lines.push(toLine("removed", place));
  return lines;

  function toLine(event: string, { server, url, target }: Place): Line {
    const { container, id } = server;
    const since = waited(id);
    const ms = since === undefined ? undefined : Math.round(since);
    const why = event === "removed" ? (rejected.get(id) ?? "it has ended") : server.why;
    const details = [
      `container ${container}`,
      ...(event === "routed" ? [] : [event === "removed" ? why : `it is ${why}`]),
      ...(ms === undefined ? [] : [`${ms} ms`]),
    ];
    return {
      level: "info",
      message: `${event} ${url} -> ${target} (${details.join(", ")})`,
      fields: {
        event,
        route: url,
        server: target,
        container,
        id,
        ...(why === "" ? {} : { reason: why }),
        ...(ms === undefined ? {} : { ms }),
      },
    };
  }
}

/** The lines for containers that are not routed and for doubtful things, each told once. */
export class Complaints {
  #told = new Set<string>();

  /** What is new since the last call; what has gone may be told again. */
  fresh(model: Model): Line[] {
    const lines: Line[] = [
      ...model.rejections.map(({ id, container, image, reason }) => ({
        // Who left it out knows why.
        level: reason.startsWith("label gateway.enable is") ? ("info" as const) : ("warn" as const),
        message: `not routed: container ${container} (image ${image}): ${reason}`,
        fields: { event: "not routed", container, id, image, reason },
      })),
      ...model.warnings.map((message) => ({
        level: "warn" as const,
        message,
        fields: { event: "warning" },
      })),
    ];
    const fresh = lines.filter(({ message }) => !this.#told.has(message));
    this.#told = new Set(lines.map(({ message }) => message));
    return fresh;
  }
}

/** Every container of these backends with its place, by backend and ID. */
function places(backends: readonly Backend[], all: readonly Route[]): Map<string, Place> {
  const names = new Set(backends.map(({ name }) => name));
  const ofThese = all.filter(({ backend }) => names.has(backend));
  const routes = Map.groupBy(ofThese, ({ backend }) => backend);
  const found = new Map<string, Place>();
  for (const { name, servers } of backends) {
    const url = (routes.get(name) ?? []).map(toUrl).join(", ") || name;
    for (const server of servers) {
      const key = `${name}/${server.id}`;
      const target = found.get(key)?.target;
      const here = `${server.address}:${server.port}`;
      found.set(key, {
        server,
        url,
        target: target === undefined ? here : `${target} or ${server.port}`,
      });
    }
  }
  return found;
}

function toUrl({ host, path }: Route): string {
  return host === "" ? path : `http://${host}${path}`;
}

/** All reasons where they are few; the first ones and how many more otherwise. */
export function summarise(reasons: readonly string[]): string {
  const shown = 5;
  if (reasons.length <= shown) return reasons.join(", ");
  return `${reasons.slice(0, shown).join(", ")} and ${reasons.length - shown} more`;
}
