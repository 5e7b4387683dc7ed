// src/routing decides from the containers what is served: containers become intents, intents become
// services, and services have routes and servers. Every container that is not routed gets a reason.
// It may import only lib and model.ts, and it only computes: no input or output, no clock.

import { isDeepStrictEqual } from "node:util";
import { differingItems, listDifference, sameItems } from "../lib/lists.ts";
import { ListCache } from "../lib/weak-cache.ts";
import { compare } from "../lib/text.ts";
import type { Container, Model, Reach, Snapshot } from "../model.ts";
import {
  createContainerRouter,
  type ContainerOptions,
  type RoutedContainer,
  type UnroutedContainer,
} from "./container.ts";
import type { Claim } from "./claims.ts";
import { assignHosts } from "./hosts.ts";
import { lossesOf, type Loss } from "./ownership.ts";
import { reuse, serve, toRejection, type Candidate, type Served } from "./served.ts";
import { toGroup, type ServiceGroup } from "./service.ts";
import { standingOf, type Standing, type WhyTaken } from "./standing.ts";

export interface RoutingOptions extends ContainerOptions {
  /** Who may have which host or path. */
  readonly claims: readonly Claim[];
  /** Containers that are not routed for a reason from outside: the reason by container ID. */
  readonly excluded?: Readonly<Record<string, string>>;
  /** Why the gateway cannot listen at ports that labels name, by port. */
  readonly taken?: Readonly<Record<string, string>>;
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
  let decisionCache = new ListCache<Container, Decision>();
  let candidates = new CandidateCache();
  const servedBefore = new WeakMap<Candidate, Served>();
  let last: Routed = { decisions: [], groups: [], served: [] };

  return (snapshot, reach, options) => {
    const { domain, excluded = {}, claims, labelPrefix } = options;
    const whyTaken = createPortCheck(options);
    const routeContainer = createContainerRouter(snapshot, reach, options);
    // All that decisions depend on besides the container itself.
    const context = JSON.stringify([
      reach,
      snapshot.drivers,
      snapshot.gateways,
      { ...options, excluded: {} },
    ]);
    if (context !== lastContext) {
      decisionCache = new ListCache();
      candidates = new CandidateCache();
    }
    lastContext = context;

    const cached = decisionCache.getAll(snapshot.containers, routeContainer);
    const isExcluding = Object.keys(excluded).length > 0;
    const mayDiffer = ({ container }: Decision): boolean =>
      isExcluding || container.networkMode.startsWith("container:");
    const decisions = !cached.some(mayDiffer)
      ? cached
      : cached.map((decision): Decision => {
          const { container } = decision;
          const reason = isExcluding ? excluded[container.id] : undefined;
          if (reason !== undefined) {
            return { container, kind: "template", reason, expected: false, ending: false };
          }
          // With another container's network, the decision depends on that container too.
          return container.networkMode.startsWith("container:")
            ? routeContainer(container)
            : decision;
        });
    const groups = regroup(last, decisions);
    const hosts = domain === undefined ? undefined : assignHosts(claimantsOf(groups), domain);
    const standing = groups.map((group) => {
      const names = hosts === undefined ? undefined : (hosts.names.get(group.name) ?? []);
      return candidates.get(group, names, () =>
        standingOf(group, names, claims, labelPrefix, whyTaken),
      );
    });
    const losses = lossesOf(standing);
    const replaced = new Map(replacedBy(standing, last.served).map((each) => [each.name, each]));
    const served = standing.map((candidate) => {
      const lost = losses.get(candidate.name) ?? NO_LOSSES;
      const same = servedBefore.get(candidate) ?? replaced.get(candidate.name);
      if (same?.candidate === candidate && isDeepStrictEqual(same.losses, lost)) return same;
      const made = reuse(serve(candidate, lost), same?.service);
      servedBefore.set(candidate, made);
      return made;
    });
    last = { decisions, groups, served };
    return {
      services: served.flatMap(({ service }) => service ?? []),
      rejections: [
        ...decisions.filter((decision) => "reason" in decision).map(toRejection),
        ...served.flatMap(({ rejections }) => rejections),
      ].toSorted((a, b) => compare(a.id, b.id)),
      refusals: served.flatMap(({ refusals }) => refusals),
      warnings: [...served.flatMap(({ warnings }) => warnings), ...(hosts?.warnings ?? [])],
    };
  };
}

