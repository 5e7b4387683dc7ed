// Decides for one container whether it is routed, and which servers it has.

import {
  createAddressChooser,
  choosePorts,
  chooseTcpPorts,
  portAt,
  type Address,
  type AddressOptions,
} from "./address.ts";
import {
  forwardedFrom,
  intentOf,
  readIntent,
  titleOf,
  type Intent,
  type IntentOptions,
  type ServerWishes,
} from "./intent.ts";
import { whyFiltered, type Filter } from "./filters.ts";
import { shared } from "../lib/lists.ts";
import { nameOf } from "../lib/places.ts";
import { describeSettings } from "./settings/profile.ts";
import { describeRules } from "./settings/rules.ts";
import {
  ABOUT_TO_START,
  atEngine,
  HAS_ENDED,
  speaksFastCgi,
  type Container,
  type Reach,
  type RejectionKind,
  type Server,
  type Settings,
  type Snapshot,
} from "../model.ts";

/** A container that is routed. It has no servers while it restarts. */
export interface RoutedContainer {
  readonly container: Container;
  readonly intent: Intent;
  readonly servers: readonly Server[];
  /** Its routes with servers of their own, which are members of other services. */
  readonly branches: readonly RoutedContainer[];
}

/** A container that is not routed, and the reason. */
export interface UnroutedContainer {
  readonly container: Container;
  readonly kind: RejectionKind;
  readonly reason: string;
  /** Whether nothing is wrong: its own label says so, or it is no web server. */
  readonly expected: boolean;
  /** Whether it is only about to end. */
  readonly ending: boolean;
}

/** One decision about a container, as text for a person. */
interface Decision {
  readonly about:
    | "labels"
    | "state"
    | "service"
    | "host"
    | "path"
    | "tcp"
    | "address"
    | "port"
    | "health"
    | "setting";
  readonly text: string;
}

/** Hears of decisions. Their texts are made for who wants to read them, and of no use to the gateway. */
type DecisionListener = (tell: () => readonly Decision[]) => void;

export interface ContainerOptions extends AddressOptions, IntentOptions {
  /** Which containers are taken in at all. */
  readonly filters: readonly Filter[];
  /** Services are served at host names below this domain; undefined: at paths. */
  readonly domain: string | undefined;
}

/**
 * Makes the function that decides about a container.
 * @param decided hears of the decisions that lead to the result, in their order
 */
