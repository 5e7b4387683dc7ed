// One service: its containers, the servers they are, and the routes that lead there.

import { compare } from "../lib/text.ts";
import type { Route, Server, Service, WaitingContainer } from "../model.ts";
import type { RouteIntent } from "./intent.ts";
import type { Member } from "./placement.ts";

/** The section `defaults` of a service without settings. */
const PROFILE = "_backend";

/** The containers that ask for one service, in the order of their names. */
export interface Group {
  /** The name of the service. */
  readonly name: string;
  readonly members: readonly Member[];
  /** The same in the order in which they were listed. */
  readonly asListed: readonly Member[];
  /** When its oldest container was made, in milliseconds since 1970. */
  readonly created: number;
}

/** Puts the containers of a service in their order. */
export function toGroup(name: string, members: readonly Member[]): Group {
  const ordered = members.toSorted(
    ({ container: a }, { container: b }) => compare(a.name, b.name) || compare(a.id, b.id),
  );
  const created = Math.min(...ordered.map(({ container }) => container.created));
  return { name, members: ordered, asListed: members, created };
}

/** @param hosts the names that it is served at; undefined: its routes are what its containers ask for */
export function toService({ name, members }: Group, hosts: readonly string[] | undefined): Service {
  // A colon cannot occur in a name, so that no two services have one backend.
  const backend = name.replaceAll("/", ":");
  const wanted = hosts?.map((host) => ({ host, path: "/" })) ?? routesOf(members);
  return {
    name,
    backend,
    profile: PROFILE,
    settings: {},
    routes: wanted.map((route) => toRoute(route, backend)),
    servers: keepLast(members),
    waiting: members.filter(({ servers }) => servers.length === 0).map(toWaitingContainer),
  };
}

/** What is probably not meant so about the containers of a service. */
export function warningsOf({ members }: Group): readonly string[] {
  return [...members.flatMap(({ intent }) => intent.warnings), ...mixedRegistries(members)];
}

function routesOf(members: readonly Member[]): RouteIntent[] {
  const all = members.flatMap(({ intent }) => intent.routes.value);
  return [...new Map(all.map((route) => [`${route.host}${route.path}`, route])).values()];
}

function toRoute({ host, path }: RouteIntent, backend: string): Route {
  return { host, path, key: `${host}${path === "/" ? "" : path}/`, backend };
}

function toWaitingContainer({ container: { id, name, state } }: Member): WaitingContainer {
  return { id, container: name, why: state };
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

function mixedRegistries(members: readonly Member[]): string[] {
  const [first] = members;
  if (first === undefined) return [];
  const registries = [...new Set(members.map(({ intent }) => intent.registry))].toSorted();
  if (registries.length === 1) return [];
  const name = first.intent.service.value;
  const names = registries.map((registry) => [registry, name].filter(Boolean).join("/"));
  return [`images ${names.join(" and ")} share one path, so requests are spread over all of them`];
}
