// The grammar of the labels: one row each. Reads and checks the labels of a container by it.

import { distance } from "fastest-levenshtein";
import { compare } from "../lib/text.ts";
import { durationOf } from "../lib/durations.ts";
import {
  parseAuthority,
  parseBalance,
  parseCookieName,
  parseFlag,
  parseFolder,
  parseSameSite,
  parseScheme,
  parseScript,
  parseServerName,
  parseStatuses,
  parseTarget,
} from "./settings/servers.ts";
import { parseUser, USER_FORM, usersOf } from "./settings/auth.ts";
import { parseHsts } from "./settings/hsts.ts";
import { mtlsOf, parseMtls } from "./settings/mtls.ts";
import { parseRedirect, parseRedirectCode } from "./settings/redirect.ts";
import { parseBurst, parseRate } from "./settings/rate.ts";
import { parseAllow, parseSize } from "./settings/body.ts";
import { parseHeaderName, parseMaxAge, parseMethod, parseOrigins } from "./settings/cors.ts";
import { isErrorLabel, whyNoErrorLabel } from "./settings/errors.ts";
import { headerKey, parseHeaderValue, whyNoHeader } from "./settings/headers.ts";
import { withoutIdleRules } from "./settings/idle.ts";
import { parseTlsName } from "./settings/tcp.ts";
import { trustOf } from "./settings/trust.ts";
import { parseNetwork } from "../lib/networks.ts";
import { hasRules, NO_RULES, type Rules, type Settings } from "../model.ts";
import {
  listed,
  one,
  parseAddress,
  parseCertificates,
  parseFile,
  parseHost,
  parseMaxconn,
  parsePath,
  parsePort,
  parseQueue,
  parseServiceName,
  parseShare,
  parseSwitch,
  parseText,
  parseWeight,
  several,
  type Parser,
} from "./values.ts";

/** The beginning of all labels, where `--label-prefix` says nothing else. */
export const LABEL_PREFIX = "gateway.";

const NETWORKS = "an address or a network, such as 10.0.0.0/8 or fd00::/8";

/** The end of a warning about a label that keeps somebody out, and is wrong. */
export const CLOSED = ": the route answers 503 until it is right";

/** In milliseconds. */
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/**
 * What an invalid value costs. `container`: the container is not routed, as it would be something else
 * than its label wants. `route`: the same for one route. `answer`: nobody may use the route, as the label
 * keeps somebody out. `setting`: the label counts as missing.
 */
type Cost = "container" | "route" | "answer" | "setting";

interface Row<T> {
  readonly parse: Parser<T>;
  /** What is allowed, as the end of "is not ...". */
  readonly allowed: string;
  readonly cost: Cost;
  /** What may be shown of a value; undefined: all of it. */
  readonly shown?: (text: string) => string;
}

/** The labels of a container as a whole. */
const OF_CONTAINER = {
  enable: row(one(parseSwitch), "true or false", "container"),
  port: row(one(parsePort), "a port number (1 to 65535)", "container"),
  network: row(one(parseText), "the name of a network", "container"),
  address: row(one(parseAddress), "an address, such as 192.0.2.7", "container"),
  service: row(
    one(parseServiceName),
    "a name of letters, digits, dots, hyphens and underscores (at most 63)",
    "container",
  ),
  weight: row(one(parseWeight), "a weight (0 to 256)", "setting"),
  backup: row(one(parseSwitch), "true or false", "setting"),
  split: row(one(parseShare), "a share of the requests (1% to 99%)", "container"),
  maxconn: row(one(parseMaxconn), "a number of requests (1 to 1000000)", "setting"),
  acme: row(one(parseCertificates), "together or off", "setting"),
  tcp: row(one(parsePort), "a port number (1 to 65535)", "container"),
  "tcp.sni": row(
    several(parseTlsName),
    "a name of TLS, such as db.example.com, a wildcard, such as *.example.com, or * for any other",
    "container",
  ),
};

