// The hold. When a service has no container that answers, its route stays for a while, and requests
// wait for the next container. After that, requests get 503 at once as long as Docker has one of its
// containers, and then the service is gone.

import { differingItems } from "../lib/lists.ts";
import { MultiMap } from "../lib/multi-map.ts";
import { compare } from "../lib/text.ts";
import { Heirs, type KeptService } from "./heirs.ts";
import { LostRoutes } from "./lost-routes.ts";
import { ABOUT_TO_START, type Hold, type Server, type Service } from "../model.ts";

/** What the hold of a service depends on besides the service itself. */
interface Facts {
  /** In milliseconds since 1970. */
  readonly now: number;
  /** How long requests wait for a container, in milliseconds. */
  readonly length: number;
  /** Whether a server is known to answer, by its name. */
  readonly answers: (server: string) => boolean;
  /** Whether Docker still has a container that does not run, by its ID. */
  readonly remains: (id: string) => boolean;
}

/** What is remembered of a service. */
interface Held {
  /** The service as its running containers make it, or without any if none runs. */
  readonly service: Service;
  /** When its last container ended, in milliseconds since 1970; undefined while one runs. */
  readonly goneSince: number | undefined;
  /** Whether one has run: it was not only about to start. */
  readonly hasRun: boolean;
  /** The IDs of the containers that it has had and that Docker still has. */
  readonly containers: readonly string[];
  /** Whether a server of it is known to answer. */
  readonly answers: boolean;
  /** Since when it has had an enabled server, in milliseconds since 1970; undefined if it has none. */
  readonly enabledSince: number | undefined;
  /** When requests have waited long enough, in milliseconds since 1970; 0 while a server answers. */
  readonly until: number;
}

/**
 * Decides what is remembered of a service from now on. Undefined: it is gone.
 * @param service undefined if no container of it runs
 */
function nextHeld(
  before: Held | undefined,
  service: Service | undefined,
  { now, length, answers, remains }: Facts,
): Held | undefined {
  // Of one that did not start after all, nothing is left.
  if (service === undefined && before?.hasRun !== true) return undefined;
  const current = service ?? withoutServers(before?.service);
  if (current === undefined) return undefined;
  const own = idsOf(current);
  const rest = [...(before?.containers ?? [])].filter((id) => !own.includes(id) && remains(id));
  const enabled = current.servers.filter(({ disabled }) => !disabled);
  const doesAnswer = enabled.some(({ name }) => answers(name));
  // A container that comes is worth waiting for. One that only restarts again and again is not.
  const hasNew = own.some((id) => before?.containers.includes(id) !== true);
  const isLost =
    before !== undefined &&
    (before.answers || (enabled.length === 0 && mayHaveAnswered(before, now, length)));
  const begins = !doesAnswer && (hasNew || isLost);
  const until = begins ? now + length : (before?.until ?? 0);
  if (own.length === 0 && rest.length === 0 && now >= until) return undefined;
  return {
    service: current,
    goneSince: service === undefined ? (before?.goneSince ?? now) : undefined,
    hasRun: before?.hasRun === true || !isOnlyComing(current),
    containers: [...own, ...rest],
    answers: doesAnswer,
    enabledSince: enabled.length === 0 ? undefined : (before?.enabledSince ?? now),
    until: doesAnswer ? 0 : until,
  };
}

/**
 * Whether a server has been enabled for so long that it may answer. The gateway itself waits for an
 * answer for a while only. A server that comes up later is HAProxy's to find, which does not tell.
 */
function mayHaveAnswered({ enabledSince }: Held, now: number, length: number): boolean {
  return enabledSince !== undefined && now - enabledSince >= length;
}

/** What happens to the requests of a service. */
function holdOf({ answers, service, until }: Held, now: number): Hold {
  if (answers || until === 0) return "";
  if (now < until) return "waiting";
  return service.servers.some(({ disabled }) => !disabled) ? "" : "over";
}

function withoutServers(service: Service | undefined): Service | undefined {
  if (service === undefined || idsOf(service).length === 0) return service;
  return { ...service, servers: [], waiting: [] };
}

/** Whether all containers of a service are about to start. */
function isOnlyComing({ servers, waiting }: Service): boolean {
  return waiting.length === 0 && servers.every(({ why }) => why === ABOUT_TO_START);
}

function idsOf({ servers, waiting }: Service): string[] {
  return [...new Set([...servers, ...waiting].map(({ id }) => id))];
}

