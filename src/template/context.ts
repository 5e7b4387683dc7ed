// The data that a template sees: services, options, HAProxy's paths, and the fields of 2018.

import { WeakCache } from "../lib/weak-cache.ts";
import type { Model, Route, Server, Service } from "../model.ts";
import { compareVersions } from "../lib/text.ts";
import { traceLabels } from "./origin.ts";

/** The part of the options that a template sees. */
export interface ContextOptions {
  readonly listen: readonly string[];
  readonly domain: string;
  readonly ports: readonly number[];
}

/** What the configuration needs to know of its HAProxy. */
export interface HaproxyContext {
  /** Such as `2.6.12`. */
  readonly version: string;
  /** Empty if HAProxy does not start as root or the system has no user for it. */
  readonly user: string;
  readonly group: string;
  readonly chroot: string;
  readonly statsSocket: string;
  readonly stateFile: string;
  /** The `log` lines of the section `global`, without the word `log`. */
  readonly log: readonly string[];
}

/** A container as templates saw it in the program of 2018. */
interface Guest {
  /** The image reference as it was given. */
  readonly Name: string;
  /** The same, with one `_` in place of every run of characters that are not letters or digits. */
  readonly FriendlyName: string;
  readonly ID: string;
  readonly IP: string;
}

/** A service as templates see it. */
interface Backend {
  readonly name: string;
  readonly service: string;
  /** The same as `service`. Older templates use it: a service was always an image's repository. */
  readonly repository: string;
  readonly profile: string;
  readonly settings: Service["settings"];
  readonly path: string;
  readonly hosts: readonly string[];
  readonly servers: readonly Server[];
}

export interface Context {
  readonly routes: readonly Route[];
  readonly backends: readonly Backend[];
  readonly options: ContextOptions;
  readonly haproxy: HaproxyContext;
  /** Names of empty backends for services to come: HAProxy before 3.4 cannot add a backend. */
  readonly spares: readonly string[];
  readonly Time: string;
  readonly Guests: readonly Guest[];
}

/** So many new services need no reload. No repository's name starts with `_`. */
const SPARE_NAMES = Array.from({ length: 64 }, (_, index) => `_spare_${index + 1}`);

const backendMemory = new WeakCache<Service, Backend>();

/** Makes the data that a template sees. @param time returns the value of `Time` */
export function toContext(
  model: Model,
  options: ContextOptions,
  haproxy: HaproxyContext,
  time: () => string,
): Context {
  const backends = backendMemory.getAll(model.services, toBackend);
  return {
    routes: model.services.flatMap((service) => service.routes),
    backends,
    options,
    haproxy,
    spares: compareVersions(haproxy.version, "3.4") < 0 ? SPARE_NAMES : [],
    // Getters, so that only templates that use these fields cause the work.
    get Time() {
      return time();
    },
    get Guests() {
      return backends.flatMap(({ servers }) => servers.filter(isFirstOfContainer).map(toGuest));
    },
  };
}

function toBackend({ name, backend, profile, settings, routes, servers }: Service): Backend {
  return {
    name: backend,
    service: name,
    repository: name,
    profile,
    settings,
    path: `/${name}`,
    hosts: routes.map(({ host }) => host).filter((host) => host !== ""),
    servers: servers.map(traceLabels),
  };
}

/** A container with several candidate ports has several servers, but it is one guest. */
function isFirstOfContainer(server: Server): boolean {
  return !server.backup;
}

function toGuest({ image, id, address }: Server): Guest {
  return {
    Name: image,
    FriendlyName: image.replaceAll(/[^a-zA-Z0-9]+/g, "_"),
    ID: id.slice(0, 12),
    IP: address,
  };
}
