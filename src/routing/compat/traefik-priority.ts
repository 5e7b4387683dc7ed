// Which of Traefik's routers gets a request that several of them match.
//
// Traefik takes the router with the highest priority, which is the length of its rule where nobody
// says one. Here the more exact host wins, and then the longer path. Where the two differ, the routes
// are changed so that the same router serves the request: it may be the one that asks for a password.

import { compare } from "../../lib/text.ts";
import type { Notes, Theirs } from "./notes.ts";
import { CLOSED, keyOf, mainFirst, MOST_DRAFTS, withSettings, type Draft } from "./routes.ts";
import type { Options } from "./traefik-labels.ts";
import { hostIsWithin, isWithin } from "./values.ts";

/** What one router asks for. */
export interface RouterDrafts {
  readonly name: string;
  readonly rule: Theirs;
  /** 0: the length of its rule. */
  readonly priority: number;
  /** The names of Traefik's listeners; empty: all. */
  readonly listeners: ReadonlySet<string>;
  readonly protects: boolean;
  /** Whether it only sends requests elsewhere. */
  readonly redirects: boolean;
  readonly drafts: readonly Draft[];
}

/** The priority that a label says; 0 if none does. */
export function priorityOf(options: Options): number {
  const said = options.get("priority")?.value.trim() ?? "";
  return /^-?\d{1,19}$/.test(said) ? Number(said) : 0;
}

/** The routes of all routers, as Traefik would choose among them. */
export function byPriority(all: readonly RouterDrafts[], notes: Notes): readonly Draft[] {
  const routers = all.filter(({ drafts }) => drafts.length > 0);
  const asked = routers.flatMap(({ drafts }) => drafts);
  if (asked.length > MOST_DRAFTS) return tooMany(asked, notes);
  const reached = routers.map((router) => ({
    ...router,
    drafts: router.drafts.filter((draft) => !isCovered(draft, router, routers)),
  }));
  const drafts = [...withoutConflicts(reached, notes), ...overtaking(reached)];
  if (drafts.length > MOST_DRAFTS) return tooMany(drafts, notes);
  const order = new Map(routers.map(({ name }, index) => [name, index]));
  const placeOf = ({ name }: Draft): number => order.get(name) ?? 0;
  return mainFirst(drafts.toSorted((a, b) => placeOf(a) - placeOf(b)));
}

/** What is left out may be what protects, so what is left lets nobody in. */
function tooMany(drafts: readonly Draft[], notes: Notes): readonly Draft[] {
  notes.warnOfAll("it has too many routes, so nobody gets in");
  return withSettings(drafts.slice(0, MOST_DRAFTS), CLOSED);
}

function effective({ priority, rule }: RouterDrafts): number {
  return priority === 0 ? rule.value.length : priority;
}

/** Whether requests to one router may come to the other one first. */
function goesBefore(other: RouterDrafts, router: RouterDrafts): boolean {
  if (other === router || effective(other) <= effective(router)) return false;
  const { listeners } = router;
  const isShared = other.listeners.size === 0 || listeners.size === 0;
  return isShared || other.listeners.values().some((each) => listeners.has(each));
}

/** Whether another router listens wherever a router does. */
function listensWherever({ listeners }: RouterDrafts, router: RouterDrafts): boolean {
  if (listeners.size === 0) return true;
  return (
    router.listeners.size > 0 && router.listeners.values().every((each) => listeners.has(each))
  );
}

/** Whether another router takes all requests of a draft. */
function isCovered(draft: Draft, router: RouterDrafts, routers: readonly RouterDrafts[]): boolean {
  return routers.some(
    (other) =>
      goesBefore(other, router) &&
      listensWherever(other, router) &&
      other.drafts.some(
        (wider) =>
          wider.derived !== true &&
          wider.exact !== true &&
          hostIsWithin(draft.host, wider.host) &&
          isWithin(draft.path, wider.path),
      ),
  );
}

/** Routes of a wider host that go before the shorter path of a more exact one. */
function overtaking(routers: readonly RouterDrafts[]): readonly Draft[] {
  const added = new Map<string, Draft>();
  // The last one for a pair counts.
  for (const other of routers.toSorted((a, b) => byStrength(b, a))) {
    for (const router of routers) {
      if (added.size > MOST_DRAFTS || !goesBefore(other, router)) continue;
      for (const { host, path } of router.drafts) {
        for (const wider of other.drafts) {
          const isWider = host !== wider.host && hostIsWithin(host, wider.host);
          if (!isWider || !isWithin(wider.path, path)) continue;
          const draft = { ...wider, host, derived: true };
          if (!isCovered(draft, other, routers)) added.set(keyOf(draft), draft);
        }
      }
    }
  }
  return [...added.values()];
}

/** The strongest first: of two with one priority, the one that protects. */
function byStrength(a: RouterDrafts, b: RouterDrafts): number {
  return (
    effective(b) - effective(a) ||
    Number(b.protects) - Number(a.protects) ||
    compare(a.name, b.name)
  );
}

/**
 * Of routers with the same pair, the strongest one is served. One that only sends requests to
 * https gives that to the other, which Traefik has on another listener.
 */
function withoutConflicts(routers: readonly RouterDrafts[], notes: Notes): readonly Draft[] {
  const strongestFirst = routers.toSorted(
    (a, b) =>
      Number(a.redirects) - Number(b.redirects) ||
      Number(b.protects) - Number(a.protects) ||
      byStrength(a, b),
  );
  const byPair = new Map<string, Draft>();
  for (const { drafts, rule, redirects } of strongestFirst) {
    for (const draft of drafts) {
      const key = keyOf(draft);
      const winner = byPair.get(key);
      if (winner === undefined || winner.derived === true) byPair.set(key, draft);
      else if (redirects) byPair.set(key, withRedirect(winner, draft));
      else if (draft.derived !== true && winner.name !== draft.name) {
        notes.warn(rule, `the router ${winner.name} serves the same`, "host", "path");
      }
    }
  }
  return [...byPair.values()];
}

function withRedirect(draft: Draft, { settings }: Draft): Draft {
  const { redirect, "redirect.code": code } = settings;
  if (redirect === undefined || code === undefined) return draft;
  return { ...draft, settings: { redirect, "redirect.code": code, ...draft.settings } };
}
