// One service: all containers of a repository, their backend, and the routes that lead there.

import { isDeepStrictEqual } from "node:util";
import { sameItems } from "../lib/memo.ts";
import type { Backend, Route, Server } from "../model.ts";
import { compare } from "../lib/text.ts";
import type { Member } from "./placement.ts";

/** The containers of a repository, in the order of their names. */
export interface Group {
  readonly repository: string;
  readonly members: readonly Member[];
  /** When its oldest container was made, in milliseconds since 1970. */
  readonly created: number;
}

export interface Service {
  readonly group: Group;
  /** Its host names; undefined: it is served by its path. */
  readonly hosts: readonly string[] | undefined;
  readonly backend: Backend;
  readonly routes: readonly Route[];
  readonly warnings: readonly string[];
}

/** Puts the containers of a repository in their order. */
export function toGroup(repository: string, members: Iterable<Member>): Group {
  const ordered = [...members].toSorted(
    ({ container: a }, { container: b }) => compare(a.name, b.name) || compare(a.id, b.id),
  );
  const created = Math.min(...ordered.map(({ container }) => container.created));
  return { repository, members: ordered, created };
}

/**
 * Makes the service of a group.
 * @param hosts undefined: it is served by its path
 * @param before what it was last time: given again, or its objects, where nothing changed
 */
export function toService(
  group: Group,
  hosts: readonly string[] | undefined,
  before: Service | undefined,
): Service {
  if (before?.group === group && sameHosts(before.hosts, hosts)) return before;
  const backend = toBackend(group, hosts ?? []);
  const routes = hosts === undefined ? pathRoute(backend) : hostRoutes(backend);
  const warnings = [
    ...group.members.flatMap((member) => member.warnings),
    ...mixedRegistries(group.members),
  ];
  // Such as when a container that was told to stop goes on as the last of its service.
  const isEqual = isDeepStrictEqual([before?.backend, before?.routes], [backend, routes]);
  return isEqual && before !== undefined
    ? { ...before, group, hosts, warnings }
    : { group, hosts, backend, routes, warnings };
}

function sameHosts(a: Service["hosts"], b: Service["hosts"]): boolean {
  return a === undefined || b === undefined ? a === b : sameItems(a, b);
}

function toBackend({ repository, members }: Group, hosts: readonly string[]): Backend {
  return {
    // A colon cannot occur in a repository, so that no two repositories have one name.
    name: repository.replaceAll("/", ":"),
    repository,
    path: `/${repository}`,
    hosts,
    servers: keepLast(members),
  };
}

/** Where nothing else is left, the container that was told to stop last goes on: it may answer. */
function keepLast(members: readonly Member[]): readonly Server[] {
  const servers = members.flatMap((member) => member.servers);
  if (servers.some(({ disabled }) => !disabled)) return servers;
  const last = members
    .filter((member) => member.servers.some(({ why }) => why === "stopping"))
    .toSorted((a, b) => a.container.stopping - b.container.stopping)
    .at(-1);
  return servers.map((server) =>
    server.id === last?.container.id ? { ...server, disabled: false, why: "" } : server,
  );
}

function pathRoute({ name, path }: Backend): Route[] {
  return [{ host: "", path, key: `${path}/`, backend: name }];
}

function hostRoutes({ name, hosts }: Backend): Route[] {
  return hosts.map((host) => ({ host, path: "/", key: `${host}/`, backend: name }));
}

function mixedRegistries(members: readonly Member[]): string[] {
  const [first] = members;
  if (first === undefined || members.every(({ domain }) => domain === first.domain)) return [];
  const domains = [...new Set(members.map(({ domain }) => domain))].toSorted();
  const names = domains.map((domain) => [domain, first.repository].filter(Boolean).join("/"));
  return [`images ${names.join(" and ")} share one path, so requests are spread over all of them`];
}