export function createContainerRouter(
  snapshot: Snapshot,
  reach: Reach,
  options: ContainerOptions,
  decided: DecisionListener = () => {},
): (container: Container) => RoutedContainer | UnroutedContainer {
  const chooseAddress = createAddressChooser(snapshot, reach, options);
  return routeContainer;

  function routeContainer(container: Container): RoutedContainer | UnroutedContainer {
    const unrouted = (
      kind: RejectionKind,
      reason: string,
      { expected = false, ending = false } = {},
    ) => {
      return { container, kind, reason, expected, ending };
    };
    const filtered = whyFiltered(container, options.filters);
    if (filtered !== undefined) {
      return unrouted("left out", `${filtered} leaves it out`, { expected: true });
    }
    if (!["running", "paused", "restarting", "starting"].includes(container.state)) {
      return unrouted("state", `it does not run (Docker says: ${container.state})`);
    }
    decided(() => [{ about: "state", text: describeState(container) }]);
    const intent = readIntent(container, options);
    if ("reason" in intent) {
      const { reason, optedOut } = intent;
      return unrouted(optedOut ? "left out" : "labels", reason, { expected: optedOut });
    }
    decided(() => [
      ...describeIntent(intent, options.domain),
      ...[intent, ...intent.branches.map((branch) => intentOf(branch, intent))]
        .flatMap((each) => describeSettings(each.service.value, each.settings, options.labelPrefix))
        .map(toSetting),
      ...describeRulesOf(intent),
    ]);
    // Docker will start it again. Its route stays until then and answers 503.
    if (container.state === "restarting") {
      const branches = intent.branches.map((branch): RoutedContainer => {
        const own = intentOf(branch, intent);
        return { container, intent: own, servers: [], branches: [] };
      });
      return { container, intent, servers: [], branches };
    }

    const address = chooseAddress(container, {
      network: intent.network?.value,
      address: intent.address?.value,
    });
    if ("reason" in address) {
      // The Engine takes a container's networks away before it says that it has ended.
      return container.stopping > 0
        ? unrouted("state", "it is ending", { ending: true })
        : unrouted("address", address.reason);
    }
    decided(() => [{ about: "address", text: `${address.address}, ${address.why}` }]);
    const tcp = forwardedFrom(intent);
    const portsOf = ({ port, settings }: Pick<Intent, "port" | "settings">) =>
      choosePorts(container, port?.value, address, options, speaksFastCgi(settings));
    const candidates =
      tcp === undefined
        ? portsOf(intent)
        : chooseTcpPorts(container, intent.port?.value, tcp, address, options);
    if ("reason" in candidates) return unrouted("port", candidates.reason, candidates);
    decided(() => [
      { about: "port", text: `${candidates.ports.join(", then ")}, ${candidates.why}` },
      { about: "health", text: describeHealth(container, intent.settings) },
      ...intent.server.said.map(toSetting),
    ]);
    const servers = toServers(container, intent, "", address, candidates.ports);
    const warnings: string[] = [];
    const branches = intent.branches.flatMap((branch): RoutedContainer[] => {
      const own = intentOf(branch, intent);
      const found =
        branch.port === undefined &&
        tcp === undefined &&
        speaksFastCgi(own.settings) === speaksFastCgi(intent.settings)
          ? candidates
          : // The label for the container's port is about the one from which bytes are forwarded.
            portsOf(tcp === undefined ? own : branch);
      const about = `for route ${branch.name}`;
      if ("reason" in found) {
        const text = `none ${about}: ${found.reason}`;
        decided(() => [{ about: "port", text }]);
        warnings.push(`container ${container.name}: port ${text}`);
        return [];
      }
      if (branch.port !== undefined) {
        const { value, source } = branch.port;
        decided(() => [{ about: "port", text: `${value} ${about}, ${source} names it` }]);
      } else if (tcp !== undefined) {
        const text = `${found.ports.join(", then ")} ${about}, ${found.why}`;
        decided(() => [{ about: "port", text }]);
      }
      const ofBranch = toServers(container, own, branch.name, address, found.ports);
      return [{ container, intent: own, servers: ofBranch, branches: [] }];
    });
    const told = warnings.length === 0 ? intent : withWarnings(intent, warnings);
    return { container, intent: told, servers, branches: shared(branches) };
  }
}

/** What its routes ask of requests and answers, each once. */
function describeRulesOf({ routes, branches }: Intent): Decision[] {
  const all = [...routes, ...branches.flatMap((branch) => branch.routes)];
  return [...new Set(all.flatMap(({ rules }) => describeRules(rules)))].map(toSetting);
}

function toSetting(text: string): Decision {
  return { about: "setting", text };
}

function withWarnings(intent: Intent, more: readonly string[]): Intent {
  return { ...intent, warnings: [...intent.warnings, ...more] };
}

/** Where it wants to be served, and what says so. An image's own service goes without saying. */
function describeIntent(
  { service, routes, branches, translatedFrom }: Intent,
  domain: string | undefined,
): Decision[] {
  const isNamed = service.source.startsWith("label ");
  const text = `those for ${translatedFrom} are read as labels of the gateway; --as-labels shows them`;
  return [
    ...(translatedFrom === undefined ? [] : [{ about: "labels" as const, text }]),
    ...(isNamed
      ? [{ about: "service" as const, text: `${titleOf(service.value)}, from ${service.source}` }]
      : []),
    ...[...routes, ...branches.flatMap((branch) => branch.routes)].map((route): Decision => {
      if (route.isDefault && domain !== undefined) {
        return { about: "host", text: `a name below ${domain}, from ${service.source}` };
      }
      const about = route.tcp !== undefined ? "tcp" : route.host === "" ? "path" : "host";
      return { about, text: `${nameOf(route)}, from ${route.source}` };
    }),
  ];
}