/** The labels of a route. A further route has the same ones, as `route.NAME.host` and so on. */
const OF_ROUTE = {
  host: row(
    several(parseHost),
    "a host name, such as shop.example.com, or a wildcard, such as *.example.com",
    "route",
  ),
  path: row(several(parsePath), "a path, such as /shop or /", "route"),
  strip: row(one(parseSwitch), "true or false", "setting"),
  // Without it the container would show more than its label wants.
  rewrite: row(one(parsePath), "a path, such as /app", "route"),
};

/** Of a further route: the container's own is one of the container. */
const OF_PORT = { port: row(one(parsePort), "a port number (1 to 65535)", "route") };

/** The labels of how HAProxy treats the servers of a route. They are the settings of its service. */
const OF_SERVERS = {
  balance: row(
    one(parseBalance),
    "roundrobin, leastconn, source, random, hash:HEADER or hash:cookie:NAME",
    "setting",
  ),
  check: row(one(parseTarget), "a path, such as /health", "setting"),
  "check.interval": row(one(durationOf(100, HOUR)), "a time, such as 10s (100ms to 1h)", "setting"),
  "check.status": row(one(parseStatuses), "a status, or several, such as 200-299,401", "setting"),
  "check.host": row(one(parseAuthority), "a host name, such as shop.example.com", "setting"),
  scheme: row(one(parseScheme), "http, https, h2c, h2 or fcgi", "setting"),
  "fcgi.root": row(one(parseFolder), "the path of a folder, such as /var/www/html", "setting"),
  "fcgi.index": row(one(parseScript), "the name of a script, such as index.php", "setting"),
  // Who wants a certificate to be verified must not get less.
  "https.verify": row(one(parseFlag), "true or false", "route"),
  "https.ca": row(one(parseFile), "the path of a file, such as /srv/ca.pem", "route"),
  "https.sni": row(one(parseServerName), "a host name, such as shop.example.com", "setting"),
  sticky: row(
    one(parseCookieName),
    "the name of a cookie: letters, digits, dots, hyphens and underscores (at most 60)",
    "setting",
  ),
  "sticky.secure": row(one(parseFlag), "true or false", "setting"),
  "sticky.samesite": row(one(parseSameSite), "lax, strict or none", "setting"),
  slowstart: row(one(durationOf(1_000, HOUR)), "a time, such as 30s (1s to 1h)", "setting"),
  compress: row(one(parseFlag), "true or false", "setting"),
  timeout: row(one(durationOf(1, HOUR)), "a time, such as 90s or 5m (1ms to 1h)", "setting"),
  // It is also the pause between two tries of a request that waits: a shorter one costs a core.
  "timeout.connect": row(one(durationOf(50, HOUR)), "a time, such as 2s (50ms to 1h)", "setting"),
  "timeout.tunnel": row(one(durationOf(1, DAY)), "a time, such as 12h (1ms to 1d)", "setting"),
  queue: row(
    one(parseQueue),
    "a time, such as 30s (1ms to 1h), or a number (0 to 100000)",
    "setting",
  ),
};

