// Reads what a container asks for, from its image and its labels.

import {
  NO_RULES,
  type CertificateWish,
  type Container,
  type Rules,
  type Settings,
} from "../model.ts";
import { mergeLabels, ownLabels, translate, type Compat } from "./compat/compat.ts";
import type { DefaultRule } from "./default-rule.ts";
import { createSourceFinder } from "./compat/sources.ts";
import { toServiceName } from "./compat/vocabulary.ts";
import { parseImage } from "./image.ts";
import {
  CLOSED,
  isServed,
  LABEL_PREFIX,
  readLabels,
  type Labels,
  type RouteLabels,
} from "./labels.ts";
import { withoutIdle } from "./settings/servers.ts";
import { tcpSettingsOf } from "./settings/tcp.ts";
import { digestOf } from "../lib/digest.ts";
import { ANY_NAME, keyOf } from "../lib/places.ts";
import { compare } from "../lib/text.ts";
import { shared } from "../lib/lists.ts";

/** A value and its source, such as `image acme/shop:1.2` or `label gateway.port`. */
interface Sourced<T> {
  readonly value: T;
  readonly source: string;
}

/** What becomes of the prefix of a request on its way to a container. */
export interface Treatment {
  /** Whether it is taken off. */
  readonly strip: boolean;
  /** What comes in its place; empty: nothing. */
  readonly rewrite: string;
  /** The label that says so; empty if none does. */
  readonly source: string;
}

/** A route that a container asks for. */
export interface RouteIntent {
  /** Empty: any host. */
  readonly host: string;
  readonly path: string;
  readonly source: string;
  /** Whether it is the one that its image gives, and no label: with `--domain` it is another one. */
  readonly isDefault: boolean;
  readonly treatment: Treatment;
  readonly rules: Rules;
  /** The port of the gateway that leads there; undefined: it is HTTP. See `Place`. */
  readonly tcp?: number;
}

/** What a container wants of its servers in HAProxy. */
export interface ServerWishes {
  /** Its share of the requests, 1 being the usual; undefined: no label says so. */
  readonly weight: number | undefined;
  /** The share that all containers of its service with such a label get together, in per cent. */
  readonly split: number | undefined;
  /** Whether it serves only while no other server does that is none. */
  readonly backup: boolean;
  /** How many requests it gets at a time; undefined: any number. */
  readonly maxconn: number | undefined;
  /** The labels that say so, such as `weight=10, from label gateway.weight`. */
  readonly said: readonly string[];
}

export interface Intent {
  /** The name of the service. All containers with the same name are its servers. */
  readonly service: Sourced<string>;
  readonly routes: readonly RouteIntent[];
  readonly port: Sourced<number> | undefined;
  readonly network: Sourced<string> | undefined;
  readonly address?: Sourced<string> | undefined;
  readonly settings: Settings;
  readonly branches: readonly Branch[];
  readonly server: ServerWishes;
  /** Which certificates of --acme its service has; undefined: one for each host. */
  readonly certificates: CertificateWish | undefined;
  /** The registry in the image reference; empty if the reference names none. */
  readonly registry: string;
  /** The other proxy whose labels are read; undefined: none is. */
  readonly translatedFrom: string | undefined;
  /** Things that work, but are probably a mistake. */
  readonly warnings: readonly string[];
}

/** A further route of a container with servers of its own, which are a service of their own. */
export interface Branch {
  /** The name of the route in its labels. */
  readonly name: string;
  readonly routes: readonly RouteIntent[];
  /** Undefined: the container's. */
  readonly port: Sourced<number> | undefined;
  readonly settings: Settings;
}

/** What one reader knows. Of `routes` the strongest reader's count, `further` ones are added. */
export interface PartialIntent extends Partial<Intent> {
  readonly further?: readonly RouteIntent[];
  /** For the routes of weaker readers. */
  readonly treatment?: Treatment;
  readonly rules?: Rules;
  /** Whether it counts only where no label says where the container is served. */
  readonly isDefaultRule?: boolean;
  /** Why it has no routes, if it should have some. */
  readonly problem?: string;
}

