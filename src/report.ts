// What changed between two models, told as an operator understands it.

import type { LogFields } from "./log.ts";
import type { Model, Route, Server } from "./model.ts";

export interface Line {
  readonly level: "info" | "warn";
  readonly message: string;
  readonly fields: LogFields;
}

interface Placed {
  readonly server: Server;
  readonly url: string;
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
  const [old, now] = [placed(before), placed(after)];
  const lines: Line[] = [];
  for (const [key, { server, url }] of now) {
    const was = old.get(key)?.server;
    const target = `${server.address}:${server.port}`;
    if (
      was === undefined ||
      `${was.address}:${was.port}` !== target ||
      was.disabled !== server.disabled ||
      was.why !== server.why
    ) {
      lines.push(
        server.disabled
          ? line("no requests for", server, url, server.why)
          : line("routed", server, url, ""),
      );
    }
  }
  for (const [key, { server, url }] of old) {
    if (!now.has(key)) lines.push(line("removed", server, url, ""));
  }
  return lines;

  function line(verb: string, server: Server, url: string, why: string): Line {
    const target = `${server.address}:${server.port}`;
    const ms = waited(server.id);
    const details = [
      `container ${server.container}`,
      ...(why === "" ? [] : [`it is ${why}`]),
      ...(ms === undefined ? [] : [`${Math.round(ms)} ms`]),
    ];
    return {
      level: "info",
      message: `${verb} ${url} -> ${target} (${details.join(", ")})`,
      fields: {
        event: verb,
        route: url,
        server: target,
        container: server.container,
        id: server.id,
        ...(why === "" ? {} : { reason: why }),
        ...(ms === undefined ? {} : { ms: Math.round(ms) }),
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

/** Every server with the URL it is served at, by backend and name. */
function placed(model: Model | undefined): Map<string, Placed> {
  const routes = Map.groupBy(model?.routes ?? [], ({ backend }) => backend);
  return new Map(
    (model?.backends ?? []).flatMap(({ name, servers }) =>
      servers.map((server) => {
        const url = (routes.get(name) ?? []).map(toUrl).join(", ");
        return [`${name}/${server.name}`, { server, url: url || name }] as const;
      }),
    ),
  );
}

function toUrl({ host, path }: Route): string {
  return host === "" ? path : `http://${host}${path}`;
}
