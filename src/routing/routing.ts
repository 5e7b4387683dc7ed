// From the containers to the model: which are routed, and under which host and path.

import { isDeepStrictEqual } from "node:util";
import type { AddressOptions } from "./address.ts";
import { Assembly, joinLists } from "../lib/assembly.ts";
import { listDifference } from "../lib/difference.ts";
import { assignHosts } from "./hosts.ts";
import { sameItems } from "../lib/memo.ts";
import type { Backend, Container, Model, Reach, Rejection, Route, Snapshot } from "../model.ts";
import { compare } from "../lib/text.ts";
import { placer, type Member, type NotRouted } from "./placement.ts";
import { toGroup, toService, type Group, type Service } from "./service.ts";

export interface RoutingOptions extends AddressOptions {
  /** Routes go by host names below this domain; undefined: by path. */
  readonly domain: string | undefined;
  /** Containers left out whatever else holds, by their ID, each with the reason. */
  readonly excluded?: Readonly<Record<string, string>>;
}

type Placed = Member | NotRouted;

/** Decides for every container whether and where it is served. Same containers, same model. */
export function route(snapshot: Snapshot, reach: Reach, options: RoutingOptions): Model {
  return new Router().route(snapshot, reach, options);
}

/**
 * Decides again and again. What was decided last time is used for what did not change since; the
 * result is the same without it, and what is equal to last time is the same object again.
 */
export class Router {
  /** Everything but the containers that decided last time. */
  #context = "";
  #containers: readonly Container[] = [];
  /** What was decided of each container, in their order. */
  #placed: readonly Placed[] = [];
  #excluded: Readonly<Record<string, string>> = {};
  /** Containers that use another one's network. */
  readonly #onOthers = new Set<Container>();
  readonly #rejected = new Set<NotRouted>();
  /** The routed containers by their repository. */
  readonly #members = new Map<string, Set<Member>>();
  /** In the order of their repositories. */
  #groups: readonly Group[] = [];
  readonly #services = new Map<string, Service>();
  readonly #byPath = new Assembly<Group, readonly Service[]>(joinLists);
  readonly #backends = new Assembly<Service, readonly Backend[]>(joinLists);
  readonly #routes = new Assembly<Service, readonly Route[]>(joinLists);
  readonly #warnings = new Assembly<Service, readonly string[]>(joinLists);
  #model: Model = { routes: [], backends: [], rejections: [], warnings: [] };

