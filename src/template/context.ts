// What a template sees: the model, the options, HAProxy's surroundings, and the old names.

import { WeakCache } from "../lib/weak-cache.ts";
import type { Model, Route, Server, Service } from "../model.ts";
import { compareVersions } from "../lib/text.ts";

/** The part of the options that a template sees. */
export interface ContextOptions {
  readonly listen: readonly string[];
  readonly domain: string;
  readonly ports: readonly number[];
}

/** The HAProxy that the configuration is for. */
export interface HaproxyContext {
  /** Such as `2.6.12`. */
  readonly version: string;
  /** Empty where HAProxy does not start as root, or the system has no such user. */
  readonly user: string;
  readonly group: string;
  readonly chroot: string;
  readonly statsSocket: string;
  readonly stateFile: string;
  /** The `log` lines of `global`, without that word. */
  readonly log: readonly string[];
}

/** A container as the templates of the program of 2018 saw it. */
interface Guest {
  /** The image as it was given. */
  readonly Name: string;
  /** The same with every run of other characters than letters and digits as one `_`. */
  readonly FriendlyName: string;
  readonly ID: string;
  readonly IP: string;
}

/** A service as templates see it: its backend. */
interface Backend {
  readonly name: string;
  readonly service: string;
  /** The name of the service too, as it was called when that was always the image's repository. */
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
  /** Names of backends to provide empty, for services to come: HAProxy before 3.4 adds none. */
  readonly spares: readonly string[];
  readonly Time: string;
  readonly Guests: readonly Guest[];
}

/** As many new services as these need no reload; they start like no repository's name does. */
const SPARES = Array.from({ length: 64 }, (_, index) => `_spare_${index + 1}`);

const backendOf = new WeakCache<Service, Backend>();

/** Puts together what a template sees. */
export function toContext(
  model: Model,
  options: ContextOptions,
  haproxy: HaproxyContext,
  time: () => string,
): Context {
  const backends = model.services.map((service) => backendOf.get(service, toBackend));
  return {
    routes: model.services.flatMap((service) => service.routes),
    backends,
    options,
    haproxy,
    spares: compareVersions(haproxy.version, "3.4") < 0 ? SPARES : [],
    // Made only for the templates that have it.
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
    servers,
  };
}

/** A container with several candidate ports is several servers, but it was one guest. */
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