/** Why a container must not be served. */
export interface Refusal {
  readonly reason: string;
  /** Whether the container's own label says that it is not to be routed. */
  readonly optedOut: boolean;
}

export interface IntentOptions {
  /** What all labels begin with. */
  readonly labelPrefix: string;
  /** Whether only containers are taken in whose label says so. */
  readonly onlyEnabled: boolean;
  /** The other proxies whose labels are read, too. */
  readonly compat: Compat;
  /** Where containers are served whose labels say nothing of it; undefined: by their image. */
  readonly defaultRule: DefaultRule | undefined;
}

/** Reads a part of the intent from one source. */
type IntentReader = (container: Container, options: IntentOptions) => PartialIntent | Refusal;

/** The readers, the weakest first. A further kind of label or a default rule is one more reader. */
const READERS: readonly IntentReader[] = [fromImage, fromDefaultRule, fromAllLabels];

const DEFAULTS: IntentOptions = {
  labelPrefix: LABEL_PREFIX,
  onlyEnabled: false,
  compat: "all",
  defaultRule: undefined,
};
const NO_WISHES: ServerWishes = {
  weight: undefined,
  split: undefined,
  backup: false,
  maxconn: undefined,
  said: [],
};
const NO_SETTINGS: Settings = Object.freeze({});
export const STRIPPED: Treatment = { strip: true, rewrite: "", source: "" };
/** One container asks for no more. Each is an entry of HAProxy's map. */
const MOST_ROUTES = 100;

/**
 * Reads what a container asks for. The strongest reader that names a value wins. A refusal of any
 * reader wins over all values; of several refusals, the strongest one is told.
 */
export function readIntent(
  container: Container,
  options: IntentOptions = DEFAULTS,
  readers = READERS,
): Intent | Refusal {
  const parts = readers.map((read) => read(container, options));
  const refusal = parts.findLast((part) => "reason" in part);
  if (refusal !== undefined) return refusal;
  const all = parts.filter((part): part is PartialIntent => !("reason" in part));
  const isPlaced = all.at(-1)?.routes !== undefined;
  const known = isPlaced ? all.filter((part) => part.isDefaultRule !== true) : all;
  const intent: PartialIntent = Object.assign({}, ...known);
  const {
    service: base,
    port,
    network,
    address,
    server = NO_WISHES,
    certificates,
    registry = "",
    translatedFrom,
  } = intent;
  const problems = known.flatMap(({ problem }) => problem ?? []);
  const asked = [...routesOf(known), ...known.flatMap(({ further = [] }) => further)];
  const own = [...new Map(asked.map((each) => [keyOf(each), each])).values()];
  const routes = own.slice(0, MOST_ROUTES);
  const wanted = known.flatMap((part) => part.branches ?? []);
  const service = base && { ...base, value: forwardedAs(base.value, routes) };
  const asks = [...own, ...wanted.flatMap((branch) => branch.routes)];
  const branches = withRoutes(wanted, MOST_ROUTES - routes.length);
  if (service === undefined || routes.length === 0) {
    const why = problems.at(-1) ?? "nothing names its service";
    const help = `; label ${options.labelPrefix}service names the service of such a container`;
    return { reason: routes.length === 0 ? why : `${why}${help}`, optedOut: false };
  }
  const said: Settings = Object.assign({}, ...known.map((part) => part.settings ?? {}));
  const settings = Object.keys(said).length === 0 ? NO_SETTINGS : said;
  const tooMany =
    asks.length > MOST_ROUTES
      ? [`it asks for ${asks.length} routes, and gets the first ${MOST_ROUTES}`]
      : [];
  const about = [
    ...known.flatMap(({ warnings = [] }) => warnings),
    ...problemsOf(known),
    ...tooMany,
  ];
  const warnings = about.map((warning) => `container ${container.name}: ${warning}`);
  return {
    service,
    routes,
    port,
    network,
    address,
    settings,
    branches: shared(branches),
    server,
    certificates,
    registry,
    translatedFrom,
    warnings: shared(warnings),
  };
}

