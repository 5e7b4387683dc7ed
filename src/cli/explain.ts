// `docker-api-gateway explain`: why a container is or is not routed, and where a URL goes.

import type { Command } from "./command.ts";
import type { DockerClient } from "../docker/client.ts";
import { toContainer } from "../docker/container.ts";
import { readOnce } from "../docker/source.ts";
import { GatewayError } from "../lib/errors.ts";
import { formatDuration } from "../lib/text.ts";
import { readMap, readStats, requestsWait, type ServerStats } from "../haproxy/runtime/stats.ts";
import { readCircles, readBadAnswers, type Oddity } from "../haproxy/runtime/oddities.ts";
import type { Runtime } from "../haproxy/runtime/runtime.ts";
import { mapPathsOf } from "../config/map-file.ts";
import { WAITING_ROOM } from "../config/operations.ts";
import { currentReach } from "../gateway/host.ts";
import { describeOddAnswers } from "../gateway/report.ts";
import type { Container, Model, Reach, Route, Server, Service, Snapshot } from "../model.ts";
import { parseOptions } from "./options.ts";
import { climbs } from "../routing/climbing.ts";
import { createContainerRouter } from "../routing/container.ts";
import { parseImage } from "../routing/image.ts";
import type { Intent } from "../routing/intent.ts";
import { findRoute } from "../routing/lookup.ts";
import { inheritedRoutes } from "../template/wildcards.ts";
import { isWildcard, keyOf, nameOf } from "../lib/places.ts";
import { route, type RoutingOptions } from "../routing/routing.ts";
import { dockerClient, preparePaths } from "./setup.ts";
import { GATEWAY_FLAGS } from "./gateway-flags.ts";
import { findRunning } from "./running.ts";

/** One line of an explanation. */
interface Line {
  readonly about: string;
  readonly text: string;
}

/** A shorter word is not taken for an ID: it may as well be the beginning of a name or an image. */
const SHORTEST_ID = 4;
/** Source: the Engine's `RestrictedNameChars`. Other text in the URL would ask something else. */
const CONTAINER_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
/** HAProxy answers within milliseconds, but it may hang. In milliseconds. */
const HAPROXY_PATIENCE = 2_000;

export const explainCommand: Command = {
  name: "explain",
  description: "Tell why a container is or is not routed, or where a URL goes",
  flags: GATEWAY_FLAGS,
  argument: {
    name: "what",
    description: "a container, an image, or a URL",
    required: true,
    names: "served",
  },
  examples: [
    ["docker-api-gateway explain web-1", "a container, running or not, by name or ID"],
    ["docker-api-gateway explain acme/shop", "all containers of an image"],
    ["docker-api-gateway explain '/acme/shop/cart?id=1'", "a URL, with or without its host"],
  ],
  async run({ values, argument: what = "" }, io) {
    const options = parseOptions(values);
    const { routing } = options;
    const { output } = preparePaths(options.haproxy, io.env);
    const client = dockerClient(options.dockerHost, io.env);
    try {
      const snapshot = await readOnce(client, io.logger({ ...options.log, level: "warn" }));
      const reach = currentReach(snapshot, client.transport.remoteHost);
      const model = route(snapshot, reach, routing);
      if (isUrl(what)) {
        io.write(toText(explainUrl(what, model, await readSeen(output), routing.labelPrefix)));
        return 0;
      }
      const containers = await findContainers(what, snapshot, client);
      const known = await readServers(output);
      const explanations = containers.map((container) => [
        ...explainContainer(container, snapshot, reach, routing, model),
        ...(known === undefined
          ? []
          : explainServers(container, known, model, routing.labelPrefix)),
      ]);
      io.write(explanations.map(toText).join("\n"));
      return 0;
    } finally {
      client.transport.close();
    }
  },
};

function isUrl(what: string): boolean {
  return what.startsWith("/") || /^https?:\/\//i.test(what);
}

/**
 * Finds the container with that name or ID, running or not. If there is none, finds the containers
 * of the image with that name.
 * @throws GatewayError `usage` if there are none
 */
