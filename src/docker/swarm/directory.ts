// The services and nodes of a swarm as they were last read. An event has one of them read again, not all.

import type { DockerClient } from "../client.ts";
import type { DockerEvent } from "../events.ts";
import type { NodeAnswer, ServiceAnswer } from "./answers.ts";

type SwarmEvent = Extract<DockerEvent, { readonly kind: "swarm" }>;

/** What a reading has found. */
export interface News {
  /** The IDs of services that have changed. */
  readonly services: readonly string[];
  /** The IDs of nodes that have changed. */
  readonly nodes: readonly string[];
}

/** What the manager counts of a service. */
interface Count {
  readonly id: string;
  readonly version: number;
  /** How many of its tasks run; undefined: an old Engine does not tell it. */
  readonly running: number | undefined;
}

interface Found<T> {
  /** The same map if nothing has changed. */
  readonly all: ReadonlyMap<string, T>;
  readonly changed: readonly string[];
}

/** More IDs than that make a question too long for some proxies: then all are read. */
const MOST_IDS = 100;

export class Directory {
  #services: ReadonlyMap<string, ServiceAnswer> = new Map();
  #nodes: ReadonlyMap<string, NodeAnswer> = new Map();
  /** What was last counted, by the texts of the services. */
  #counts: ReadonlyMap<bigint, Count> = new Map();
  /** Whether all of them are to be read again. */
  #isAllMarked = true;
  /** Those to be read again. */
  #marked = { service: new Set<string>(), node: new Set<string>() };
  /** One question at a time: an older answer must not come after a newer one. */
  #asking: Promise<unknown> = Promise.resolve();

  constructor(private readonly client: Pick<DockerClient, "services" | "nodes">) {}

  get services(): ReadonlyMap<string, ServiceAnswer> {
    return this.#services;
  }

  get nodes(): ReadonlyMap<string, NodeAnswer> {
    return this.#nodes;
  }

  /** Has everything read again. */
  markAll(): void {
    this.#isAllMarked = true;
  }

  /** Has that read again about which there was an event. */
  mark({ of, id }: Pick<SwarmEvent, "of" | "id">): void {
    const ids = this.#marked[of].add(id);
    if (id === "" || ids.size > MOST_IDS) this.#isAllMarked = true;
  }

  /**
   * Reads what is marked.
   * @throws GatewayError `docker`; then it is still marked
   */
  read(signal: AbortSignal): Promise<News> {
    const news = this.#asking.then(() => this.#readMarked(signal));
    this.#asking = news.catch(() => undefined);
    return news;
  }

  /**
   * Asks how many tasks of each service run, beside all that is read. A service of which the answer tells something
   * new besides is marked.
   * @throws GatewayError `docker`
   */
  async count(signal: AbortSignal): Promise<{ running: Map<string, number>; isMarked: boolean }> {
    const listed = await this.client.services(undefined, signal);
    // Hardly any has changed: those that have not are not parsed.
    this.#counts = new Map(
      listed.map((each) => [each.mark, this.#counts.get(each.mark) ?? toCount(each.parse())]),
    );
    const running = new Map<string, number>();
    const gone = new Set(this.#services.keys());
    const marked = new Set<string>();
    for (const { id, version, running: count } of this.#counts.values()) {
      if (count !== undefined) running.set(id, count);
      gone.delete(id);
      const known = this.#services.get(id);
      if (known === undefined || (known.Version?.Index ?? 0) < version) marked.add(id);
    }
    for (const id of [...marked, ...gone]) this.mark({ of: "service", id });
    return { running, isMarked: marked.size + gone.size > 0 };
  }

  async #readMarked(signal: AbortSignal): Promise<News> {
    // The marks are removed before the request: a change during the request must mark it again.
    const [isAll, marked] = [this.#isAllMarked, this.#marked];
    this.#isAllMarked = false;
    this.#marked = { service: new Set(), node: new Set() };
    try {
      const [services, nodes] = await Promise.all([
        this.#readServices(isAll ? undefined : marked.service, signal),
        this.#readNodes(isAll ? undefined : marked.node, signal),
      ]);
      this.#services = services.all;
      this.#nodes = nodes.all;
      return {
        services: [...new Set([...services.changed, ...marked.service])],
        nodes: nodes.changed,
      };
    } catch (error) {
      this.#isAllMarked = true;
      throw error;
    }
  }

  async #readServices(
    ids: ReadonlySet<string> | undefined,
    signal: AbortSignal,
  ): Promise<Found<ServiceAnswer>> {
    const known = this.#services;
    if (ids?.size === 0) return { all: known, changed: [] };
    const listed = await this.client.services(ids && [...ids], signal);
    const services = listed.map((each) => each.parse());
    return compare(known, services, ids, keepService);
  }

  async #readNodes(
    ids: ReadonlySet<string> | undefined,
    signal: AbortSignal,
  ): Promise<Found<NodeAnswer>> {
    const known = this.#nodes;
    if (ids?.size === 0) return { all: known, changed: [] };
    return compare(known, await this.client.nodes(ids && [...ids], signal), ids, keepNode);
  }
}

/**
 * What is known with what was read. One that did not change is the same object.
 * @param ids what was asked for; undefined: all
 * @param keep takes from an answer what is of use
 */
function compare<T extends ServiceAnswer | NodeAnswer>(
  known: ReadonlyMap<string, T>,
  read: readonly T[],
  ids: ReadonlySet<string> | undefined,
  keep: (answer: T) => T,
): Found<T> {
  const fresh = read.filter((each) => !isSame(known.get(each.ID), each));
  const changed = fresh.map(({ ID }) => ID);
  const kept = read.length - fresh.filter(({ ID }) => !known.has(ID)).length;
  if (kept < (ids === undefined ? known.size : [...ids].filter((id) => known.has(id)).length)) {
    const found = new Set(read.map(({ ID }) => ID));
    for (const id of ids ?? known.keys()) if (known.has(id) && !found.has(id)) changed.push(id);
  }
  if (changed.length === 0) return { all: known, changed };
  const all = new Map(known);
  for (const id of changed) all.delete(id);
  for (const each of fresh) all.set(each.ID, keep(each));
  return { all, changed };
}

function isSame(a: ServiceAnswer | NodeAnswer | undefined, b: ServiceAnswer | NodeAnswer): boolean {
  if (a === b) return true;
  return a?.Version !== undefined && a.Version.Index === b.Version?.Index;
}

function toCount({ ID: id, Version, ServiceStatus }: ServiceAnswer): Count {
  return { id, version: Version?.Index ?? 0, running: ServiceStatus?.RunningTasks };
}

function keepService({
  ID,
  Version,
  Spec: { Name, Labels, Mode },
  Endpoint,
  UpdateStatus,
}: ServiceAnswer): ServiceAnswer {
  const Replicas = Mode?.Replicated?.Replicas;
  return {
    ID,
    ...(Version === undefined ? {} : { Version }),
    Spec: {
      Name,
      Labels: Labels ?? null,
      Mode: Replicas === undefined ? {} : { Replicated: { Replicas } },
    },
    Endpoint: { Ports: Endpoint?.Ports ?? null },
    UpdateStatus: { State: UpdateStatus?.State ?? "" },
  };
}

function keepNode({ ID, Version, Description, Status, ManagerStatus }: NodeAnswer): NodeAnswer {
  return {
    ID,
    ...(Version === undefined ? {} : { Version }),
    Description: { Hostname: Description?.Hostname ?? "" },
    Status,
    ...(ManagerStatus === undefined ? {} : { ManagerStatus }),
  };
}
