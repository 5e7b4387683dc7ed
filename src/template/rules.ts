// What the template needs to write the rules of routes: who uses which, and the entries of their maps.

import { ListCache } from "../lib/weak-cache.ts";
import { millisecondsOf } from "../lib/durations.ts";
import { digestOf } from "../lib/digest.ts";
import { compare } from "../lib/text.ts";
import { hasRules, NO_REDIRECT, type Authorities, type Files, type Route } from "../model.ts";
import { asksClients, authorityNames, trustOf } from "./clients.ts";
import { networkEntries } from "./networks.ts";

/** A route as templates see it. */
export interface MarkedRoute extends Route {
  /** Stands behind its backend in the map, as `~ID~allow~deny~`; empty if it has no rules. */
  readonly mark: string;
}

/** An entry of a map. */
export interface Entry {
  readonly key: string;
  readonly value: string;
}

/** What templates see of the rules of all routes. */
export interface RulesContext {
  /** The names of the settings that somebody uses, as `allow`. */
  readonly used: Readonly<Record<Mark, boolean>>;
  /** Whether there are any at all. */
  readonly any: boolean;
  /** The networks, with the routes that they may or may not use. */
  readonly networks: readonly Entry[];
  readonly users: readonly User[];
  /** The names of all headers that are set, or taken off, in each direction. */
  readonly headers: { readonly request: readonly string[]; readonly response: readonly string[] };
  /** What is looked up by the ID of a route and a word. */
  readonly options: readonly Entry[];
}

/** Somebody who may use a route with a password. */
interface User {
  /** The ID of the route, a `>` and the name. */
  readonly name: string;
  /** The hash of the password. */
  readonly password: string;
}

/** The words that a mark may have. */
const MARKS = [
  "closed",
  "allow",
  "deny",
  "redirect",
  "plain",
  "mtls",
  "required",
  "hsts",
  "rate",
  "cors",
  "credentials",
  "auth",
  "forward",
  "body",
  "unknown",
  "request",
  "response",
] as const;
type Mark = (typeof MARKS)[number];

/** The label of a mark that is called otherwise. With a dot at its end it is the beginning of several. */
const LABELS: Partial<Record<Mark, string>> = {
  forward: "auth.forward",
  credentials: "cors.credentials",
  unknown: "body.unknown",
  request: "headers.request.",
  response: "headers.response.",
};

const [marked, allMarked] = [
  new ListCache<Route, MarkedRoute>(),
  new ListCache<Route, MarkedRoute>(),
];

/** Marks the routes that have rules. @param all whether the others get a mark, too: `~ID~` */
export function markRoutes(routes: readonly Route[], all: boolean): readonly MarkedRoute[] {
  return (all ? allMarked : marked).getAll(routes, (route) => ({
    ...route,
    mark: markOf(route) || (all ? `~${idOf(route)}~` : ""),
  }));
}

/** What stands behind the backend of a route in a map; empty if the route has no rules. */
export function markOf(route: Route): string {
  const words = marksOf(route);
  return words.length === 0 ? "" : `~${[idOf(route), ...words].join("~")}~`;
}

/** The labels that keep somebody out. */
const GUARDS = ["allow", "deny", "auth", "mtls"];

/**
 * Finds the routes with a label that keeps somebody out of which files say nothing: the template that made
 * them would let everybody in.
 * @returns each with that label, without what stands before it
 */
export function unheededGuards(
  routes: readonly Route[],
  { config, assets }: Files,
): readonly { readonly route: Route; readonly label: string }[] {
  const texts = [config, ...Object.values(assets).map(({ text }) => text)];
  return routes.flatMap((route) => {
    const { closed, values } = route.rules;
    const label = closed || GUARDS.find((each) => values[each] !== undefined);
    if (label === undefined) return [];
    // Where clients show certificates, HAProxy must be told whose.
    const needed = [markOf(route), ...(asksClients(route) ? authorityNames(route) : [])];
    return needed.every((each) => texts.some((text) => text.includes(each)))
      ? []
      : { route, label };
  });
}

/** What templates need for the rules of these routes. */
export function toRulesContext(routes: readonly Route[]): RulesContext {
  const own = routes
    .filter(({ rules }) => hasRules(rules))
    .filter((route) => marksOf(route).length > 0)
    .map((route) => ({ id: idOf(route), ...route.rules, marks: marksOf(route) }))
    .toSorted((a, b) => compare(a.id, b.id));
  const all = new Set(own.flatMap(({ marks }) => marks));
  return {
    used: Object.fromEntries(MARKS.map((mark) => [mark, all.has(mark)])) as RulesContext["used"],
    any: own.length > 0,
    networks: networkEntries(own),
    users: own.flatMap(usersOf),
    headers: { request: headersOf(own, "request"), response: headersOf(own, "response") },
    options: own.flatMap(optionsOf),
  };
}

/** A route with rules. */
interface Ruled {
  readonly id: string;
  readonly values: Route["rules"]["values"];
  readonly authorities?: Authorities;
}