async function findContainers(
  word: string,
  snapshot: Snapshot,
  client: DockerClient,
): Promise<readonly Container[]> {
  const named = snapshot.containers.filter(
    ({ id, name }) => name === word || (word.length >= SHORTEST_ID && id.startsWith(word)),
  );
  if (named.length > 0) return named;
  // A stopped container is not in the snapshot, but the Engine knows it.
  const { signal } = new AbortController();
  const info = CONTAINER_NAME.test(word) ? await client.inspect(word, signal) : undefined;
  const stopped = info === undefined ? [] : [toContainer(info, 0)];
  if (stopped[0]?.name === word) return stopped;
  const ofImage = containersOf(word, snapshot);
  if (ofImage.length > 0) return ofImage;
  if (stopped.length > 0) return stopped;
  throw new GatewayError(
    "usage",
    `Cannot explain "${word}": there is no such container, and none runs of such an image`,
    { hint: "a URL begins with / or http://; docker ps -a lists all containers" },
  );
}

/** The containers of an image. The image is a full reference or only a repository. */
function containersOf(image: string, snapshot: Snapshot): readonly Container[] {
  const wanted = parseImage(image);
  return snapshot.containers.filter((container) => {
    const own = parseImage(container.image, container.imageId);
    if (container.image === image) return true;
    if ("reason" in own || "reason" in wanted || own.repository !== wanted.repository) return false;
    return wanted.tag === "" || wanted.tag === own.tag;
  });
}

/** What HAProxy knows of its servers. */
interface Known {
  readonly servers: readonly ServerStats[];
  readonly oddities: readonly Oddity[];
}

/** HAProxy's servers. Undefined if HAProxy cannot be asked: then only their lines are missing. */
async function readServers(output: string): Promise<Known | undefined> {
  try {
    const { ask } = await findRunning(output, AbortSignal.timeout(HAPROXY_PATIENCE));
    return await readKnown(ask);
  } catch (error) {
    if (error instanceof GatewayError) return undefined;
    throw error;
  }
}

async function readKnown(ask: Runtime["ask"]): Promise<Known> {
  const servers = await readStats(ask);
  return {
    servers,
    oddities: [...(await readBadAnswers(ask, servers)), ...(await readCircles(ask))],
  };
}

/** What HAProxy runs, for the explanation of a URL. */
interface Seen extends Known {
  /** The routes of all services, also of those without a running container. */
  readonly routes: readonly RunningRoute[];
}

/** A route in the running HAProxy. */
interface RunningRoute extends Route {
  /** Whether its requests wait for a container. */
  readonly waiting: boolean;
}

/** What HAProxy runs. Nothing if it cannot be asked. */
async function readSeen(output: string): Promise<Seen> {
  try {
    const { config, ask } = await findRunning(output, AbortSignal.timeout(HAPROXY_PATIENCE));
    const known = await readKnown(ask);
    const byBackend = Map.groupBy(known.servers, ({ backend }) => backend);
    const routes: RunningRoute[] = [];
    for (const path of mapPathsOf(config)) {
      for (const { key, backend, prefix, rewrite } of await readMap(ask, path)) {
        const own = byBackend.get(backend) ?? [];
        // A backend without this server is none of the built-in templates', or nobody waits there.
        if (!own.some(({ name }) => name === WAITING_ROOM)) continue;
        const slash = key.startsWith("/") ? 0 : key.indexOf("/");
        const host = key.slice(0, slash);
        const ownPath = key.slice(slash).replace(/\/$/, "") || "/";
        const strip = rewrite !== "" || (ownPath !== "/" && prefix !== "");
        const waiting = requestsWait(own);
        routes.push({ host, path: ownPath, strip, rewrite, key, backend, waiting });
      }
    }
    return { ...known, routes };
  } catch (error) {
    if (error instanceof GatewayError) return { servers: [], oddities: [], routes: [] };
    throw error;
  }
}

function toText(lines: readonly Line[]): string {
  const width = Math.max(...lines.map(({ about }) => about.length));
  return lines.map(({ about, text }) => `${about.padEnd(width)}  ${text}\n`).join("");
}

