// What the template needs to write the rules of routes: who uses which, and the entries of their maps.

import { WeakCache } from "../lib/weak-cache.ts";
import { digestOf } from "../lib/digest.ts";
import { compare } from "../lib/text.ts";
import type { Route } from "../model.ts";
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
}

/** Somebody who may use a route with a password. */
interface User {
  /** The ID of the route, a `>` and the name. */
  readonly name: string;
  /** The hash of the password. */
  readonly password: string;
}

/** The words that a mark may have. */
const MARKS = ["closed", "allow", "deny", "auth", "forward"] as const;
type Mark = (typeof MARKS)[number];

/** The label of a mark that is called otherwise. */
const LABELS: Partial<Record<Mark, string>> = { forward: "auth.forward" };

const marked = new WeakCache<Route, MarkedRoute>();

/** Marks the routes that have rules. */
export function markRoutes(routes: readonly Route[]): readonly MarkedRoute[] {
  return marked.getAll(routes, (route) => {
    const words = marksOf(route);
    return { ...route, mark: words.length === 0 ? "" : `~${[idOf(route), ...words].join("~")}~` };
  });
}

/** What templates need for the rules of these routes. */
export function toRulesContext(routes: readonly Route[]): RulesContext {
  const own = routes
    .filter((route) => marksOf(route).length > 0)
    .map((route) => ({ id: idOf(route), ...route.rules, marks: marksOf(route) }))
    .toSorted((a, b) => compare(a.id, b.id));
  const all = new Set(own.flatMap(({ marks }) => marks));
  return {
    used: Object.fromEntries(MARKS.map((mark) => [mark, all.has(mark)])) as RulesContext["used"],
    any: own.length > 0,
    networks: networkEntries(own),
    users: own.flatMap(usersOf),
  };
}

/** The users of a route. Of two with one name the first counts: HAProxy would complain. */
function usersOf({ id, values: { auth = "" } }: { id: string; values: Route["rules"]["values"] }) {
  const users = new Map<string, string>();
  for (const word of auth.split(",").filter(Boolean)) {
    const [name = "", password = ""] = word.split(":");
    if (!users.has(name)) users.set(name, password);
  }
  return [...users].map(([name, password]): User => ({ name: `${id}>${name}`, password }));
}

function marksOf({ rules: { values, closed } }: Route): Mark[] {
  // Where nobody may come in, nothing else matters.
  if (closed !== "") return ["closed"];
  return MARKS.filter((mark) => values[LABELS[mark] ?? mark] !== undefined);
}

/** Stands for a route in maps and names. */
function idOf({ key }: Route): string {
  return digestOf(key);
}