/** The labels of how the requests and answers of a route are treated. */
const OF_RULES = {
  allow: row(listed(parseNetwork), NETWORKS, "answer"),
  deny: row(listed(parseNetwork), NETWORKS, "answer"),
  auth: {
    ...row(listed(parseUser), `a ${USER_FORM}`, "answer"),
    shown: usersOf,
  },
  "auth.file": row(one(parseFile), "the path of a file, such as /srv/users", "answer"),
  "auth.forward": row(one(parseFlag), "true or false", "setting"),
  mtls: row(one(parseMtls), "required or optional", "answer"),
  "mtls.ca": row(one(parseFile), "the path of a file, such as /srv/clients.pem", "answer"),
  "mtls.crl": row(one(parseFile), "the path of a file, such as /srv/revoked.pem", "answer"),
  rate: row(
    one(parseRate),
    "a number of requests in a time of 1s to 1h, such as 100/1m",
    "setting",
  ),
  "rate.burst": row(one(parseBurst), "a number of requests (1 to 1000000)", "setting"),
  body: row(
    one(parseSize),
    "a size, such as 10m (k, m and g are 1024, 1024² and so on)",
    "setting",
  ),
  "body.unknown": row(one(parseAllow), "allow", "setting"),
  cors: row(parseOrigins, "an origin, such as https://shop.example.com, or * for all", "setting"),
  "cors.methods": row(listed(parseMethod), "a method, such as PUT", "setting"),
  "cors.headers": row(listed(parseHeaderName), "the name of a header, such as X-User", "setting"),
  "cors.credentials": row(one(parseFlag), "true or false", "setting"),
  "cors.maxage": row(one(parseMaxAge), "a time, such as 1h (up to 1d)", "setting"),
  redirect: row(
    one(parseRedirect),
    "https, a host name such as shop.example.com, both as https://shop.example.com, or none",
    "setting",
  ),
  hsts: row(
    one(parseHsts),
    "a time such as 1y or 30d, perhaps with subdomains and preload as in 1y, subdomains, preload",
    "setting",
  ),
  "redirect.code": row(one(parseRedirectCode), "301, 302, 307 or 308", "setting"),
};

/** The labels of headers, which have any name: `headers.request.X-User`. */
const HEADER = row(
  one(parseHeaderValue),
  "a text of up to 2000 printable ASCII characters",
  "setting",
);

/** The labels of pages for a status, such as `errors.404`, which are settings of the servers. */
const ERROR = row(one(parseFile), "the path of a file, such as /srv/pages/404.html", "setting");

/** All labels that a route may have. */
const OF_ANY_ROUTE = { ...OF_ROUTE, ...OF_PORT, ...OF_SERVERS, ...OF_RULES };

/**
 * All labels of a container and of the route that it has by itself, without what they begin with. Those of
 * headers and of pages have a part of the user's naming, and are not among them.
 */
export const LABELS: readonly string[] = [
  ...new Set([...Object.keys(OF_CONTAINER), ...Object.keys(OF_ANY_ROUTE)]),
];

function row<T>(parse: Parser<T>, allowed: string, cost: Cost): Row<T> {
  return { parse, allowed, cost };
}

type Table = Readonly<Record<string, Row<unknown>>>;
type ValuesOf<T extends Table> = {
  readonly [K in keyof T]?: T[K] extends Row<infer V> ? V : never;
};

/** The labels of one route. */
export interface RouteLabels {
  /** Empty: it is the one that the container has by itself. */
  readonly name: string;
  /** What stands before each label of it, such as `gateway.` or `gateway.route.api.`. */
  readonly prefix: string;
  readonly values: ValuesOf<typeof OF_ROUTE>;
  /** Its own; undefined: the container's. */
  readonly port: number | undefined;
  /**
   * How HAProxy treats its servers. A further route with any of these, or with a port, has servers of its
   * own and takes none of these labels from its container.
   */
  readonly settings: ValuesOf<typeof OF_SERVERS>;
  /** How its requests and answers are treated. A further route takes none of these from its container. */
  readonly rules: Rules;
  /** Why the route must not be made; undefined if nothing is wrong. */
  readonly reason: string | undefined;
}

/** The labels of a container. */
export interface Labels {
  readonly values: ValuesOf<typeof OF_CONTAINER>;
  /** The route that the container has by itself. */
  readonly route: RouteLabels;
  /** Its further routes, by name. */
  readonly further: readonly RouteLabels[];
  /** One for each value that is wrong, and for each label that is not known. */
  readonly warnings: readonly string[];
}

/** Why the labels of a container are refused. */
export interface InvalidLabels {
  readonly reason: string;
}

/**
 * Whether a label is one that is served, with such a value. What keeps nobody out and is wrong is told, and
 * does no harm: that counts as served.
 * @param name without the prefix of all labels
 */
