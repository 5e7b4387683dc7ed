// Containers of one service may ask for different routes. Where the only one ends that asks for a route, and others of
// its service run, the route stays for as long as requests would wait: it is mostly replaced by a newer one. The
// others serve it meanwhile, as they did before.

import { isDeepStrictEqual } from "node:util";
import { differingItems, sameItems } from "../lib/lists.ts";
import type { Service } from "../model.ts";

type Route = Service["routes"][number];

/** The routes that stay with a service. */
interface Kept {
  /** By their keys, each with the time when it goes, in milliseconds since 1970. */
  readonly until: ReadonlyMap<string, { readonly route: Route; readonly until: number }>;
  /** What was made of which service with them: the same gives the same object. */
  readonly made: { readonly of: readonly unknown[]; readonly service: Service } | undefined;
}

export class LostRoutes {
  /** The services of the pass before this one. */
  #last: readonly Service[] = [];
  /** Those of this pass, and its time. */
  #current: readonly Service[] = [];
  #at = 0;
  /** By the name of the service. */
  readonly #kept = new Map<string, Kept>();
  #dueAt = Infinity;

  /** @param length how long a route stays, in milliseconds */
  constructor(private readonly length: number) {}

  /** When the next one goes, in milliseconds since 1970; Infinity if none stays. */
  get dueAt(): number {
    return this.#dueAt;
  }

  /** Notes that this time has come: the next `apply` is without those. @param now in ms since 1970 */
  expire(now: number): void {
    if (this.#dueAt <= now) this.#dueAt = Infinity;
  }

  /** Forgets all, as nothing is held. */
  forget(): void {
    this.#last = [];
    this.#current = [];
    this.#kept.clear();
    this.#dueAt = Infinity;
  }

  /**
   * The services with the routes that stay. One without any is the same object.
   * @param services those of running containers
   * @param now in milliseconds since 1970
   */
  apply(services: readonly Service[], now: number): readonly Service[] {
    // A pass may leave a container out after all, and asks again then: that one has not ended.
    if (now !== this.#at) this.#last = this.#current;
    [this.#at, this.#current] = [now, services];
    this.#note(services, now);
    this.#dueAt = Infinity;
    if (this.#kept.size === 0) return services;
    const names = new Set(services.map(({ name }) => name));
    const owned = new Set(services.flatMap(({ routes }) => routes.map(({ key }) => key)));
    for (const [name, { until, made }] of this.#kept) {
      // Another service may ask for it, or a new container of this one.
      const left = [...until].filter(([key, each]) => each.until > now && !owned.has(key));
      if (left.length === 0 || !names.has(name)) {
        this.#kept.delete(name);
        continue;
      }
      this.#kept.set(name, { until: new Map(left), made });
      for (const [, each] of left) this.#dueAt = Math.min(this.#dueAt, each.until);
    }
    return this.#kept.size === 0 ? services : services.map((service) => this.#withKept(service));
  }

  /** Notes which routes of a service went with a container of it. */
  #note(services: readonly Service[], now: number): void {
    const { former, current } = differingItems(this.#last, services);
    const after = new Map(current.map((service) => [service.name, service]));
    for (const before of former) {
      const service = after.get(before.name);
      if (service === undefined) continue;
      const keys = new Set(service.routes.map(({ key }) => key));
      const lost = before.routes.filter(
        (route) => !keys.has(route.key) && isTreatedAs(route, before, service),
      );
      const ids = containersOf(service);
      const hasEnded = [...containersOf(before)].some((id) => !ids.has(id));
      if (lost.length === 0 || !hasEnded) continue;
      const known = this.#kept.get(service.name)?.until ?? [];
      const until = now + this.length;
      const all = new Map([
        ...known,
        ...lost.map((route) => [route.key, { route, until }] as const),
      ]);
      this.#kept.set(service.name, { until: all, made: undefined });
    }
  }

  #withKept(service: Service): Service {
    const kept = this.#kept.get(service.name);
    if (kept === undefined) return service;
    const lost = [...kept.until.values()].map(({ route }) => route);
    const of = [service, ...lost];
    if (kept.made !== undefined && sameItems(kept.made.of, of)) return kept.made.service;
    const made = { of, service: { ...service, routes: [...service.routes, ...lost] } };
    this.#kept.set(service.name, { until: kept.until, made });
    return made.service;
  }
}

function containersOf({ servers, waiting }: Service): ReadonlySet<string> {
  return new Set([...servers, ...waiting].map(({ id }) => id));
}

/**
 * Whether requests for a route are treated as before if it stays: the labels of the container that has ended may have
 * kept somebody out.
 */
function isTreatedAs(route: Route, before: Service, service: Service): boolean {
  return (
    route.tcp === undefined &&
    before.profile === service.profile &&
    isDeepStrictEqual(before.settings, service.settings) &&
    service.routes.some((each) => isDeepStrictEqual(each.rules, route.rules))
  );
}
