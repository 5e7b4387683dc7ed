// Makes a service from its containers, with its servers and routes.

import { compare } from "../lib/text.ts";
import { type Route, type Server, type Service, type WaitingContainer } from "../model.ts";
import type { RoutedContainer } from "./container.ts";
import type { RouteIntent } from "./intent.ts";

/** The `defaults` section for a service without settings. */
const DEFAULT_PROFILE = "_backend";

/** The containers of one service. */
export interface ServiceGroup {
  /** The name of the service. */
  readonly name: string;
  /** The containers, sorted by name. */
  readonly members: readonly RoutedContainer[];
  /** When the oldest container was created, in milliseconds since 1970. */
  readonly created: number;
}

/** Sorts the containers of a service, so that the order of the list does not matter. */
export function toGroup(name: string, members: readonly RoutedContainer[]): ServiceGroup {
  const ordered = members.toSorted(
    ({ container: a }, { container: b }) => compare(a.name, b.name) || compare(a.id, b.id),
  );
  const created = Math.min(...ordered.map(({ container }) => container.created));
  return { name, members: ordered, created };
}

/** @param hosts the host names of the service; undefined: it has the routes of its containers */
export function toService(
  { name, members }: ServiceGroup,
  hosts: readonly string[] | undefined,
): Service {
  // The name of a service has no colon, so two services never have the same backend.
  const backend = name.replaceAll("/", ":");
  const routes = hosts?.map((host) => ({ host, path: "/" })) ?? routesOf(members);
  const strip = strips(oldestOf(members));
  return {
    name,
    backend,
    profile: DEFAULT_PROFILE,
    settings: {},
    routes: routes.map((route) => toRoute(route, backend, strip)),
    servers: serversOf(members),
    waiting: members.filter(({ servers }) => servers.length === 0).map(toWaitingContainer),
    hold: "",
  };
}

/**
 * Warnings about the containers of a service: things that work, but are probably a mistake.
 * @param hosts the host names of the service; undefined: it has the routes of its containers
 */
export function warningsOf(
  group: ServiceGroup,
  hosts: readonly string[] | undefined,
): readonly string[] {
  return [
    ...group.members.flatMap(({ intent }) => intent.warnings),
    ...registryWarnings(group),
    ...(hosts === undefined ? stripWarnings(group) : []),
  ];
}

/**
 * The container whose label decides for its service whether the prefix is stripped: the oldest one,
 * so that one that comes changes nothing for those that serve.
 */
function oldestOf(members: readonly RoutedContainer[]): RoutedContainer | undefined {
  return members.toSorted((a, b) => a.container.created - b.container.created)[0];
}

/** Whether a container wants the prefix to be stripped. */
function strips(member: RoutedContainer | undefined): boolean {
  return member?.intent.strip?.value ?? true;
}

function routesOf(members: readonly RoutedContainer[]): RouteIntent[] {
  const all = members.flatMap(({ intent }) => intent.routes.value);
  return [...new Map(all.map((route) => [`${route.host}${route.path}`, route])).values()];
}

function toRoute({ host, path }: RouteIntent, backend: string, strip: boolean): Route {
  const isRoot = path === "/";
  return { host, path, strip: strip && !isRoot, key: `${host}${isRoot ? "" : path}/`, backend };
}

function toWaitingContainer({ container: { id, name, state } }: RoutedContainer): WaitingContainer {
  return { id, container: name, why: state };
}

/**
 * The servers of a service. If all of them are disabled, the container that was told to stop last
 * gets its servers enabled again: it may still answer. One that has ended does not.
 */
function serversOf(members: readonly RoutedContainer[]): readonly Server[] {
  const servers = members.flatMap((member) => member.servers);
  if (servers.some(({ disabled }) => !disabled)) return servers;
  const lastStopping = members
    .filter((member) => member.servers.some(({ why }) => why === "stopping"))
    .toSorted((a, b) => a.container.stopping - b.container.stopping)
    .at(-1);
  return servers.map((server) =>
    server.id === lastStopping?.container.id ? { ...server, disabled: false, why: "" } : server,
  );
}

/** A warning if the images of a service come from more than one registry. */
function registryWarnings({ name, members }: ServiceGroup): string[] {
  const registries = [...new Set(members.map(({ intent }) => intent.registry))].toSorted();
  if (registries.length <= 1) return [];
  const names = registries.map((registry) => [registry, name].filter(Boolean).join("/"));
  return [`images ${names.join(" and ")} share one path, so requests are spread over all of them`];
}

/** A warning if the containers of a service do not agree whether the prefix is stripped. */
function stripWarnings({ name, members }: ServiceGroup): string[] {
  const oldest = oldestOf(members);
  const other = members.find((member) => strips(member) !== strips(oldest));
  if (oldest === undefined || other === undefined) return [];
  const [first, second] = [oldest, other].map(({ container }) => container.name);
  return [
    `containers ${first} and ${second} share /${name} and differ in label gateway.strip: ` +
      `${first} is the oldest, so the prefix is ${strips(oldest) ? "stripped" : "left on"}`,
  ];
}