/** Tells the decisions about a container in their order. The container may have stopped. */
function explainContainer(
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
  const rejection = model.rejections.find((each) => each.id === id);
  if (rejection !== undefined) {
    return [title, ...decision.decisions, { about: "not routed", text: rejection.reason }];
  }
  const service = model.services.find(({ name: own }) => own === decision.intent.service.value);
  if (service === undefined) return [title, ...decision.decisions];
  return [
    title,
    ...decision.decisions,
    ...service.routes.map((each) => explainRoute(each, service)),
    ...model.refusals
      .filter(({ ids }) => ids.includes(id))
      .map(({ reason }) => ({ about: "not there", text: reason })),
    ...service.routes.slice(0, 1).map((each) => exampleOf(each, decision.intent)),
  ];
}

/**
 * Tells what HAProxy says about the servers of a container.
 * @param known of all servers that HAProxy has
 */
function explainServers(
  { id }: Container,
  { servers, oddities }: Known,
  model: Model,
  labelPrefix: string,
): Line[] {
  const wanted = model.services
    .flatMap((service) => service.servers)
    .filter((server) => server.id === id)
    .map(({ name }) => name);
  const own = servers
    .filter(({ name }) => isServerOf(name, id))
    // The server of the preferred port comes first.
    .toSorted((a, b) => wanted.indexOf(a.name) - wanted.indexOf(b.name));
  if (own.length === 0 && wanted.length > 0) {
    return [{ about: "haproxy", text: "has no server of it (yet): is the gateway running?" }];
  }
  return own.flatMap((server): Line[] => {
    const [, port = ""] = server.name.split(":");
    const before = port === "" ? "" : `port ${port}: `;
    return [
      { about: "haproxy", text: before + describeStats(server) },
      ...explainAnswers(server.name, `${before}it`, oddities, labelPrefix),
    ];
  });
}

/** Tells what is odd about the answers of a server. @param subject stands for it */
function explainAnswers(
  name: string,
  subject: string,
  oddities: readonly Oddity[],
  labelPrefix: string,
): Line[] {
  return oddities
    .filter(({ server }) => server === name)
    .map(({ answers }) => {
      return { about: "answers", text: describeOddAnswers(subject, answers, labelPrefix) };
    });
}

/** Whether a server's name is that of a container with this ID: see `serverName` in src/routing. */
function isServerOf(name: string, id: string): boolean {
  return name.split(":")[0] === id.slice(0, 12);
}

function describeStats({ state, since, requests, check }: ServerStats): string {
  const text = `${state} for ${formatDuration(since)}`;
  if (state !== "down") return `${text}, ${requests} request${requests === 1 ? "" : "s"}`;
  if (check.startsWith("L4")) return `${text}: its port does not answer`;
  if (check.startsWith("L")) return `${text}: its port answers, but not as it should (${check})`;
  return `${text}: it was not checked yet`;
}

/**
 * Tells where a request goes, and with which path.
 * @param url a path, with or without `http://` and a host
 * @param seen what HAProxy runs
 */
