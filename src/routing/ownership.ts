// Whose route it is, if several services ask for it: that of the service whose container was there first.

import { compare } from "../lib/text.ts";
import { titleOf } from "./intent.ts";
import { nameOf } from "../lib/places.ts";
import type { Ask } from "./standing.ts";

/** What a service asks for. */
export interface Claimant {
  /** The name of the service. */
  readonly name: string;
  readonly asks: readonly Ask[];
  /** Whether labels gave it a route or its name. The routes of others are different for each service. */
  readonly isLabelled: boolean;
}

/** A route that belongs to another service. */
export interface Loss {
  readonly ask: Ask;
  /** Names both services. */
  readonly reason: string;
}

interface Contender {
  readonly name: string;
  readonly ask: Ask;
}

/**
 * Finds the routes that services do not get, by the name of the service. A route is that of the oldest
 * container that asks for it, whatever else its service has: so no container that comes later takes it.
 */
export function lossesOf(claimants: readonly Claimant[]): ReadonlyMap<string, readonly Loss[]> {
  const labelled = claimants.filter(({ isLabelled }) => isLabelled);
  const losses = new Map<string, Loss[]>();
  if (labelled.length === 0) return losses;
  const keys = new Set(labelled.flatMap(({ asks }) => asks.map(({ key }) => key)));
  const contenders = claimants.flatMap(({ name, asks }) =>
    asks.filter(({ key }) => keys.has(key)).map((ask): Contender => ({ name, ask })),
  );
  for (const all of Map.groupBy(contenders, ({ ask }) => ask.key).values()) {
    const [owner, ...others] = all.toSorted(byAge);
    if (owner === undefined) continue;
    for (const { name, ask } of others) {
      const loss = { ask, reason: reasonFor(owner, ask) };
      losses.set(name, [...(losses.get(name) ?? []), loss]);
    }
  }
  return losses;
}

function byAge(a: Contender, b: Contender): number {
  return a.ask.container.created - b.ask.container.created || compare(a.name, b.name);
}

function reasonFor({ name, ask: { container } }: Contender, ask: Ask): string {
  const place = `${nameOf(ask)} belongs to service ${titleOf(name)}`;
  const isOlder = container.created < ask.container.created;
  return isOlder
    ? `${place}, whose container ${container.name} is older than ${ask.container.name}`
    : `${place}, which comes first by name: ${container.name} and ${ask.container.name} are as old`;
}
