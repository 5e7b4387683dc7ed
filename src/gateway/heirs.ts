// Whose a route is when the containers of its service have ended, and another service asks for it. For a
// moment it stays: a container that is restarted comes back at once. Then it is the other service's, and so
// are the requests that wait.

import { sameItems } from "../lib/lists.ts";
import { isForwarded, type Service } from "../model.ts";

/**
 * Docker tells within so many milliseconds of a container's end that it is about to run again. Measured: 100
 * to 500 ms after the end in a restart.
 */
const RETURNS_WITHIN = 1_000;

/** A service that is kept though no container of it runs. */
export interface KeptService {
  readonly service: Service;
  /** When its last container ended, in milliseconds since 1970. */
  readonly goneSince: number;
  /** Whether Docker still has one of its containers. */
  readonly mayReturn: boolean;
}

/** Decides who has the routes that a kept service and another one have. */
export class Heirs {
  /** What was made of a service, by its name, and of what: the same gives the same object. */
  readonly #made = new Map<
    string,
    { readonly of: readonly unknown[]; readonly service: Service }
  >();
  /** The services that have no route, as another one's stays, by name. Nobody waits for them. */
  readonly #without = new Set<string>();

  /** Forgets all, as no service is kept. */
  forget(): void {
    this.#made.clear();
    this.#without.clear();
  }

  /**
   * The services to serve.
   * @param services those of running containers
   * @param kept those of which no container runs
   * @param now in milliseconds since 1970
   */
  share(
    services: readonly Service[],
    kept: readonly KeptService[],
    now: number,
  ): readonly Service[] {
    const owners = rivalsOf(kept, services);
    if (owners.size === 0) {
      this.forget();
      return [...services, ...kept.map(({ service }) => service)];
    }
    const own = kept.filter((each) => endOf(each) > now).map(({ service }) => service);
    const staying = new Set(own.flatMap(({ routes }) => routes).map(({ key }) => key));
    return [
      ...services.flatMap((service) => this.#left(service, staying)),
      ...kept.flatMap((each) =>
        endOf(each) > now ? [each.service] : this.#inherited(each.service, owners),
      ),
    ];
  }

  /**
   * When the next of these services loses routes to another one, in milliseconds since 1970; undefined if
   * none does.
   */
  dueAt(
    services: readonly Service[],
    kept: readonly KeptService[],
    now: number,
  ): number | undefined {
    const owners = rivalsOf(kept, services);
    const ends = kept
      .filter((each) => each.service.routes.some(({ key }) => owners.has(key)))
      .map(endOf)
      .filter((end) => end > now);
    return ends.length === 0 ? undefined : Math.min(...ends);
  }

  /** A service without these routes; nothing if none is left. */
  #left(service: Service, keys: ReadonlySet<string>): readonly Service[] {
    const routes = service.routes.filter(({ key }) => !keys.has(key));
    if (routes.length > 0) this.#without.delete(service.name);
    else this.#without.add(service.name);
    if (routes.length === service.routes.length) return [service];
    return routes.length === 0 ? [] : [this.#same([service, ...routes], { ...service, routes })];
  }

  /**
   * What is left of a service that has lost routes. Where it has none any more, the requests that wait for
   * it get the servers of the service that has its first one.
   */
  #inherited(service: Service, owners: ReadonlyMap<string, Service>): readonly Service[] {
    const routes = service.routes.filter(({ key }) => !owners.has(key));
    if (routes.length === service.routes.length) return [service];
    if (routes.length > 0) {
      return [this.#same([service, ...routes], { ...service, routes })];
    }
    const heir = owners.get(service.routes[0]?.key ?? "");
    // Where bytes are forwarded nobody waits.
    const mayWait = !isForwarded(service) && !this.#without.has(service.name);
    const isAwaited = service.hold === "waiting" && mayWait;
    // With other settings its servers may speak another protocol.
    if (heir === undefined || !isAwaited || heir.profile !== service.profile) return [];
    // They wait on until one of these answers.
    const { servers, hold } = heir;
    return [this.#same([service, servers, hold], { ...service, routes, servers, hold })];
  }

  #same(of: readonly unknown[], service: Service): Service {
    const made = this.#made.get(service.name);
    if (made !== undefined && sameItems(made.of, of)) return made.service;
    this.#made.set(service.name, { of, service });
    return service;
  }
}

function endOf({ goneSince, mayReturn }: KeptService): number {
  return mayReturn ? goneSince + RETURNS_WITHIN : 0;
}

/** The services that have routes of services that are kept, by the keys of these routes. */
function rivalsOf(
  kept: readonly KeptService[],
  services: readonly Service[],
): ReadonlyMap<string, Service> {
  const keys = new Set(kept.flatMap(({ service }) => service.routes.map(({ key }) => key)));
  const owners = new Map<string, Service>();
  for (const service of services) {
    for (const { key } of service.routes) if (keys.has(key)) owners.set(key, service);
  }
  return owners;
}
