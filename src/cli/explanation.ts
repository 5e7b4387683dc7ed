// Why a container is or is not routed, and where a URL goes: the decisions, told in their order.

import { parseImage } from "../routing/image.ts";
import type { Container, Model, Reach, Route, Server, Service, Snapshot } from "../model.ts";
import { createContainerRouter } from "../routing/container.ts";
import type { RoutingOptions } from "../routing/routing.ts";
import { formatDuration } from "../lib/text.ts";

/** One line of an explanation. */
export interface Line {
  readonly about: string;
  readonly text: string;
}

/** A server as HAProxy has it now. */
interface LiveServer {
  readonly name: string;
  readonly state: string;
  /** How long it has been in that state, in seconds. */
  readonly since: number;
  readonly requests: number;
  /** What its last check found, as HAProxy's word. */
  readonly check: string;
}

/** The decisions about a container, one that has stopped included. */
export function explainContainer(
  container: Container,
  snapshot: Snapshot,
  reach: Reach,
  options: RoutingOptions,
  model: Model,
): Line[] {
  const { id, name, image } = container;
  const title = { about: "container", text: `${name} (${id.slice(0, 12)}), image ${image}` };
  const decision = createContainerRouter(snapshot, reach, options)(container);
  if ("reason" in decision) {
    return [title, ...decision.decisions, { about: "not routed", text: decision.reason }];
  }
  const service = model.services.find(({ name: own }) => own === decision.intent.service.value);
  if (service === undefined) return [title, ...decision.decisions];
  return [
    title,
    ...decision.decisions,
    ...service.routes.map((route) => explainRoute(route, service)),
    ...service.routes.slice(0, 1).map(exampleOf),
  ];
}

/**
 * What HAProxy says of a container's servers.
 * @param servers all that HAProxy has
 */
export function explainLive(
  { id }: Container,
  servers: readonly LiveServer[],
  model: Model,
): Line[] {
  const mark = `:${id.slice(0, 12)}`;
  const wanted = model.services
    .flatMap((service) => service.servers)
    .filter((server) => server.id === id)
    .map(({ name }) => name);
  const own = servers
    .filter(({ name }) => `${name}:`.includes(`${mark}:`))
    // The preferred port first.
    .toSorted((a, b) => wanted.indexOf(a.name) - wanted.indexOf(b.name));
  if (own.length === 0 && wanted.length > 0) {
    return [{ about: "haproxy", text: "has no server of it (yet): is the gateway running?" }];
  }
  return own.map((server) => {
    const port = server.name.slice(server.name.indexOf(mark) + mark.length).replace(":", "");
    const before = port === "" ? "" : `port ${port}: `;
    return { about: "haproxy", text: before + describeLive(server) };
  });
}

function describeLive({ state, since, requests, check }: LiveServer): string {
  const text = `${state} for ${formatDuration(since)}`;
  if (state !== "down") return `${text}, ${requests} request${requests === 1 ? "" : "s"}`;
  if (check.startsWith("L4")) return `${text}: its port does not answer`;
  if (check.startsWith("L")) return `${text}: its port answers, but not as it should (${check})`;
  return `${text}: it was not checked yet`;
}

/** The containers of an image, given as a reference or only a repository. */
export function containersOf(image: string, snapshot: Snapshot): readonly Container[] {
  const wanted = parseImage(image);
  return snapshot.containers.filter((container) => {
    const own = parseImage(container.image, container.imageId);
    if (container.image === image) return true;
    if ("reason" in own || "reason" in wanted || own.repository !== wanted.repository) return false;
    return wanted.tag === "" || wanted.tag === own.tag;
  });
}

/**
 * Where a URL goes, and as which path: a path alone, or with its host.
 * @param live all servers that HAProxy has; none where it cannot be asked
 */
export function explainUrl(url: string, model: Model, live: readonly LiveServer[]): Line[] {
  const { host, path, query } = takeApart(url);
  const shown = `${host}${path}${query}`;
  // As HAProxy does it: the path with a slash at its end, so that only whole segments match.
  const all = model.services.flatMap((service) => service.routes);
  const route = all
    .filter((each) =>
      each.host === "" ? `${path}/`.startsWith(each.key) : each.host === host.toLowerCase(),
    )
    .toSorted((a, b) => b.key.length - a.key.length)[0];
  const title = { about: "url", text: shown };
  if (route === undefined) {
    const routes = all.map(nameOf).join(", ") || "nothing";
    return [
      title,
      { about: "answer", text: "403: no route matches it" },
      { about: "served", text: routes },
    ];
  }
  const service = model.services.find(({ routes }) => routes.includes(route));
  const rest = route.path === "/" ? path : path.slice(route.path.length);
  const lines = [
    title,
    { about: "route", text: `${nameOf(route)}, the longest that matches whole segments` },
    { about: "sent as", text: `${rest.startsWith("/") ? rest : `/${rest}`}${query}` },
  ];
  const usable = (service?.servers ?? []).filter(({ disabled }) => !disabled);
  if (usable.length === 0) {
    return [...lines, { about: "answer", text: "503: no container of it can be used now" }];
  }
  const down = new Map(
    live.filter(({ state }) => state === "down").map((each) => [each.name, each]),
  );
  const silent = usable.flatMap((server) => {
    const seen = down.get(server.name);
    if (seen === undefined) return [];
    return [{ about: "not to", text: `${describeServer(server)}, ${describeLive(seen)}` }];
  });
  const others = usable.filter(({ name }) => !down.has(name));
  const answer =
    others.length === 0
      ? { about: "answer", text: "503: no container of it answers" }
      : { about: "to", text: others.map(describeServer).join(", or ") };
  return [...lines, answer, ...silent];
}

function explainRoute(route: Route, { backend, servers }: Service): Line {
  const count = new Set(servers.map(({ id }) => id)).size;
  const shared = count > 1 ? `, shared by ${count} containers` : "";
  return { about: "route", text: `${nameOf(route)} -> backend ${backend}${shared}` };
}

function exampleOf({ host, path }: Route): Line {
  const from = host === "" ? `http://HOST${path}/x` : `http://${host}/x`;
  return {
    about: "request",
    text: `${from} goes there as ${path === "/" ? "/x" : "/x (the prefix is stripped)"}`,
  };
}

function describeServer({ container, address, port, backup }: Server): string {
  return `${container} at ${address}:${port}${backup ? " (where its first port does not answer)" : ""}`;
}

function nameOf({ host, path }: Route): string {
  return host === "" ? path : `http://${host}${path}`;
}

/** A URL's parts as HAProxy has them: nothing is decoded, nothing is resolved. */
function takeApart(url: string): { host: string; path: string; query: string } {
  const [, authority = "", target = "/"] = /^(?:https?:\/\/([^/?#]*))?([^#]*)/i.exec(url) ?? [];
  const [, path = "", query = ""] = /^([^?]*)(\?.*)?$/.exec(target) ?? [];
  const host = authority.replace(/^.*@/, "").replace(/:\d+$/, "").replace(/\.$/, "");
  return { host, path: path === "" ? "/" : path, query };
}
