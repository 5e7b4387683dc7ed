// From the containers to the model: which are routed, and under which host and path.

import { isDeepStrictEqual } from "node:util";
import type { AddressOptions } from "./address.ts";
import { assignHosts } from "./hosts.ts";
import { compare } from "./order.ts";
import { sameItems } from "./memo.ts";
import type { Backend, Model, Reach, Rejection, Route, Server, Snapshot } from "./model.ts";
import { placer, type Member } from "./placement.ts";

export interface RoutingOptions extends AddressOptions {
  /** Routes go by host names below this domain; undefined: by path. */
  readonly domain: string | undefined;
  /** Containers left out whatever else holds, by their ID, each with the reason. */
  readonly excluded?: Readonly<Record<string, string>>;
}

/** Decides for every container whether and where it is served. Same containers, same model. */
export function route(snapshot: Snapshot, reach: Reach, options: RoutingOptions): Model {
  const { domain, excluded = {} } = options;
  const place = placer(snapshot, reach, options);
  const members: Member[] = [];
  const rejections: Rejection[] = [];
  for (const container of snapshot.containers) {
    const { id, name, image } = container;
    const reason = excluded[id];
    const placed = reason === undefined ? place(container) : { reason, decisions: [] };
    if (!("reason" in placed)) members.push(placed);
    else rejections.push({ id, container: name, image, reason: placed.reason });
  }

  const services = inOrder(Map.groupBy(members, (member) => member.repository));
  const hosts = domain === undefined ? undefined : assignHosts(services.map(toClaimant), domain);
  const backends: Backend[] = [];
  const routes: Route[] = [];
  const warnings: string[] = [];
  for (const { repository, group } of services) {
    const built = build(repository, group, hosts?.names.get(repository));
    backends.push(built.backend);
    routes.push(...built.routes);
    for (const member of group) warnings.push(...member.warnings);
    warnings.push(...mixedRegistries(group));
  }
  // What has gone is forgotten now and then.
  if (lastBuilt.size > backends.length * 2 + 100) lastBuilt.clear();
  warnings.push(...(hosts?.warnings ?? []));
  const model = {
    routes,
    backends,
    rejections: rejections.toSorted((a, b) => compare(a.id, b.id)),
    warnings,
  };
  if (!isSameModel(lastModel, model)) lastModel = model;
  return lastModel;
}

/** The last model: where nothing changed it is the same object again. */
let lastModel: Model = { routes: [], backends: [], rejections: [], warnings: [] };

function isSameModel(a: Model, b: Model): boolean {
  return (
    sameItems(a.backends, b.backends) &&
    sameItems(a.routes, b.routes) &&
    sameItems(a.warnings, b.warnings) &&
    isDeepStrictEqual(a.rejections, b.rejections)
  );
}

type Service = Pick<Built, "group"> & { readonly repository: string };

/** The repositories in the order of last time: of thousands, few come and go. */
let lastOrder: readonly string[] = [];

/** The services in the order of their repositories, their containers in that of their names. */
function inOrder(groups: ReadonlyMap<string, readonly Member[]>): Service[] {
  const known = lastOrder.filter((repository) => groups.has(repository));
  lastOrder = known.length === groups.size ? known : [...groups.keys()].toSorted(compare);
  return lastOrder.map((repository) => {
    const group = groups.get(repository) ?? [];
    return { repository, group: group.length > 1 ? group.toSorted(byName) : group };
  });
}

interface Built {
  readonly group: readonly Member[];
  readonly hosts: readonly string[] | undefined;
  readonly backend: Backend;
  readonly routes: readonly Route[];
}

/** What was made of each repository last time: the same members give the same objects again. */
const lastBuilt = new Map<string, Built>();

/** @param hosts undefined: routes go by path */
function build(
  repository: string,
  group: readonly Member[],
  hosts: readonly string[] | undefined,
): Built {
  const before = lastBuilt.get(repository);
  const isSame =
    before !== undefined &&
    sameItems(before.group, group) &&
    before.hosts?.join() === hosts?.join();
  if (isSame) return before;
  const backend = toBackend(repository, group, hosts ?? []);
  const wanted = hosts === undefined ? pathRoute(backend) : hostRoutes(backend);
  // Such as when a container that was told to stop goes on as the last of its service.
  const isEqual = isDeepStrictEqual([before?.backend, before?.routes], [backend, wanted]);
  const built =
    isEqual && before !== undefined
      ? { ...before, group }
      : { group, hosts, backend, routes: wanted };
  lastBuilt.set(repository, built);
  return built;
}

function toBackend(
  repository: string,
  group: readonly Member[],
  hosts: readonly string[],
): Backend {
  return {
    // A colon cannot occur in a repository, so that no two repositories have one name.
    name: repository.replaceAll("/", ":"),
    repository,
    path: `/${repository}`,
    hosts,
    servers: keepLast(group),
  };
}

function byName(a: Member, b: Member): number {
  return compare(a.container.name, b.container.name) || compare(a.container.id, b.container.id);
}

/** Where nothing else is left, the container that was told to stop last goes on: it may answer. */
function keepLast(group: readonly Member[]): readonly Server[] {
  const servers = group.flatMap((member) => member.servers);
  if (servers.some(({ disabled }) => !disabled)) return servers;
  const last = group
    .filter((member) => member.servers.some(({ why }) => why === "stopping"))
    .toSorted((a, b) => a.container.stopping - b.container.stopping)
    .at(-1);
  return servers.map((server) =>
    server.id === last?.container.id ? { ...server, disabled: false, why: "" } : server,
  );
}

function pathRoute(backend: Backend): Route[] {
  const { name, path } = backend;
  const strip = path.split("/").length - 1;
  return [{ host: "", path, strip, key: `${path}/`, backend: name }];
}

function hostRoutes(backend: Backend): Route[] {
  return backend.hosts.map((host) => ({
    host,
    path: "/",
    strip: 0,
    key: `${host}/`,
    backend: backend.name,
  }));
}

function mixedRegistries(group: readonly Member[]): string[] {
  const [first] = group;
  if (first === undefined || group.every(({ domain }) => domain === first.domain)) return [];
  const domains = [...new Set(group.map(({ domain }) => domain))].toSorted();
  const names = domains.map((domain) => [domain, first.repository].filter(Boolean).join("/"));
  return [`images ${names.join(" and ")} share one path, so requests are spread over all of them`];
}

/** A repository with the time its oldest container was made. */
function toClaimant({ repository, group }: Service) {
  return { repository, created: Math.min(...group.map(({ container }) => container.created)) };
}