function describeState({ state, stopping }: Container): string {
  if (state === "paused") return "paused: it gets no requests";
  if (state === "starting") return "about to start: it gets no requests before";
  if (state === "restarting") return "restarting: its route answers 503 until it runs";
  return stopping > 0 ? "told to stop: no new requests while others serve" : state;
}

function describeHealth(
  { health }: Container,
  { check, "check.status": status }: Settings,
): string {
  if (health === "none") {
    const how =
      check === undefined ? "its port answers" : `GET ${check} is answered ${status ?? "200-399"}`;
    return `no HEALTHCHECK: it gets requests while ${how}`;
  }
  return health === "healthy" ? "healthy" : `${health}: it gets no requests`;
}

/**
 * The name of a server is the ID of its container, as Docker shortens it. So a container that is
 * renamed keeps its server, and a new container with an old name does not get the state that HAProxy
 * has for the old one.
 */
function serverName({ id }: Container, branch: string, port: number | undefined): string {
  const parts = [
    ...(branch === "" ? [] : ["route", branch]),
    ...(port === undefined ? [] : [port]),
  ];
  return [id.slice(0, 12), ...parts].join(":");
}

/** @param branch the name of the route whose servers they are; empty: the container's own */
function toServers(
  container: Container,
  { server }: Intent,
  branch: string,
  address: Address,
  ports: readonly number[],
): readonly Server[] {
  const holder = holderAt(container, address);
  return ports.map((port, index) => ({
    ...toServer(holder, address, portAt(address, port), index > 0, server),
    name: serverName(holder, branch, ports.length > 1 ? port : undefined),
  }));
}

/**
 * Who is behind an address. Behind the routing mesh it is the service of the swarm as a whole: it stays the
 * same as long as one of its tasks runs, and none of them can be drained.
 */
function holderAt(container: Container, { published = [] }: Address): Container {
  const { task } = container;
  const [first] = published;
  if (task === undefined || first === undefined || !("mode" in first)) return container;
  if (first.mode !== "ingress") return container;
  return {
    ...container,
    id: task.serviceId,
    name: atEngine(task.service, container.engine),
    pid: 0,
    startedAt: "",
    stopping: 0,
    stopTimeout: 0,
  };
}

function toServer(
  container: Container,
  { address, provider, published }: Address,
  port: number,
  second: boolean,
  { weight, backup, maxconn }: ServerWishes,
) {
  const why = whyDisabled(container);
  const { name, id, image, labels, stopTimeout, startedAt, elsewhere } = container;
  const isPublished = published !== undefined || elsewhere !== undefined;
  const holders = [container, ...(provider === undefined ? [] : [provider])];
  return {
    container: name,
    id,
    image,
    labels,
    stopTimeout,
    startedAt,
    holders: holders.map((holder) => ({ id: holder.id, pid: holder.pid })),
    address,
    port,
    backup: backup || second,
    second,
    weight: weight?.toString() ?? "",
    maxconn: maxconn?.toString() ?? "",
    disabled: why !== "",
    why,
    ...(isPublished ? { isPublished: true as const } : {}),
  };
}

function whyDisabled(container: Container): string {
  if (container.state === "paused") return "paused";
  if (container.state === "starting") return ABOUT_TO_START;
  if (container.health === "starting" || container.health === "unhealthy") return container.health;
  if (container.stopping === 0) return "";
  return container.stopping === HAS_ENDED ? "ending" : "stopping";
}
