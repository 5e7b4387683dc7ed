// Makes a service from its containers, with its servers and routes.

import { shared } from "../lib/lists.ts";
import { compare } from "../lib/text.ts";
import {
  hasRules,
  isForwarded,
  type CertificateWish,
  type Route,
  type Server,
  type Service,
  type Settings,
  type WaitingContainer,
} from "../model.ts";
import type { RoutedContainer } from "./container.ts";
import { withShares } from "./split.ts";
import { byAge, type Ask } from "./standing.ts";
import { forwardingProfileOf, profileOf } from "./settings/profile.ts";

/** The containers of one service. */
export interface ServiceGroup {
  /** The name of the service. */
  readonly name: string;
  /** The containers, sorted by name. */
  readonly members: readonly RoutedContainer[];
}

/** Sorts the containers of a service, so that the order of the list does not matter. */
export function toGroup(name: string, members: readonly RoutedContainer[]): ServiceGroup {
  const ordered = members.toSorted(
    ({ container: a }, { container: b }) => compare(a.name, b.name) || compare(a.id, b.id),
  );
  return { name, members: ordered };
}

/**
 * Makes a service.
 * @param members the containers that serve
 * @param asks the routes that it gets
 * @param settings how HAProxy treats its servers
 */
export function toService(
  name: string,
  members: readonly RoutedContainer[],
  asks: readonly Ask[],
  settings: Settings,
): Service {
  // The name of a service has no single colon, so two services never have the same backend.
  const backend = name.replaceAll("/", ":");
  const routes = asks.map((ask) => toRoute(ask, backend));
  const certificates = certificatesOf(members);
  return {
    name,
    backend,
    profile: isForwarded({ routes })
      ? forwardingProfileOf(settings)
      : profileOf(
          settings,
          routes.some(({ rules }) => hasRules(rules)),
        ),
    settings,
    ...(certificates === undefined ? {} : { certificates }),
    routes,
    servers: withShares(members.toSorted(byAge), serversOf(members)),
    waiting: shared(members.filter(({ servers }) => servers.length === 0).map(toWaitingContainer)),
    hold: "",
  };
}

/** Warnings about the containers of a service: things that work, but are probably a mistake. */
export function warningsOf(name: string, members: readonly RoutedContainer[]): readonly string[] {
  return [
    ...members.flatMap(({ intent }) => intent.warnings),
    ...registryWarnings(name, members),
    ...certificateWarnings(members),
  ];
}

/** The oldest of its containers decides. */
function certificatesOf(members: readonly RoutedContainer[]): CertificateWish | undefined {
  return members.toSorted(byAge)[0]?.intent.certificates;
}

/** A warning if a container wants other certificates than the oldest one. */
function certificateWarnings(members: readonly RoutedContainer[]): string[] {
  const [first, ...others] = members.toSorted(byAge);
  const other = others.find(({ intent }) => intent.certificates !== first?.intent.certificates);
  if (first === undefined || other === undefined) return [];
  const { name } = first.container;
  return [
    `containers ${name} and ${other.container.name} are one service and differ in label acme: ` +
      `${name} is the oldest, so it counts`,
  ];
}

function toRoute({ host, path, tcp, key, treatment, rules }: Ask, backend: string): Route {
  const { strip: isStripped, rewrite } = treatment;
  if (tcp !== undefined) {
    return { host, path, strip: false, rewrite: "", key, backend, rules, tcp };
  }
  const strip = isStripped && (path !== "/" || rewrite !== "");
  return { host, path, strip, rewrite, key, backend, rules };
}

function toWaitingContainer({ container: { id, name, state } }: RoutedContainer): WaitingContainer {
  return { id, container: name, why: state };
}

/**
 * The servers of a service. If all of them are disabled, the container that was told to stop last
 * gets its servers enabled again: it may still answer. One that has ended does not.
 */
function serversOf(members: readonly RoutedContainer[]): readonly Server[] {
  const servers = withoutTwins(members.flatMap((member) => member.servers));
  if (servers.some(({ disabled }) => !disabled)) return servers;
  const lastStopping = members
    .filter((member) => member.servers.some(({ why }) => why === "stopping"))
    .toSorted((a, b) => a.container.stopping - b.container.stopping)
    .at(-1);
  return servers.map((server) =>
    server.id === lastStopping?.container.id ? { ...server, disabled: false, why: "" } : server,
  );
}

/** Tasks that the routing mesh reaches have one server together. Which of them gives it makes no difference. */
function withoutTwins(servers: readonly Server[]): readonly Server[] {
  if (new Set(servers.map(({ name }) => name)).size === servers.length) return servers;
  return [
    ...new Map(servers.toReversed().map((server) => [server.name, server])).values(),
  ].toReversed();
}

/**
 * A warning if the images of a service come from more than one registry. With a label they may: somebody
 * says that they are one service.
 */
function registryWarnings(name: string, members: readonly RoutedContainer[]): string[] {
  const unnamed = members.filter(({ intent }) => intent.service.source.startsWith("image "));
  const registries = [...new Set(unnamed.map(({ intent }) => intent.registry))].toSorted();
  if (registries.length <= 1) return [];
  const names = registries.map((registry) => [registry, name].filter(Boolean).join("/"));
  return [`images ${names.join(" and ")} share one path, so requests are spread over all of them`];
}
