// What a service asks for: its routes, and the containers that may serve them.

import { compare } from "../lib/text.ts";
import type { Container, Settings } from "../model.ts";
import { holdsClaim, whyClaimed, type Claim } from "./claims.ts";
import type { RoutedContainer } from "./container.ts";
import { isNamed, STRIPPED, titleOf, type RouteIntent } from "./intent.ts";
import { shared } from "../lib/lists.ts";
import { keyOf, nameOf } from "../lib/places.ts";
import type { ServiceGroup } from "./service.ts";
import { agree } from "./settings/profile.ts";
import { ruleDifferences } from "./settings/rules.ts";
import { shareWarnings } from "./split.ts";

/** A route that a service asks for, with the oldest of its containers that does. */
export interface Ask extends RouteIntent {
  readonly key: string;
  readonly container: Container;
  /** Whether that container only wants a share of the requests. */
  readonly isShared: boolean;
}

/** A container that does not get what it asks for. */
export interface Denial {
  readonly container: Container;
  /** What it asks for; undefined if it is not routed at all. */
  readonly route: string | undefined;
  readonly reason: string;
}

export interface Standing {
  /** The containers that are its servers, sorted by name. */
  readonly members: readonly RoutedContainer[];
  /** Each key once. */
  readonly asks: readonly Ask[];
  readonly denials: readonly Denial[];
  /** Whether labels gave it a route or its name. The routes of others are different for each service. */
  readonly isLabelled: boolean;
  readonly settings: Settings;
  /** About containers that want the same route to be treated differently, or other settings. */
  readonly warnings: readonly string[];
}

/**
 * Finds out what a service asks for. The oldest container comes first: one that comes later changes
 * nothing for those that serve. Before all others come those that hold a claim. Who may not have a route
 * of the service, by a claim, is no server of it.
 * @param hosts the host names that it has without a label; undefined: it has its image's path
 * @param labelPrefix what all labels begin with
 * @param whyTaken why the gateway cannot listen at a port
 */
export function standingOf(
  { name, members }: ServiceGroup,
  hosts: readonly string[] | undefined,
  claims: readonly Claim[],
  labelPrefix: string,
  whyTaken: WhyTaken = () => undefined,
): Standing {
  const asks = new Map<string, Ask>();
  const kept: RoutedContainer[] = [];
  const denials: Denial[] = [];
  const warnings: string[] = [];
  const ruleWarnings: string[] = [];
  for (const { member, wanted } of inOrder(members, hosts, claims)) {
    const { container } = member;
    const claimed = claims.length === 0 ? [] : deniedTo(member, name, wanted, asks, kept, claims);
    const denied = [...claimed, ...withoutPort(member, wanted, whyTaken)];
    denials.push(...denied);
    if (denied.some(({ route }) => route === undefined)) continue;
    const isDenied = new Set(denied.map(({ route }) => route));
    for (const place of wanted) {
      const key = keyOf(place);
      const first = asks.get(key);
      if (isDenied.has(nameOf(place))) continue;
      if (first === undefined) {
        const isShared = member.intent.server.split !== undefined;
        asks.set(key, { ...place, key, container, isShared });
      } else {
        warnings.push(...differenceOf(first, place, container, labelPrefix));
        ruleWarnings.push(...ruleDifferences(first, place, container));
      }
    }
    kept.push(member);
  }
  const isKept = new Set(kept);
  const agreed = agree(name, kept, labelPrefix);
  return {
    members: kept.length === members.length ? members : members.filter((each) => isKept.has(each)),
    asks: [...asks.values()],
    denials: shared(denials),
    isLabelled: isNamed(name) || [...asks.values()].some(({ isDefault }) => !isDefault),
    settings: agreed.settings,
    warnings: shared([
      ...warnings.slice(0, 1),
      ...ruleWarnings.slice(0, 1),
      ...agreed.warnings,
      ...shareWarnings(name, kept.toSorted(byAge), labelPrefix),
    ]),
  };
}

/** Why the gateway cannot listen at one of its ports; undefined if it can. */
export type WhyTaken = (port: number) => string | undefined;