/** Branches with so many routes together. */
function withRoutes(branches: readonly Branch[], most: number): Branch[] {
  let left = most;
  return branches
    .map((branch) => {
      const routes = branch.routes.slice(0, left);
      left -= routes.length;
      return { ...branch, routes };
    })
    .filter(({ routes }) => routes.length > 0);
}

/** The intent of a branch, which is served as another container's. */
export function intentOf(branch: Branch, whole: Intent): Intent {
  const { name, routes, port, settings } = branch;
  const { value, source } = whole.service;
  const service = { value: branchOf(value.replace(FORWARDED, "$1"), name), source };
  return {
    ...whole,
    service,
    routes,
    port: port ?? whole.port,
    settings,
    branches: [],
    warnings: [],
  };
}

/** The routes of the strongest reader that has any, treated as the stronger ones say. */
function routesOf(parts: readonly PartialIntent[]): readonly RouteIntent[] {
  const at = parts.findLastIndex(({ routes }) => routes !== undefined);
  const stronger = parts.slice(at + 1);
  const treatment = stronger.findLast((part) => part.treatment !== undefined)?.treatment;
  const rules = stronger.findLast((part) => part.rules !== undefined)?.rules;
  const { routes = [] } = parts[at] ?? {};
  if (treatment === undefined && rules === undefined) return routes;
  return routes.map((each) => ({
    ...each,
    treatment: treatment ?? each.treatment,
    rules: rules ?? each.rules,
  }));
}

/** Why a route is missing that the strongest reader should have. Others serve the container. */
function problemsOf(parts: readonly PartialIntent[]): string[] {
  const { problem, routes } = parts.at(-1) ?? {};
  return problem !== undefined && routes?.length === 0
    ? [`${problem}: that route is not served`]
    : [];
}

/** The service is the repository of the image, and its path is the same. */
function fromImage({ image, imageId }: Container): PartialIntent {
  const reference = parseImage(image, imageId);
  if ("reason" in reference) return { problem: reference.reason };
  const { repository, domain } = reference;
  const source = `image ${image}`;
  return {
    service: { value: repository, source },
    routes: [
      {
        host: "",
        path: `/${repository}`,
        source,
        isDefault: true,
        treatment: STRIPPED,
        rules: NO_RULES,
      },
    ],
    registry: domain,
  };
}

/**
 * Where the default rule wants it. Containers that it wants at one place are one service, whatever their
 * images are, and those of one image at two places are two.
 */
function fromDefaultRule(
  container: Container,
  { defaultRule }: IntentOptions,
): PartialIntent | Refusal {
  if (defaultRule === undefined) return {};
  const place = defaultRule(container);
  const isDefaultRule = true;
  if ("reason" in place) {
    const problem = `${place.reason}, which is neither a host name nor a path`;
    return { isDefaultRule, routes: [], problem };
  }
  const source = "--default-rule";
  return {
    isDefaultRule,
    service: { value: `${BY_RULE}${toServiceName(place.host, place.path)}`, source },
    routes: [{ ...place, source, isDefault: false, treatment: STRIPPED, rules: NO_RULES }],
  };
}

/** The name of a service that the default rule gives, which is none that an image or a label gives. */
const BY_RULE = "rule::";

/**
 * The name of a service that a label gives. An image's repository never has two colons, so it is none
 * that an image gives.
 */
const NAMED = "service::";

/** A service that is a route with servers of its own: the name of its container's, and the route's. */
const BRANCH = /^(.*)::route:([A-Za-z0-9_-]+)$/;

/** A service whose bytes are forwarded: the name of its image or label, and where, if that counts. */
const FORWARDED = /^(.*)::tcp(?::(.+))?$/;
/** Longer names of TLS are told by a digest. The name of a service is that of a backend, too. */
const LONGEST_NAMES = 100;

/**
 * The name of a service with these routes. Two databases of one image are two services if they are asked
 * for at two ports, or by other names. Where a label names the service, they are one.
 */
