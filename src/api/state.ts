// The answer to `GET /v1/state`: everything that the gateway knows, made of its published state and of what
// HAProxy counts. Pure.

import { describeOptions } from "./options.ts";
import { notServedOf, type NotServed } from "./not-served.ts";
import type { RouteRow } from "./routes.ts";
import type { State } from "../gateway/state.ts";
import { reachedName } from "../lib/places.ts";
import type { Hold, Model, Server, Service, WaitingContainer } from "../model.ts";
import { isSecured } from "../routing/certificates.ts";
import { titleOf } from "../routing/intent.ts";
import { describeSettings } from "../routing/settings/profile.ts";
import { describeRules } from "../routing/settings/rules.ts";

/** What does not change while a gateway runs. */
export interface Facts {
  readonly version: string;
  readonly pid: number;
  /** When it started, in milliseconds since 1970. */
  readonly started: number;
  /** The configuration that it writes. */
  readonly output: string;
  readonly masterSocket: string;
  readonly managesHaproxy: boolean;
  /** What its labels begin with. */
  readonly labelPrefix: string;
  /** Its flags and variables, as they were given. */
  readonly options: GivenOptions;
}

/** The values of flags by their names. */
export type GivenOptions = Readonly<
  Record<string, string | readonly string[] | boolean | undefined>
>;

/** What HAProxy says now. */
export interface Counted {
  readonly routes: readonly RouteRow[];
  /** Why it cannot be asked; empty if it can. */
  readonly problem: string;
}

/** The answer. Times are in RFC 3339. What is not known is null. */
export interface StateDocument extends NotServed {
  readonly gateway: Omit<Facts, "started"> & { readonly started: string };
  readonly engine: State["engine"];
  /** Each of several Engines; empty: there is one. */
  readonly engines: State["engines"];
  readonly haproxy: { readonly version: string | null; readonly problem: string };
  /** Why the last pass failed, line by line; empty if it did not. */
  readonly problem: readonly string[];
  readonly lastChange: string;
  readonly counters: State["counters"];
  readonly routes: readonly RouteRow[];
  readonly services: readonly ServiceDocument[];
  readonly warnings: readonly string[];
}

interface ServiceDocument {
  readonly name: string;
  readonly backend: string;
  readonly routes: readonly RouteDocument[];
  /** What its labels say, as `explain` tells it. */
  readonly settings: readonly string[];
  readonly hold: Hold;
  readonly servers: readonly ServerDocument[];
  /** Containers without a server. */
  readonly waiting: readonly WaitingContainer[];
}

interface RouteDocument {
  readonly route: string;
  readonly host: string;
  readonly path: string;
  /** The port from which bytes are forwarded; null: it is HTTP. */
  readonly tcp: number | null;
  readonly strip: boolean;
  readonly rewrite: string;
  readonly rules: readonly string[];
}

type ServerDocument = Pick<
  Server,
  | "name"
  | "container"
  | "id"
  | "image"
  | "address"
  | "port"
  | "disabled"
  | "why"
  | "backup"
  | "weight"
>;

/** Makes the answer. */
export function stateDocument(facts: Facts, state: State, counted: Counted): StateDocument {
  const { engine, engines, haproxy, problem = [], lastChange, counters, applied, desired } = state;
  const { started, options, ...rest } = facts;
  return {
    gateway: {
      ...rest,
      started: new Date(started).toISOString(),
      options: describeOptions(options),
    },
    engine,
    engines,
    haproxy: {
      version: haproxy.version ?? null,
      problem: counted.problem || (haproxy.doubt ?? ""),
    },
    problem,
    lastChange: new Date(lastChange).toISOString(),
    counters,
    routes: counted.routes,
    services: (applied?.services ?? []).map((each) =>
      serviceDocument(each, facts.labelPrefix, state.shown),
    ),
    ...notServedOf(desired ?? NOTHING),
    warnings: desired?.warnings ?? [],
  };
}

const NOTHING: Pick<Model, "rejections" | "refusals"> = { rejections: [], refusals: [] };

function serviceDocument(
  service: Service,
  labelPrefix: string,
  shown: State["shown"],
): ServiceDocument {
  const { name, backend, routes, settings, hold, servers, waiting } = service;
  return {
    name: titleOf(name),
    backend,
    routes: routes.map((route) => {
      const { host, path, tcp = null, strip, rewrite, rules } = route;
      return {
        route: reachedName(route, isSecured(host, shown)),
        host,
        path,
        tcp,
        strip,
        rewrite,
        rules: describeRules(rules),
      };
    }),
    settings: describeSettings(name, settings, labelPrefix),
    hold,
    servers: servers.map((each) => {
      const {
        name: own,
        container,
        id,
        image,
        address,
        port,
        disabled,
        why,
        backup,
        weight,
      } = each;
      return { name: own, container, id, image, address, port, disabled, why, backup, weight };
    }),
    waiting,
  };
}
