// From the containers to the model: which are routed, and under which host and path.

import { isDeepStrictEqual } from "node:util";
import { sameItems } from "../lib/lists.ts";
import { Memory } from "../lib/memo.ts";
import { compare } from "../lib/text.ts";
import type { Container, Model, Reach, Rejection, Service, Snapshot } from "../model.ts";
import type { AddressOptions } from "./address.ts";
import { assignHosts } from "./hosts.ts";
import { placer, type Member, type NotRouted } from "./placement.ts";
import { toGroup, toService, warningsOf, type Group } from "./service.ts";

export interface RoutingOptions extends AddressOptions {
  /** Routes go by host names below this domain; undefined: by path. */
  readonly domain: string | undefined;
  /** Containers left out whatever else holds, by their ID, each with the reason. */
  readonly excluded?: Readonly<Record<string, string>>;
}

/** Decides for every container whether and where it is served. Same containers, same model. */
export type Router = (snapshot: Snapshot, reach: Reach, options: RoutingOptions) => Model;

type Placed = Member | NotRouted;

/** Decides once. */
export const route: Router = (...input) => createRouter()(...input);

/**
 * Makes a router that decides again and again: what it gives is the same as of a new one, and a
 * service that did not change is the same object as before.
 */
export function createRouter(): Router {
  let surroundings = "";
  let placed = new Memory<Container, Placed>();
  let served = new Map<string, Served>();

  return (snapshot, reach, options) => {
    const { domain, excluded = {}, ports, network, ownPorts } = options;
    const place = placer(snapshot, reach, options);
    // Everything but the container itself that decides where it is placed.
    const now = JSON.stringify([reach, snapshot.drivers, ports, network, ownPorts]);
    if (now !== surroundings) placed = new Memory();
    surroundings = now;

    const members = new Map<string, Member[]>();
    const rejections: Rejection[] = [];
    for (const container of snapshot.containers) {
      const reason = excluded[container.id];
      if (reason !== undefined) {
        rejections.push(toRejection(container, reason, false));
        continue;
      }
      // Its place hangs on another container.
      const isOnAnother = container.networkMode.startsWith("container:");
      const member = isOnAnother ? place(container) : placed.of(container, place);
      if ("reason" in member) {
        rejections.push(toRejection(container, member.reason, member.asked));
        continue;
      }
      const { value: name } = member.intent.service;
      const others = members.get(name);
      if (others === undefined) members.set(name, [member]);
      else others.push(member);
    }
    const groups = [...members.keys()].toSorted(compare).map((name) => {
      const own = members.get(name) ?? [];
      const before = served.get(name)?.group;
      return before !== undefined && sameItems(before.asListed, own) ? before : toGroup(name, own);
    });
    const hosts = domain === undefined ? undefined : assignHosts(groups, domain);
    const all = groups.map((group) =>
      serve(group, hosts?.names.get(group.name), served.get(group.name)),
    );
    served = new Map(all.map((each) => [each.group.name, each]));
    return {
      services: all.map(({ service }) => service),
      rejections: rejections.toSorted((a, b) => compare(a.id, b.id)),
      warnings: [...all.flatMap(({ warnings }) => warnings), ...(hosts?.warnings ?? [])],
    };
  };
}

/** A service with what it was made of. */
interface Served {
  readonly group: Group;
  readonly hosts: readonly string[] | undefined;
  readonly service: Service;
  readonly warnings: readonly string[];
}

function serve(
  group: Group,
  hosts: readonly string[] | undefined,
  before: Served | undefined,
): Served {
  if (before?.group === group && sameHosts(before.hosts, hosts)) return before;
  const service = toService(group, hosts);
  // Such as when a container that was told to stop goes on as the last of its service.
  const isEqual = isDeepStrictEqual(before?.service, service);
  return {
    group,
    hosts,
    service: isEqual && before !== undefined ? before.service : service,
    warnings: warningsOf(group),
  };
}

function sameHosts(a: Served["hosts"], b: Served["hosts"]): boolean {
  return a === undefined || b === undefined ? a === b : sameItems(a, b);
}

function toRejection({ id, name, image }: Container, reason: string, asked: boolean): Rejection {
  return { id, container: name, image, reason, asked };
}