/** A container whose bytes are forwarded asks for one port. If that cannot be had, it is not routed. */
function withoutPort(
  { container }: RoutedContainer,
  wanted: readonly RouteIntent[],
  whyTaken: WhyTaken,
): readonly Denial[] {
  const tcp = wanted[0]?.tcp;
  const why = tcp === undefined ? undefined : whyTaken(tcp);
  if (why === undefined) return [];
  return [
    { container, route: undefined, reason: `it cannot be served at tcp port ${tcp}: ${why}` },
  ];
}

/**
 * What claims keep from a container: the service, as it has a route that the container may not have, or
 * the routes that it may not have itself, or that one of its service may not have.
 * @param asks the routes of its service so far, by key
 * @param others the containers of its service so far
 */
function deniedTo(
  { container }: RoutedContainer,
  service: string,
  wanted: readonly RouteIntent[],
  asks: ReadonlyMap<string, Ask>,
  others: readonly RoutedContainer[],
  claims: readonly Claim[],
): readonly Denial[] {
  for (const ask of asks.values()) {
    const why = whyClaimed(container, ask, claims);
    if (why === undefined) continue;
    const isWanted = wanted.some((place) => keyOf(place) === ask.key);
    const reason = isWanted
      ? `${nameOf(ask)} is kept from container ${container.name} by ${why}`
      : `service ${titleOf(service)} has ${nameOf(ask)}, ` +
        `which is kept from container ${container.name} by ${why}`;
    return [{ container, route: undefined, reason }];
  }
  const denied = wanted.flatMap((place): Denial[] => {
    const route = nameOf(place);
    const own = whyClaimed(container, place, claims);
    if (own !== undefined) {
      return [
        { container, route, reason: `${route} is kept from container ${container.name} by ${own}` },
      ];
    }
    const reasons = others.flatMap((other) => {
      const why = whyClaimed(other.container, place, claims);
      const who = `container ${other.container.name} of its service`;
      return why === undefined ? [] : `${route} is kept from ${who} by ${why}`;
    });
    return reasons.slice(0, 1).map((reason) => ({ container, route, reason }));
  });
  const [first] = denied;
  const isAll = first !== undefined && denied.length === wanted.length;
  return isAll ? [{ ...first, route: undefined }] : denied;
}

/** Containers with what they ask for, those first that decide for the others. */
function inOrder(
  members: readonly RoutedContainer[],
  hosts: readonly string[] | undefined,
  claims: readonly Claim[],
) {
  const all = members.toSorted(byAge).map((member) => {
    const wanted = member.intent.routes.flatMap((each) => placesOf(each, hosts));
    return { member, wanted, holds: holdsClaim(member.container, wanted, claims) };
  });
  return [...all.filter(({ holds }) => holds), ...all.filter(({ holds }) => !holds)];
}

/** The oldest comes first. Of two as old, the first by name does. */
export function byAge(
  { container: a }: RoutedContainer,
  { container: b }: RoutedContainer,
): number {
  return a.created - b.created || compare(a.name, b.name) || compare(a.id, b.id);
}

/** The places that are meant: with `--domain`, host names are in place of an image's path. */
function placesOf(route: RouteIntent, hosts: readonly string[] | undefined): RouteIntent[] {
  if (!route.isDefault || hosts === undefined) return [route];
  return hosts.map((host) => ({ ...route, host, path: "/", treatment: rewritten(route) }));
}

/** At a host of its own there is no prefix to take off. */
function rewritten({ treatment }: RouteIntent): RouteIntent["treatment"] {
  return treatment.rewrite === "" ? STRIPPED : treatment;
}

/** A warning if a container wants another treatment of a prefix than the oldest one. */
function differenceOf(
  first: Ask,
  { treatment }: RouteIntent,
  { name }: Container,
  labelPrefix: string,
): string[] {
  const [one, other] = [first.treatment, treatment];
  const isSame = one.strip === other.strip && one.rewrite === other.rewrite;
  if (isSame || (first.path === "/" && one.rewrite === other.rewrite)) return [];
  const label = one.rewrite === other.rewrite ? "strip" : "rewrite";
  const done =
    one.rewrite === "" ? (one.strip ? "stripped" : "left on") : `replaced by ${one.rewrite}`;
  return [
    `containers ${first.container.name} and ${name} share ${nameOf(first)} and differ in ` +
      `label ${labelPrefix}${label}: ${first.container.name} is the oldest, so the prefix is ${done}`,
  ];
}