export function isServed(name: string, value: string): boolean {
  const { routeName, key } = takeApart(name, "");
  if (headerKey(key) !== undefined) return true;
  const table: Table = routeName === "" ? { ...OF_CONTAINER, ...OF_ANY_ROUTE } : OF_ANY_ROUTE;
  const entry = Object.hasOwn(table, key) ? table[key] : undefined;
  if (entry === undefined) return false;
  return key !== "scheme" || entry.parse(value).value !== undefined;
}

/** Reads the labels of a container that begin with a prefix, such as `gateway.`. */
export function readLabels(
  labels: Readonly<Record<string, string>>,
  prefix: string = LABEL_PREFIX,
): Labels | InvalidLabels {
  const warnings: string[] = [];
  const container = new Reading(OF_CONTAINER, prefix);
  const routes = new Map([["", new Reading(OF_ANY_ROUTE, prefix)]]);
  // Docker lists labels in any order.
  for (const [label, text] of Object.entries(labels).toSorted(([a], [b]) => compare(a, b))) {
    const { routeName, key } = takeApart(label, prefix);
    const known =
      routes.get(routeName) ?? new Reading(OF_ANY_ROUTE, `${prefix}route.${routeName}.`);
    const header = headerKey(key);
    const isOfContainer = routeName === "" && Object.hasOwn(OF_CONTAINER, key);
    if (isOfContainer) warnings.push(...container.take(key, text));
    else if (header !== undefined) {
      warnings.push(...known.takeHeader(header, label, text));
      routes.set(routeName, known);
    } else if (Object.hasOwn(OF_ANY_ROUTE, key) || isErrorLabel(key)) {
      warnings.push(...known.take(key, text));
      routes.set(routeName, known);
    } else warnings.push(...spellingWarnings(label, prefix));
  }
  const reason = container.reason("container");
  if (reason !== undefined) return { reason };
  const [route, ...further] = [...routes].map(([name, each]) => each.route(name));
  warnings.push(...[...routes.values()].flatMap((each) => each.warnings));
  return {
    values: container.values,
    route: route ?? {
      name: "",
      prefix,
      values: {},
      port: undefined,
      settings: {},
      rules: NO_RULES,
      reason: undefined,
    },
    further,
    warnings,
  };
}

/** The values of labels that have one prefix. */
class Reading {
  readonly values: Record<string, unknown> = {};
  /** About labels that mean nothing without others. */
  readonly warnings: string[] = [];
  /** What is wrong with a label whose value counts for nothing. */
  readonly #refused: { readonly cost: Cost; readonly text: string }[] = [];
  #closed = "";

  constructor(
    private readonly table: Table,
    private readonly prefix: string,
  ) {}

  /** Reads the label of a header. Returns the warnings about it. */
  takeHeader(key: string, label: string, text: string): string[] {
    const why = whyNoHeader(key, Object.keys(this.values));
    return why === undefined
      ? this.take(key, text, HEADER)
      : [`label ${plain(label)} counts for nothing: it is about a header that ${why}`];
  }

  /** Reads the value of a label. Returns the warnings about it. */
  take(key: string, text: string, entry = this.#rowOf(key)): string[] {
    if (entry === undefined) return [];
    const { value, wrong } = entry.parse(text);
    const shown = (word: string): string => quote(entry.shown?.(word) ?? word);
    const label = `label ${this.prefix}${key}=${shown(text.trim())}`;
    const problems = wrong.map((word) =>
      word === text.trim()
        ? `${label} is not ${entry.allowed}`
        : `${label}: ${shown(word)} is not ${entry.allowed}`,
    );
    if (entry.cost === "answer" && problems.length > 0) {
      this.#closed = key;
      return problems.map((problem) => `${problem}${CLOSED}`);
    }
    if (value !== undefined) this.values[key] = value;
    else if (entry.cost !== "setting") {
      this.#refused.push({ cost: entry.cost, text: problems[0] ?? label });
      return [];
    }
    const isLeft = value === undefined ? "the label counts for nothing" : "it is left out";
    return problems.map((problem) => `${problem}: ${isLeft}`);
  }