/** Remembers all services, and says which of them are held. */
export class Holds {
  readonly #held = new Map<string, Held>();
  /** The names of these services, by the name of each server of theirs, and by the ID of its container. */
  readonly #names = new MultiMap<string, string>();
  /** What is served of each service that is held, by the name of the service. */
  readonly #served = new Map<string, { readonly from: Service; readonly service: Service }>();
  readonly #heirs = new Heirs();
  readonly #lostRoutes: LostRoutes;
  /** When a service that is kept loses routes to another one, in milliseconds since 1970. */
  #handsOverAt: number | undefined;
  /** The services that do not answer, by name. They change without a change of their containers. */
  readonly #silent = new Set<string>();
  /** When requests for a service no longer wait, in milliseconds since 1970, by its name. */
  readonly #ends = new Map<string, number>();
  /** The servers that are known to answer, by name. */
  readonly #answering = new Set<string>();
  #last: readonly Service[] | undefined;
  /** The containers that ended before the services were known, by ID. */
  readonly #lostEarly = new Set<string>();
  /**
   * When requests for a backend no longer wait, by its name in HAProxy, in milliseconds since 1970;
   * Infinity: they wait no more. Only until the services are known.
   */
  readonly #early = new Map<string, number>();

  /**
   * @param length how long requests wait for a container, in milliseconds; 0: they do not wait
   * @param remains whether Docker still has a container that does not run, by its ID
   */
  constructor(
    readonly length: number,
    private readonly remains: (id: string) => boolean,
  ) {
    this.#lostRoutes = new LostRoutes(length);
  }

  /**
   * When something changes by itself, in milliseconds since 1970: requests for a service no longer wait, or
   * their route is another one's. Undefined: nothing does.
   */
  get dueAt(): number | undefined {
    const at = Math.min(
      ...this.#ends.values(),
      ...this.#early.values(),
      this.#handsOverAt ?? Infinity,
      this.#lostRoutes.dueAt,
    );
    return Number.isFinite(at) ? at : undefined;
  }