function headersOf(routes: readonly Ruled[], way: "request" | "response"): string[] {
  const start = `headers.${way}.`;
  const labels = new Set(routes.flatMap(({ values }) => Object.keys(values)));
  return [...labels]
    .filter((label) => label.startsWith(start))
    .map((label) => label.slice(start.length))
    .toSorted(compare);
}

/**
 * What is looked up for a route. Each value begins with a `=`, so that it is never taken for the name of a
 * backend.
 */
function optionsOf({ id, values, authorities }: Ruled): Entry[] {
  // HAProxy decodes a text as it does a URL.
  const headers = Object.entries(values)
    .filter(([label]) => label.startsWith("headers."))
    .map(([label, value]) => [label, encodeURIComponent(value)] as const);
  const { body } = values;
  const size = body === undefined ? [] : [["body", body] as const];
  const hsts =
    values["hsts"] === undefined ? [] : [["hsts", encodeURIComponent(values["hsts"])] as const];
  const mtls = values["mtls"] === undefined ? [] : [["mtls", trustOf(authorities)] as const];
  return [
    ...headers,
    ...redirectOf(values),
    ...rateOf(values),
    ...corsOf(values),
    ...size,
    ...hsts,
    ...mtls,
  ]
    .map(([word, value]) => ({ key: `${id}:${word}`, value: `=${value}` }))
    .toSorted((a, b) => compare(a.key, b.key));
}

/** What a page may send where no label says so: all that is usual. */
const METHODS = "GET,HEAD,POST,PUT,PATCH,DELETE";
/** Browsers remember an answer for so many seconds by themselves (Fetch, section 4.8). */
const MAX_AGE = "5";

/** An entry for each origin, and `METHODS|MAX AGE|HEADERS`, where no headers are all that are asked for. */
function corsOf(values: Ruled["values"]): [string, string][] {
  const { cors, "cors.methods": methods = METHODS, "cors.headers": headers = "" } = values;
  if (cors === undefined) return [];
  const age = values["cors.maxage"] ?? MAX_AGE;
  const origins = cors.split(",").map((origin): [string, string] => [`cors:${origin}`, ""]);
  return [["cors", [methods, age, headers].join("|")], ...origins];
}

/** Microseconds of the units in which HAProxy counts. With 31 bits the first one is 5.9 hours. */
const [FINE, COARSE] = [10, 10_000];
/** With a coarser unit where it takes longer than this, in milliseconds, until a client may go on at once. */
const LONG = 5 * 3_600_000;

/**
 * `EVERY|AHEAD|UNIT|SECOND`: each request is worth a time, and that of a client may be so far ahead of the
 * clock. The times are in a unit of so many microseconds, and a second has so many units.
 */
function rateOf({ rate, "rate.burst": burst }: Ruled["values"]): [string, string][] {
  if (rate === undefined) return [];
  const [count = "1", period = ""] = rate.split("/");
  const every = (millisecondsOf(period) ?? 0) / Number(count);
  const ahead = every * (Number(burst ?? count) - 1);
  const unit = ahead > LONG ? COARSE : FINE;
  const times = [every, ahead].map((ms) => Math.max(1, Math.round((ms * 1_000) / unit)));
  return [["rate", [...times, unit, 1_000_000 / unit].join("|")]];
}

/** `SCHEME|HOST|STATUS`, where an empty scheme or host is the one of the request. */
function redirectOf(values: Ruled["values"]): [string, string][] {
  const { redirect, "redirect.code": code = "307" } = values;
  if (redirect === undefined || redirect === NO_REDIRECT) return [];
  const [, scheme = "", host = ""] = /^(https)?(?:$|:\/\/)?(.*)$/.exec(redirect) ?? [];
  return [["redirect", `${scheme}|${host}|${code}`]];
}

/** The users of a route. Of two with one name the first counts: HAProxy would complain. */
function usersOf({ id, values: { auth = "" } }: Ruled): User[] {
  const users = new Map<string, string>();
  for (const word of auth.split(",").filter(Boolean)) {
    const [name = "", password = ""] = word.split(":");
    if (!users.has(name)) users.set(name, password);
  }
  return [...users].map(([name, password]) => ({ name: `${id}>${name}`, password }));
}

const NO_MARKS: readonly Mark[] = [];

function marksOf({ rules }: Route): readonly Mark[] {
  if (!hasRules(rules)) return NO_MARKS;
  const { values, closed } = rules;
  // Where nobody may come in, nothing else matters.
  if (closed !== "") return ["closed"];
  const labels = Object.keys(values);
  return MARKS.filter((mark) => {
    if (mark === "plain") return values["redirect"] === NO_REDIRECT;
    if (mark === "required") return values["mtls"] === "required";
    if (mark === "redirect" && values["redirect"] === NO_REDIRECT) return false;
    const label = LABELS[mark] ?? mark;
    return label.endsWith(".")
      ? labels.some((each) => each.startsWith(label))
      : values[label] !== undefined;
  });
}

/** Stands for a route in maps and names. */
export function idOf({ key }: Route): string {
  return digestOf(key);
}