  /** Decides for every container whether and where it is served. */
  route(snapshot: Snapshot, reach: Reach, options: RoutingOptions): Model {
    const { domain, excluded = {}, ports, network, ownPorts } = options;
    const context = JSON.stringify([reach, snapshot.drivers, ports, network, ownPorts]);
    const isAnother = context !== this.#context;
    this.#context = context;
    const choose = placer(snapshot, reach, options);
    const changed = this.#place(snapshot.containers, isAnother, excluded, (container) => {
      const reason = excluded[container.id];
      return reason === undefined ? choose(container) : { container, reason, decisions: [] };
    });
    this.#regroup(changed);
    return this.#serve(domain);
  }

  /** Places the containers that changed. Gives the repositories that this may change. */
  #place(
    containers: readonly Container[],
    all: boolean,
    excluded: Readonly<Record<string, string>>,
    place: (container: Container) => Placed,
  ): ReadonlySet<string> {
    const { start, before, after } = all
      ? { start: 0, before: this.#containers.length, after: containers.length }
      : listDifference(this.#containers, containers);
    const gone = this.#placed.slice(start, before);
    const come = containers.slice(start, after).map(place);
    const placed = [...this.#placed.slice(0, start), ...come, ...this.#placed.slice(before)];
    for (const container of this.#hanging(excluded)) {
      const index = containers.indexOf(container);
      const known = placed[index];
      if (known === undefined || (index >= start && index < after)) continue;
      const anew = place(container);
      gone.push(known);
      come.push(anew);
      placed[index] = anew;
    }
    this.#containers = containers;
    this.#placed = placed;
    this.#excluded = { ...excluded };
    return this.#note(gone, come);
  }

  /** The containers of last time whose place hangs on more than themselves. */
  #hanging(excluded: Readonly<Record<string, string>>): ReadonlySet<Container> {
    const ids = new Set([...Object.keys(excluded), ...Object.keys(this.#excluded)]);
    const others = [...ids].filter((id) => excluded[id] !== this.#excluded[id]);
    const containers = others.flatMap((id) => this.#containers.filter((each) => each.id === id));
    return new Set([...this.#onOthers, ...containers]);
  }

  /** Notes what is placed no more and what is placed now. Gives the repositories of both. */
  #note(gone: readonly Placed[], come: readonly Placed[]): ReadonlySet<string> {
    const changed = new Set<string>();
    for (const placed of gone) {
      this.#onOthers.delete(placed.container);
      if (!isRouted(placed)) this.#rejected.delete(placed);
      else {
        this.#members.get(placed.repository)?.delete(placed);
        changed.add(placed.repository);
      }
    }
    for (const placed of come) {
      const { container } = placed;
      if (container.networkMode.startsWith("container:")) this.#onOthers.add(container);
      if (!isRouted(placed)) this.#rejected.add(placed);
      else {
        const { repository } = placed;
        const members = this.#members.get(repository) ?? new Set();
        this.#members.set(repository, members.add(placed));
        changed.add(repository);
      }
    }
    return changed;
  }

  /** Puts together what changed, among the others in the order of their repositories. */
  #regroup(changed: ReadonlySet<string>): void {
    if (changed.size === 0) return;
    const groups = [...this.#groups];
    for (const repository of [...changed].toSorted(compare)) {
      const index = placeOf(repository, groups);
      const isThere = groups[index]?.repository === repository;
      const group = toGroup(repository, this.#members.get(repository) ?? []);
      if (group.members.length > 0) groups.splice(index, isThere ? 1 : 0, group);
      else {
        if (isThere) groups.splice(index, 1);
        this.#members.delete(repository);
        this.#services.delete(repository);
      }
    }
    this.#groups = groups;
  }

  #serve(domain: string | undefined): Model {
    const hosts = domain === undefined ? undefined : assignHosts(this.#groups, domain);
    const make = (group: Group): Service => {
      const { repository } = group;
      const service = toService(
        group,
        hosts?.names.get(repository),
        this.#services.get(repository),
      );
      this.#services.set(repository, service);
      return service;
    };
    const services =
      hosts === undefined
        ? this.#byPath.update(this.#groups, (group) => [make(group)])
        : this.#groups.map(make);
    const warnings = this.#warnings.update(services, (service) => service.warnings);
    const model = {
      routes: this.#routes.update(services, ({ routes }) => routes),
      backends: this.#backends.update(services, ({ backend }) => [backend]),
      rejections: [...this.#rejected].map(toRejection).toSorted((a, b) => compare(a.id, b.id)),
      warnings: [...warnings, ...(hosts?.warnings ?? [])],
    };
    if (!isSameModel(this.#model, model)) this.#model = model;
    return this.#model;
  }
}

function isRouted(placed: Placed): placed is Member {
  return !("reason" in placed);
}

function toRejection({ container: { id, name, image }, reason }: NotRouted): Rejection {
  return { id, container: name, image, reason };
}

/** Where a repository stands among groups in their order, or would stand. */
function placeOf(repository: string, groups: readonly Group[]): number {
  let [low, high] = [0, groups.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(groups[middle]?.repository ?? "", repository) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isSameModel(a: Model, b: Model): boolean {
  return (
    sameItems(a.backends, b.backends) &&
    sameItems(a.routes, b.routes) &&
    sameItems(a.warnings, b.warnings) &&
    isDeepStrictEqual(a.rejections, b.rejections)
  );
}