  /**
   * The services to serve: those of running containers, with their holds, and those that are kept
   * though no container of them runs. A service that is not held is the same object.
   * @param running those of running containers, sorted by name
   * @param now in milliseconds since 1970
   * @param canWait whether HAProxy's configuration lets requests wait; if not, nothing is held
   */
  apply(running: readonly Service[], now: number, canWait = true): readonly Service[] {
    if (this.length === 0 || !canWait) {
      this.#forgetAll();
      return running;
    }
    const services = this.#lostRoutes.apply(running, now);
    const isFirst = this.#last === undefined;
    const isLost = (server: Server): boolean => this.#lostEarly.has(server.id);
    // What was served before the gateway started is not held: HAProxy knows what answers. What is about
    // to start has not served.
    if (isFirst) {
      const servers = services.flatMap((service) => service.servers);
      const inUse = servers.filter((server) => !server.disabled && !isLost(server));
      this.note(inUse.map(({ name }) => name));
    }
    const isHeld = (server: Server): boolean => isLost(server) || server.why === ABOUT_TO_START;
    const factsOf = (service: Service | undefined): Facts => ({
      now,
      length: isFirst && service?.servers.some(isHeld) !== true ? 0 : this.length,
      answers: (server) => this.#answering.has(server),
      remains: this.remains,
    });
    const last = this.#last ?? [];
    const { former: old, current } = differingItems(last, services);
    const changed = new Map(current.map((each) => [each.name, each]));
    const enabled = new Set([...changed.values()].flatMap(enabledServers));
    for (const server of old.flatMap(enabledServers)) {
      // Once it is enabled again, it has to answer again.
      if (!enabled.has(server)) this.#answering.delete(server);
    }
    const gone = new Set(old.map(({ name }) => name).filter((name) => !changed.has(name)));
    for (const name of new Set([...changed.keys(), ...gone, ...this.#silent])) {
      const held = this.#held.get(name);
      const runs = held !== undefined && held.goneSince === undefined && !gone.has(name);
      const unchanged = runs ? held.service : undefined;
      const service = changed.get(name) ?? unchanged;
      this.#remember(name, nextHeld(held, service, factsOf(service)), now);
    }
    this.#last = services;
    this.#lostEarly.clear();
    this.#early.clear();
    return this.#withHeld(services, now);
  }

  /** The servers of held services that may answer soon, by name. */
  get awaited(): ReadonlySet<string> {
    return new Set(
      [...this.#ends.keys()].flatMap((name) => {
        const { service } = this.#held.get(name) ?? {};
        return service === undefined ? [] : enabledServers(service);
      }),
    );
  }

  /** Whether a server is known to answer, by its name. Where nothing is held, any may. */
  mayAnswer(server: string): boolean {
    return this.#last === undefined || this.#answering.has(server);
  }

  /** Notes that servers answer, by their names. Returns those for which requests waited. */
  note(servers: readonly string[]): ReadonlySet<string> {
    for (const server of servers) {
      // One may have ended since it was asked. When it comes back, it has to answer again.
      if (this.#last === undefined || this.#names.has(server)) this.#answering.add(server);
    }
    const awaited = new Set<string>();
    for (const name of this.#silent) {
      const held = this.#held.get(name);
      if (held === undefined) continue;
      const answering = enabledServers(held.service).filter((each) => this.#answering.has(each));
      if (answering.length === 0) continue;
      if (this.#ends.has(name)) for (const server of answering) awaited.add(server);
      this.#remember(name, { ...held, answers: true, until: 0 }, 0);
    }
    return awaited;
  }

  /**
   * Notes that a container does not answer any more, by its ID. Its service is held from now on if it
   * has no other server that answers.
   * @param now in milliseconds since 1970
   * @returns its services that are held, by name
   */
  lose(id: string, now: number): ReadonlySet<string> {
    const lost = new Set<string>();
    if (this.#last === undefined) this.#lostEarly.add(id);
    for (const name of this.#names.get(id)) {
      const held = this.#held.get(name);
      if (held === undefined) continue;
      const { servers } = held.service;
      for (const server of servers) if (server.id === id) this.#answering.delete(server.name);
      const answers = enabledServers(held.service).some((server) => this.#answering.has(server));
      if (answers) continue;
      // It may be the same container that answers next: from now on it has to answer again.
      const isLost = held.answers || mayHaveAnswered(held, now, this.length);
      const until = isLost ? now + this.length : held.until;
      this.#remember(name, { ...held, answers, enabledSince: now, until }, now);
      if (this.#ends.has(name)) lost.add(name);
    }
    return lost;
  }

  /**
   * Whether requests may begin to wait for a backend, by its name in HAProxy, of which it is not known
   * yet which service it is.
   */
  mayBegin(backend: string): boolean {
    return this.length > 0 && this.#last === undefined && !this.#early.has(backend);
  }

  /** Notes that requests wait for such backends. @param now in milliseconds since 1970 */
  begin(backends: readonly string[], now: number): void {
    if (this.#last !== undefined) return;
    for (const backend of backends) this.#early.set(backend, now + this.length);
  }

  /** Ends the holds whose time is over. Returns their backends. @param now in ms since 1970 */
  expire(now: number): readonly string[] {
    const names = [...this.#ends].filter(([, until]) => until <= now).map(([name]) => name);
    for (const name of names) this.#ends.delete(name);
    if (this.#handsOverAt !== undefined && this.#handsOverAt <= now) this.#handsOverAt = undefined;
    this.#lostRoutes.expire(now);
    const early = [...this.#early].filter(([, until]) => until <= now).map(([name]) => name);
    for (const name of early) this.#early.set(name, Infinity);
    return [...names.flatMap((name) => this.#held.get(name)?.service.backend ?? []), ...early];
  }

  #forgetAll(): void {
    this.#last = undefined;
    this.#handsOverAt = undefined;
    this.#heirs.forget();
    this.#lostRoutes.forget();
    this.#names.clear();
    for (const all of [this.#held, this.#served, this.#ends, this.#silent, this.#answering]) {
      all.clear();
    }
  }

  #remember(name: string, held: Held | undefined, now: number): void {
    this.#index(name, this.#held.get(name)?.service, held?.service);
    if (held === undefined) {
      for (const map of [this.#held, this.#served, this.#ends]) map.delete(name);
      this.#silent.delete(name);
      return;
    }
    this.#held.set(name, held);
    if (held.answers) this.#silent.delete(name);
    else this.#silent.add(name);
    const hold = holdOf(held, now);
    if (hold === "waiting") this.#ends.set(name, held.until);
    else this.#ends.delete(name);
    const { service: from } = held;
    const served = this.#served.get(name);
    if (hold === "") this.#served.delete(name);
    else if (served?.from !== from || served.service.hold !== hold) {
      this.#served.set(name, { from, service: { ...from, hold } });
    }
  }

  /** Keeps `#names` as the servers of a service are from now on. */
  #index(name: string, before: Service | undefined, after: Service | undefined): void {
    if (before === after) return;
    for (const key of keysOf(before)) this.#names.delete(key, name);
    for (const key of keysOf(after)) this.#names.add(key, name);
  }

  #withHeld(services: readonly Service[], now: number): readonly Service[] {
    this.#handsOverAt = undefined;
    if (this.#served.size === 0) {
      this.#heirs.forget();
      return services;
    }
    const all = services.map((each) => this.#served.get(each.name)?.service ?? each);
    const kept = [...this.#served].flatMap(([name, { service }]): KeptService[] => {
      const { goneSince, containers = [] } = this.#held.get(name) ?? {};
      if (goneSince === undefined) return [];
      return [{ service, goneSince, mayReturn: containers.length > 0 }];
    });
    if (kept.length === 0) {
      this.#heirs.forget();
      return all;
    }
    this.#handsOverAt = this.#heirs.dueAt(all, kept, now);
    return this.#heirs.share(all, kept, now).toSorted((a, b) => compare(a.name, b.name));
  }
}

/** The names of the servers that get requests. */
function enabledServers({ servers }: Service): string[] {
  return servers.filter(({ disabled }) => !disabled).map(({ name }) => name);
}

/** The names of the servers of a service, and the IDs of their containers. */
function keysOf(service: Service | undefined): string[] {
  return service?.servers.flatMap(({ id, name }) => [id, name]) ?? [];
}
