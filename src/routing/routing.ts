// src/routing decides from the containers what is served: containers become intents, intents become
// services, and services have routes and servers. Every container that is not routed gets a reason.
// It may import only lib and model.ts, and it only computes: no input or output, no clock.

import { isDeepStrictEqual } from "node:util";
import { listDifference, sameItems } from "../lib/lists.ts";
import { WeakCache } from "../lib/weak-cache.ts";
import { compare } from "../lib/text.ts";
import type { Container, Model, Reach, Rejection, Service, Snapshot } from "../model.ts";
import type { AddressOptions } from "./address.ts";
import {
  createContainerRouter,
  type RoutedContainer,
  type UnroutedContainer,
} from "./container.ts";
import { assignHosts } from "./hosts.ts";
import { toGroup, toService, warningsOf, type ServiceGroup } from "./service.ts";

export interface RoutingOptions extends AddressOptions {
  /** Services are served at host names below this domain; undefined: at paths. */
  readonly domain: string | undefined;
  /** Containers that are not routed for a reason from outside: the reason by container ID. */
  readonly excluded?: Readonly<Record<string, string>>;
}

/** Decides which containers are served, and where. The same containers give the same model. */
export type Router = (snapshot: Snapshot, reach: Reach, options: RoutingOptions) => Model;

/** Decides once. */
export const route: Router = (...input) => createRouter()(...input);

/**
 * Makes a router to call for each new snapshot. It gives the same model as a new router would, but
 * a service that did not change is the same object as before.
 */
export function createRouter(): Router {
  let lastContext = "";
  let decisionCache = new WeakCache<Container, Decision>();
  const servedCache = new WeakCache<ServiceGroup, ServedGroup>();
  let last: Routed = { decisions: [], groups: [], served: [] };

  return (snapshot, reach, options) => {
    const { domain, excluded = {}, ports, network, ownPorts } = options;
    const routeContainer = createContainerRouter(snapshot, reach, options);
    // All that decisions depend on besides the container itself.
    const context = JSON.stringify([reach, snapshot.drivers, ports, network, ownPorts]);
    if (context !== lastContext) decisionCache = new WeakCache();
    lastContext = context;

    const cached = decisionCache.getAll(snapshot.containers, routeContainer);
    const decisions = cached.map((decision) => {
      const { container } = decision;
      const reason = excluded[container.id];
      if (reason !== undefined) {
        return { container, reason, expected: false, ending: false, decisions: [] };
      }
      // With another container's network, the decision depends on that container too.
      return container.networkMode.startsWith("container:") ? routeContainer(container) : decision;
    });
    const groups = regroup(last, decisions);
    const hosts = domain === undefined ? undefined : assignHosts(groups, domain);
    // Services with host names get new ones from each other: any of them may have to be made anew.
    const changing = hosts === undefined ? replacedBy(groups, last.served) : last.served;
    const byName = new Map(changing.map((each) => [each.group.name, each]));
    const serve = (group: ServiceGroup): ServedGroup =>
      serveGroup(group, hosts?.names.get(group.name), byName.get(group.name));
    const served = hosts === undefined ? servedCache.getAll(groups, serve) : groups.map(serve);
    last = { decisions, groups, served };
    return {
      services: served.map(({ service }) => service),
      rejections: decisions
        .filter((decision) => "reason" in decision)
        .map(toRejection)
        .toSorted((a, b) => compare(a.id, b.id)),
      warnings: [...served.flatMap(({ warnings }) => warnings), ...(hosts?.warnings ?? [])],
    };
  };
}

type Decision = RoutedContainer | UnroutedContainer;

/** What a router decided for a snapshot. */
interface Routed {
  readonly decisions: readonly Decision[];
  /** Sorted by name. */
  readonly groups: readonly ServiceGroup[];
  readonly served: readonly ServedGroup[];
}

/** Groups containers by their service. A group that did not change is the same object as before. */
function regroup(last: Routed, decisions: readonly Decision[]): readonly ServiceGroup[] {
  const { start, before, after } = listDifference(last.decisions, decisions);
  const differing = [...last.decisions.slice(start, before), ...decisions.slice(start, after)];
  const changed = new Set(differing.map(serviceOf));
  if (changed.size === 0) return last.groups;
  const members = decisions.filter(isRouted).filter((each) => changed.has(serviceOf(each)));
  const membersByName = Map.groupBy(members, ({ intent }) => intent.service.value);
  const anew = [...membersByName].map(([name, own]) => toGroup(name, own));
  return [...last.groups.filter(({ name }) => !changed.has(name)), ...anew].toSorted((a, b) =>
    compare(a.name, b.name),
  );
}

/** The name of a container's service; undefined if the container is not routed. */
function serviceOf(decision: Decision): string | undefined {
  return isRouted(decision) ? decision.intent.service.value : undefined;
}

function isRouted(decision: Decision): decision is RoutedContainer {
  return !("reason" in decision);
}

/** A service with the input that it was made from. */
interface ServedGroup {
  readonly group: ServiceGroup;
  readonly hosts: readonly string[] | undefined;
  readonly service: Service;
  readonly warnings: readonly string[];
}

/** @param last the result for the snapshot before, which is reused if the service is the same */
function serveGroup(
  group: ServiceGroup,
  hosts: readonly string[] | undefined,
  last: ServedGroup | undefined,
): ServedGroup {
  if (last?.group === group && sameHosts(last.hosts, hosts)) return last;
  const made = toService(group, hosts);
  // A changed group can give an equal service. One example is a container that was told to stop and
  // goes on as the last of its service.
  const service = last !== undefined && isDeepStrictEqual(last.service, made) ? last.service : made;
  return { group, hosts, service, warnings: warningsOf(group, hosts) };
}

/** The results for the groups that new ones replace. Both lists are sorted by name. */
function replacedBy(
  groups: readonly ServiceGroup[],
  last: readonly ServedGroup[],
): readonly ServedGroup[] {
  const { start, before } = listDifference(last, groups, (each, group) => each?.group === group);
  return last.slice(start, before);
}

function sameHosts(a: ServedGroup["hosts"], b: ServedGroup["hosts"]): boolean {
  return a === undefined || b === undefined ? a === b : sameItems(a, b);
}

function toRejection({ container, reason, expected, ending }: UnroutedContainer): Rejection {
  const { id, name, image } = container;
  return { id, container: name, image, reason, expected, ending };
}