/** Makes the function that says why the gateway cannot listen at a port that a label names. */
function createPortCheck({ ownPorts, taken = {} }: RoutingOptions): WhyTaken {
  return (port) =>
    ownPorts.includes(port)
      ? "that port is the gateway's own (--listen, --admin)"
      : taken[String(port)];
}

const NO_LOSSES: readonly Loss[] = [];

type Decision = RoutedContainer | UnroutedContainer;

/** What a router decided for a snapshot. */
interface Routed {
  readonly decisions: readonly Decision[];
  /** Sorted by name. */
  readonly groups: readonly ServiceGroup[];
  readonly served: readonly Served[];
}

/** The candidates by their groups. One with the same host names is the same object. */
class CandidateCache {
  readonly #known = new WeakMap<
    ServiceGroup,
    { readonly hosts: readonly string[] | undefined; readonly candidate: Candidate }
  >();

  get(group: ServiceGroup, hosts: readonly string[] | undefined, make: () => Standing): Candidate {
    const known = this.#known.get(group);
    if (known !== undefined && sameHosts(known.hosts, hosts)) return known.candidate;
    const candidate = { name: group.name, group, ...make() };
    this.#known.set(group, { hosts, candidate });
    return candidate;
  }
}

function sameHosts(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameItems(a, b);
}

/** Groups containers by their service. A group that did not change is the same object as before. */
function regroup(last: Routed, decisions: readonly Decision[]): readonly ServiceGroup[] {
  const { former, current } = differingItems(last.decisions, decisions);
  const [gone, come] = [new Set(former.flatMap(membersOf)), current.flatMap(membersOf)];
  const changed = new Set([...gone, ...come].map(serviceOf));
  if (changed.size === 0) return last.groups;
  const added = Map.groupBy(come, serviceOf);
  const before = new Map(
    last.groups.filter(({ name }) => changed.has(name)).map(({ name, members }) => [name, members]),
  );
  const anew = [...changed].flatMap((name) => {
    const stay = (before.get(name) ?? []).filter((member) => !gone.has(member));
    const members = [...stay, ...(added.get(name) ?? [])];
    return members.length === 0 ? [] : toGroup(name, members);
  });
  return [...last.groups.filter(({ name }) => !changed.has(name)), ...anew].toSorted((a, b) =>
    compare(a.name, b.name),
  );
}

/** What a container is in services: a member of its own, and of those that its branches are. */
function membersOf(decision: Decision): readonly RoutedContainer[] {
  return "reason" in decision ? [] : [decision, ...decision.branches];
}

function serviceOf({ intent }: RoutedContainer): string {
  return intent.service.value;
}

/** The services that get host names by themselves, with the age of the first container that wants one. */
function claimantsOf(groups: readonly ServiceGroup[]) {
  return groups.flatMap(({ name, members }) => {
    const wanting = members.filter(({ intent }) => intent.routes.some((each) => each.isDefault));
    if (wanting.length === 0) return [];
    return { name, created: Math.min(...wanting.map(({ container }) => container.created)) };
  });
}

/** The results for the candidates that new ones replace. Both lists are sorted by name. */
function replacedBy(candidates: readonly Candidate[], last: readonly Served[]): readonly Served[] {
  const { start, before } = listDifference(
    last,
    candidates,
    (each, candidate) => each?.candidate === candidate,
  );
  return last.slice(start, before);
}