function forwardedAs(service: string, routes: readonly RouteIntent[]): string {
  const tcp = routes[0]?.tcp;
  if (tcp === undefined) return service;
  if (service.startsWith(NAMED)) return `${service}::tcp`;
  // No name of a backend has a star.
  const names = routes.map(({ host }) => (host === ANY_NAME ? "." : host.replace("*", "")));
  const text = names.toSorted(compare).join(":");
  const shown = text.length > LONGEST_NAMES ? digestOf(text) : text;
  return `${service}::tcp:${tcp}${shown === "" ? "" : `:${shown}`}`;
}

/** The port of the gateway from which a container's bytes are forwarded; undefined: it speaks HTTP. */
export function forwardedFrom({ routes }: Pick<Intent, "routes">): number | undefined {
  return routes[0]?.tcp;
}

/** The name of the service that a route with servers of its own is. */
function branchOf(service: string, route: string): string {
  return `${service}::route:${route}`;
}

/** Whether a service is a route with servers of its own: its containers are served elsewhere, too. */
export function isBranch(service: string): boolean {
  return BRANCH.test(service);
}

/** Whether a label gives the name of a service, or the default rule. */
export function isNamed(service: string): boolean {
  // An image may be called `service`, too.
  const [, whole = service] = BRANCH.exec(service) ?? [];
  return whole.startsWith(NAMED) || whole.startsWith(BY_RULE);
}

/** What stands before each label about the servers of a service. */
export function labelsOf(service: string, labelPrefix: string): string {
  const [, , route] = BRANCH.exec(service) ?? [];
  return route === undefined ? labelPrefix : `${labelPrefix}route.${route}.`;
}

/** The name of a service as a person knows it. */
export function titleOf(service: string): string {
  const [, whole = service, route] = BRANCH.exec(service) ?? [];
  const start = [NAMED, BY_RULE].find((each) => whole.startsWith(each)) ?? "";
  const title = whole
    .slice(start.length)
    .replace(FORWARDED, (_, name: string, at = "") => `${name} (tcp${at === "" ? "" : ` ${at}`})`);
  return route === undefined ? title : `${title} (route ${route})`;
}

/** The labels `gateway.*`, and what those of another proxy mean where the container has none. */
function fromAllLabels(container: Container, options: IntentOptions): PartialIntent | Refusal {
  const { labelPrefix, compat } = options;
  const translation = translate(container, compat);
  if (translation === undefined) return fromLabels(container, options);
  const { from, warnings } = translation;
  const own = ownLabels(container.labels, labelPrefix);
  let findSources: ReturnType<typeof createSourceFinder> | undefined;
  const labels = mergeLabels(container.labels, translation.labels, labelPrefix);
  const unserved = Object.entries(translation.labels).find(
    ([name, value]) => labels[labelPrefix + name] === value && !isServed(name, value),
  );
  if (unserved !== undefined) {
    const [name, value] = unserved;
    const shown = /^(?:.*\.)?scheme$/.test(name) ? `${name}=${value}` : name;
    const what = `${labelPrefix}${shown}${standing(name)}`;
    const reason = `its labels for ${from} ask for ${what}, which is not served yet`;
    return { reason, optedOut: false };
  }
  // Each of another proxy's routes stands alone.
  const part = fromLabels({ ...container, labels }, options, () => []);
  if ("reason" in part) {
    const isOwn = !part.optedOut || Object.hasOwn(own, "enable");
    if (isOwn) return { ...part, reason: sourced(part.reason) };
    if (translation.labels["enable"] !== "false") return part;
    const reason = [`it is left out by its labels for ${from}`, ...warnings].join("; ");
    // With a warning, nobody may have meant it.
    return { reason, optedOut: warnings.length === 0 };
  }
  const told = (part.warnings ?? []).map(sourced);
  const problem = part.problem === undefined ? {} : { problem: sourced(part.problem) };
  return { ...part, ...problem, translatedFrom: from, warnings: [...told, ...warnings] };

  /** Adds whose label it is to what is said of a label that the container does not have itself. */
  function sourced(text: string): string {
    const [, label = ""] = /^label (\S+?)(?:=|:| |$)/.exec(text) ?? [];
    const name = label.slice(labelPrefix.length);
    // What is said of a header has its name in lower case.
    const isOwn = Object.keys(own).some((each) => each.toLowerCase() === name.toLowerCase());
    if (!label.startsWith(labelPrefix) || isOwn) return text;
    return text + standing(name);
  }

  function standing(name: string): string {
    findSources ??= createSourceFinder(container, compat, translation?.labels ?? {});
    const found = findSources(name);
    return ` (it stands for ${found.length === 0 ? `labels of ${from}` : found.join(" and ")})`;
  }
}