  #rowOf(key: string): Row<unknown> | undefined {
    return isErrorLabel(key) ? ERROR : this.table[key];
  }

  /** Why what is read here must not be served. */
  reason(cost: Cost): string | undefined {
    return this.#refused.find((each) => each.cost === cost)?.text;
  }

  route(name: string): RouteLabels {
    const { prefix } = this;
    const { port }: ValuesOf<typeof OF_PORT> = this.#valuesIn(OF_PORT);
    const values: ValuesOf<typeof OF_ROUTE> = this.#valuesIn(OF_ROUTE);
    const trust = trustOf(this.#valuesIn(OF_SERVERS) as Settings, prefix);
    const settings = "reason" in trust ? {} : trust.settings;
    const reason = this.reason("route") ?? ("reason" in trust ? trust.reason : undefined);
    return { name, prefix, values, port, settings, rules: this.#rules(), reason };
  }

  #rules(): Rules {
    const said: ValuesOf<typeof OF_RULES> = this.#valuesIn(OF_RULES);
    const headers = Object.entries(this.values).filter(([key]) => headerKey(key) !== undefined);
    const all = { ...said, ...(Object.fromEntries(headers) as Rules["values"]) };
    const { values: own, warnings } = withoutIdleRules(all, this.prefix);
    this.warnings.push(...warnings);
    const mtls = mtlsOf(own, this.prefix);
    // What is wrong with a value is told already.
    const problem = this.#closed === "" ? mtls.problem : undefined;
    if (problem !== undefined) this.warnings.push(`${problem}${CLOSED}`);
    const closed = problem === undefined ? this.#closed : "mtls";
    const rules = { values: mtls.values, closed, prefix: this.prefix };
    return hasRules(rules) ? rules : NO_RULES;
  }

  #valuesIn(table: Table): Record<string, unknown> {
    return Object.fromEntries(
      Object.entries(this.values).filter(
        ([key]) => Object.hasOwn(table, key) || (table === OF_SERVERS && isErrorLabel(key)),
      ),
    );
  }
}

/** The name of the route that a label is about, empty for the container's own, and the rest. */
function takeApart(label: string, prefix: string): { routeName: string; key: string } {
  if (!label.startsWith(prefix)) return { routeName: "", key: "" };
  const name = label.slice(prefix.length);
  const [, routeName, key] = /^route\.([A-Za-z0-9_-]+)\.(.+)$/.exec(name) ?? ["", "", name];
  return { routeName: routeName ?? "", key: key ?? "" };
}

/** A warning about a label that is none of these, but looks as if it should be. */
function spellingWarnings(label: string, prefix: string): string[] {
  const stem = prefix.slice(0, -1);
  if (!label.startsWith(stem)) return [];
  const { routeName, key: own } = takeApart(label, prefix);
  const noPage = label.startsWith(prefix) ? whyNoErrorLabel(own) : undefined;
  if (noPage !== undefined) return [`label ${plain(label)} counts for nothing: ${noPage}`];
  const ofRoute = Object.keys(OF_ANY_ROUTE);
  const known =
    routeName === ""
      ? LABELS.map((key) => prefix + key)
      : ofRoute.map((key) => `${prefix}route.${routeName}.${key}`);
  // At most two typing errors. With more differences it is a label of another program.
  const meant = known.find((each) => distance(each, label) <= 2);
  if (meant !== undefined) return [`label ${plain(label)} is unknown, ${meant} was probably meant`];
  return label.startsWith(prefix) ? [`label ${plain(label)} is unknown`] : [];
}

/** So much of a text is shown. A label may be of any length. */
const SHOWN = 200;

/** A text in quotes, on one line. */
function quote(text: string): string {
  return JSON.stringify(text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text);
}

/** The name of a label as it is, or in quotes if it has something that a line of a log should not. */
function plain(label: string): string {
  return /^[\w.:/@-]{1,200}$/.test(label) ? label : quote(label);
}