function explainUrl(url: string, model: Model, seen: Seen, labelPrefix: string): Line[] {
  const { host, path, query } = takeApart(url);
  const routed = model.services.flatMap((service) => service.routes);
  const keys = new Set([...routed, ...inheritedRoutes(routed)].map(({ key }) => key));
  const all = [...routed, ...seen.routes.filter(({ key }) => !keys.has(key))];
  const best = findRoute(all, host.toLowerCase(), path);
  const title = { about: "url", text: `${host}${path}${query}` };
  if (best === undefined) {
    const routes = all.map(nameOf).join(", ") || "nothing";
    return [
      title,
      { about: "answer", text: "403: no route matches it" },
      { about: "served", text: routes },
    ];
  }
  const found = { about: "route", text: `${nameOf(best)}, ${whyBest(best)}` };
  const below = path.slice(best.path === "/" ? 0 : best.path.length);
  if ((best.path !== "/" || best.rewrite !== "") && climbs(below)) {
    return [title, found, { about: "answer", text: "400: by its dots it may leave that prefix" }];
  }
  const service = model.services.find(({ routes }) => routes.includes(best));
  const rest = best.strip ? below : path;
  const sent = `${best.rewrite}${rest.startsWith("/") ? rest : `/${rest}`}`;
  const lines = [title, found, { about: "sent as", text: `${sent}${query}` }];
  const usable = (service?.servers ?? []).filter(({ disabled }) => !disabled);
  const isWaiting = seen.routes.some(({ key, waiting }) => key === best.key && waiting);
  const waits = { about: "answer", text: "waits for a container; 503 if none comes" };
  if (usable.length === 0) {
    return isWaiting
      ? [...lines, waits]
      : [...lines, { about: "answer", text: "503: no container of it can be used now" }];
  }
  const down = new Map(
    seen.servers.filter(({ state }) => state === "down").map((each) => [each.name, each]),
  );
  const silent = usable.flatMap((server) => {
    const stats = down.get(server.name);
    if (stats === undefined) return [];
    return [{ about: "not to", text: `${describeServer(server)}, ${describeStats(stats)}` }];
  });
  const answering = usable.filter(({ name }) => !down.has(name));
  if (answering.length > 0) {
    const to = answering.map(describeServer).join(", or ");
    const odd = answering.flatMap((server) =>
      explainAnswers(server.name, `container ${server.container}`, seen.oddities, labelPrefix),
    );
    return [...lines, { about: "to", text: to }, ...odd, ...silent];
  }
  const unavailable = { about: "answer", text: "503: no container of it answers" };
  return [...lines, isWaiting ? waits : unavailable, ...silent];
}

function explainRoute(own: Route, { backend, servers }: Service): Line {
  const count = new Set(servers.map(({ id }) => id)).size;
  const shared = count > 1 ? `, shared by ${count} containers` : "";
  return { about: "route", text: `${nameOf(own)} -> backend ${backend}${shared}` };
}

/** @param intent what the container itself asks for */
function exampleOf({ host, path, strip, rewrite, key }: Route, { routes }: Intent): Line {
  const url = `http://${host || "HOST"}${path === "/" ? "" : path}/x`;
  if (path === "/" && rewrite === "") return { about: "request", text: `${url} goes there as /x` };
  const sent = strip ? `${rewrite}/x` : `${path}/x`;
  const replaced =
    rewrite === "" ? "the prefix is stripped" : `${rewrite} takes its prefix's place`;
  const what = strip ? replaced : "the prefix is left on";
  const wanted = routes.find((each) => keyOf(each) === key)?.treatment;
  const differs = wanted !== undefined && (strip !== wanted.strip || rewrite !== wanted.rewrite);
  const source = wanted === undefined || wanted.source === "" ? "" : `, from ${wanted.source}`;
  const why = differs ? ", as the oldest container of the service has it" : source;
  return { about: "request", text: `${url} goes there as ${sent} (${what}${why})` };
}

/** Why a route is the one of a request. */
function whyBest({ host }: Route): string {
  if (host === "") return "the longest that matches whole segments";
  return isWildcard(host)
    ? "of the longest wildcard that has one, the longest that matches whole segments"
    : "of that host the longest that matches whole segments";
}

function describeServer({ container, address, port, backup }: Server): string {
  return `${container} at ${address}:${port}${backup ? " (where its first port does not answer)" : ""}`;
}

/** The parts of a URL as HAProxy sees them: nothing is decoded, and no `..` is resolved. */
function takeApart(url: string): { host: string; path: string; query: string } {
  const [, authority = "", target = "/"] = /^(?:https?:\/\/([^/?#]*))?([^#]*)/i.exec(url) ?? [];
  const [, path = "", query = ""] = /^([^?]*)(\?.*)?$/.exec(target) ?? [];
  const host = authority.replace(/^.*@/, "").replace(/:\d+$/, "").replace(/\.$/, "");
  return { host, path: path === "" ? "/" : path, query };
}