/**
 * The labels `gateway.*`.
 * @param lacking tells what a further route lacks that the container's own has
 */
function fromLabels(
  { labels }: Container,
  { labelPrefix, onlyEnabled }: IntentOptions,
  lacking = missingPassword,
): PartialIntent | Refusal {
  const read = readLabels(labels, labelPrefix);
  if ("reason" in read) return { reason: read.reason, optedOut: false };
  const { values, route, further, warnings } = read;
  const label = (key: string): string => `label ${labelPrefix}${key}`;
  if (values.enable === false) return { reason: `${label("enable")} is false`, optedOut: true };
  if (onlyEnabled && values.enable !== true) {
    return { reason: `${label("enable")} is not true, and --only-enabled`, optedOut: true };
  }
  const { tcp } = values;
  const others = further.map((each) => readFurther(each, tcp !== undefined));
  const own =
    tcp === undefined ? readHttp(route) : readTcp(tcp, values["tcp.sni"], route, warnings);
  if ("reason" in own) return { reason: own.reason, optedOut: false };
  const alone = tcp === undefined && values["tcp.sni"] !== undefined;
  return {
    ...(values.port === undefined ? {} : { port: { value: values.port, source: label("port") } }),
    ...(values.network === undefined
      ? {}
      : { network: { value: values.network, source: label("network") } }),
    ...(values.address === undefined
      ? {}
      : { address: { value: values.address, source: label("address") } }),
    ...(values.service === undefined
      ? {}
      : { service: { value: `${NAMED}${values.service}`, source: label("service") } }),
    ...own,
    ...wishesOf(values, labelPrefix),
    further: others.flatMap(({ branch, routes }) => (branch === undefined ? routes : [])),
    branches: others.flatMap(({ branch }) => branch ?? []),
    warnings: [
      ...warnings,
      ...others.flatMap((each) => each.warnings),
      ...further.flatMap((each) => lacking(route, each)),
      ...own.warnings,
      ...(alone ? [`${label("tcp.sni")} counts for nothing without ${label("tcp")}`] : []),
    ],
  };
}

/** The labels that ask for a password. */
const PASSWORDS = ["auth", "auth.file"];

/** The label that asks for a password; undefined if none does. */
function passwordOf({ values, closed }: Rules): string | undefined {
  return PASSWORDS.find((key) => values[key] !== undefined || closed === key);
}

/** A warning if a further route is open to all, and the container's own asks for a password. */
function missingPassword(own: RouteLabels, further: RouteLabels): string[] {
  const { name, prefix, rules, reason } = further;
  const label = passwordOf(own.rules);
  if (label === undefined || reason !== undefined || passwordOf(rules) !== undefined) return [];
  return [
    `label ${own.prefix}${label} is not for route ${name}, which is open to all ` +
      `unless label ${prefix}${label} asks for a password there, too`,
  ];
}

/** What is asked for by HTTP: the route that a container has by itself, and how it is served. */
function readHttp(route: RouteLabels): OwnIntent {
  const { settings, warnings } = withoutIdle({ ...route.settings }, route.prefix);
  return { ...readOwn(route), settings, warnings: [...contradiction(route), ...warnings] };
}

type OwnIntent = PartialIntent & Required<Pick<PartialIntent, "warnings">>;

/**
 * What is asked for where bytes are forwarded.
 * @param port that of the gateway
 * @param names those of TLS; undefined: the whole port
 * @param warnings what is wrong with the labels
 */
