// src/routing decides from the containers what is served: containers become intents, intents become
// services, and services have routes and servers. Every container that is not routed gets a reason.
// It may import only lib and model.ts, and it only computes: no input or output, no clock.

import { isDeepStrictEqual } from "node:util";
import { sameItems } from "../lib/lists.ts";
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
  let decisions = new WeakCache<Container, RoutedContainer | UnroutedContainer>();
  let lastServed = new Map<string, ServedGroup>();

  return (snapshot, reach, options) => {
    const { domain, excluded = {}, ports, network, ownPorts } = options;
    const routeContainer = createContainerRouter(snapshot, reach, options);
    // All that decisions depend on besides the container itself.
    const context = JSON.stringify([reach, snapshot.drivers, ports, network, ownPorts]);
    if (context !== lastContext) decisions = new WeakCache();
    lastContext = context;

    const members = new Map<string, RoutedContainer[]>();
    const rejections: Rejection[] = [];
    for (const container of snapshot.containers) {
      const reason = excluded[container.id];
      if (reason !== undefined) {
        rejections.push(toRejection(container, reason, false));
        continue;
      }
      // With another container's network, the decision depends on that container too.
      const sharesNetwork = container.networkMode.startsWith("container:");
      const decision = sharesNetwork
        ? routeContainer(container)
        : decisions.get(container, routeContainer);
      if ("reason" in decision) {
        rejections.push(toRejection(container, decision.reason, decision.optedOut));
        continue;
      }
      const { value: name } = decision.intent.service;
      const others = members.get(name);
      if (others === undefined) members.set(name, [decision]);
      else others.push(decision);
    }
    const groups = [...members.keys()].toSorted(compare).map((name) => {
      const listed = members.get(name) ?? [];
      const last = lastServed.get(name)?.group;
      return last !== undefined && sameItems(last.asListed, listed) ? last : toGroup(name, listed);
    });
    const hosts = domain === undefined ? undefined : assignHosts(groups, domain);
    const served = groups.map((group) =>
      serveGroup(group, hosts?.names.get(group.name), lastServed.get(group.name)),
    );
    lastServed = new Map(served.map((each) => [each.group.name, each]));
    return {
      services: served.map(({ service }) => service),
      rejections: rejections.toSorted((a, b) => compare(a.id, b.id)),
      warnings: [...served.flatMap(({ warnings }) => warnings), ...(hosts?.warnings ?? [])],
    };
  };
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
  return { group, hosts, service, warnings: warningsOf(group) };
}

function sameHosts(a: ServedGroup["hosts"], b: ServedGroup["hosts"]): boolean {
  return a === undefined || b === undefined ? a === b : sameItems(a, b);
}

function toRejection({ id, name, image }: Container, reason: string, optedOut: boolean): Rejection {
  return { id, container: name, image, reason, optedOut };
}