function readTcp(
  port: number,
  names: readonly string[] | undefined,
  route: RouteLabels,
  warnings: readonly string[],
): OwnIntent | { readonly reason: string } {
  const { prefix } = route;
  const problems = warnings.map((each) => each.replace(CLOSED, ""));
  const read = tcpSettingsOf({ ...route, settings: { ...route.settings } }, problems);
  if ("reason" in read) return read;
  const { settings, rules } = read;
  const source = `label ${prefix}tcp${names === undefined ? "" : ` and label ${prefix}tcp.sni`}`;
  const rest = { path: "/", source, isDefault: false, treatment: STRIPPED, rules };
  return {
    routes: (names ?? [""]).map((host) => ({ host, tcp: port, ...rest })),
    settings,
    warnings: read.warnings,
  };
}

/** What the labels want of the container's servers. */
function wishesOf(values: Labels["values"], prefix: string): PartialIntent {
  const { weight, split, backup, maxconn, acme } = values;
  const share = split === undefined ? undefined : `${split}%`;
  const said = Object.entries({ weight, split: share, backup, maxconn, acme })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}, from label ${prefix}${name}`);
  if (said.length === 0) return {};
  return {
    server: { weight, split, backup: backup === true, maxconn, said },
    ...(acme === undefined ? {} : { certificates: acme }),
  };
}

/** The route that a container has by itself. */
function readOwn(labels: RouteLabels): PartialIntent {
  const { values, reason } = labels;
  if (reason !== undefined) return { routes: [], problem: reason };
  const treatment = treatmentOf(labels);
  if (values.host === undefined && values.path === undefined) {
    return {
      ...(treatment.source === "" ? {} : { treatment }),
      ...(labels.rules === NO_RULES ? {} : { rules: labels.rules }),
    };
  }
  return { routes: placesOf(labels, treatment) };
}

/**
 * A further route of a container.
 * @param isApart whether it has servers of its own anyway, as the container's own speak no HTTP
 */
function readFurther(
  labels: RouteLabels,
  isApart: boolean,
): {
  readonly routes: readonly RouteIntent[];
  /** If it has servers of its own. */
  readonly branch?: Branch;
  readonly warnings: readonly string[];
} {
  const { prefix, values, reason } = labels;
  const missing =
    values.host === undefined && values.path === undefined
      ? `neither label ${prefix}host nor label ${prefix}path is there`
      : undefined;
  const problem = reason ?? missing;
  if (problem !== undefined)
    return { routes: [], warnings: [`${problem}: that route is not served`] };
  const routes = placesOf(labels, treatmentOf(labels));
  const { name, port: value } = labels;
  const { settings, warnings } = withoutIdle({ ...labels.settings }, prefix);
  const about = [...contradiction(labels), ...warnings];
  const isShared = value === undefined && Object.keys(settings).length === 0;
  if (isShared && !isApart) return { routes, warnings: about };
  const port = value === undefined ? undefined : { value, source: `label ${prefix}port` };
  return { routes, warnings: about, branch: { name, routes, port, settings } };
}

/** All that is meant by several hosts and several paths. */
function placesOf({ prefix, values, rules }: RouteLabels, treatment: Treatment): RouteIntent[] {
  const { host: hosts, path: paths } = values;
  const names = [
    ...(hosts === undefined ? [] : ["host"]),
    ...(paths === undefined ? [] : ["path"]),
  ];
  const labels = names.map((name) => `label ${prefix}${name}`).join(" and ");
  return (hosts ?? [""]).flatMap((host) =>
    (paths ?? ["/"]).map((path) => {
      return { host, path, source: labels, isDefault: false, treatment, rules };
    }),
  );
}

function treatmentOf({ prefix, values: { strip, rewrite } }: RouteLabels): Treatment {
  if (rewrite !== undefined) {
    const source = `label ${prefix}rewrite`;
    return { strip: true, rewrite: rewrite === "/" ? "" : rewrite, source };
  }
  return strip === undefined ? STRIPPED : { strip, rewrite: "", source: `label ${prefix}strip` };
}

/** A warning if a prefix is to be left on, and to be replaced. */
function contradiction({ prefix, values }: RouteLabels): string[] {
  if (values.strip !== false || values.rewrite === undefined) return [];
  return [`label ${prefix}strip=false counts for nothing beside label ${prefix}rewrite`];
}
