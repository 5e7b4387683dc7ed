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
  const losses = new Map<string, Loss[]>();
  const lose = ({ name, ask }: Contender, reason: string): void => {
    losses.set(name, [...(losses.get(name) ?? []), { ask, reason }]);
  };
  const out = new Set<Ask>();
  for (const { contender, reason } of sharedPorts(claimants)) {
    out.add(contender.ask);
    lose(contender, reason);
  }
  for (const contenders of contestedRoutes(claimants)) {
    const [owner, ...others] = contenders.filter(({ ask }) => !out.has(ask)).toSorted(byAge);
    if (owner === undefined) continue;
    for (const other of others) lose(other, reasonFor(owner, other.ask));
  }
  return losses;
}

/**
 * Those who ask for a port of TCP in another way than the oldest container that asks for it: as a whole,
 * where names share it, or for a name, where one service has the whole port.
 */
function sharedPorts(
  claimants: readonly Claimant[],
): readonly { readonly contender: Contender; readonly reason: string }[] {
  const all: Contender[] = [];
  for (const { name, asks } of claimants) {
    for (const ask of asks) if (ask.tcp !== undefined) all.push({ name, ask });
  }
  const byPort = Map.groupBy(all, ({ ask }) => ask.tcp);
  return [...byPort.values()].flatMap((contenders) => {
    const [oldest] = contenders.toSorted(byAge);
    if (oldest === undefined) return [];
    const { container, host, tcp } = oldest.ask;
    const service = `service ${titleOf(oldest.name)}`;
    return contenders
      .filter(({ ask }) => (ask.host === "") !== (host === ""))
      .map((contender) => {
        const older = `whose container ${container.name} is older than ${contender.ask.container.name}`;
        const reason =
          host === ""
            ? `tcp port ${tcp} belongs to ${service} as a whole, ${older}`
            : `tcp port ${tcp} is shared by names of TLS, as ${service} wants it, ${older}`;
        return { contender, reason };
      });
  });
}

/** Those who ask for a route that others ask for, too. Of thousands of routes there are few. */
function contestedRoutes(claimants: readonly Claimant[]): Iterable<readonly Contender[]> {
  const first = new Map<string, Contender>();
  const contested = new Map<string, Contender[]>();
  const note = ({ name, asks }: Claimant, isNew: boolean): void => {
    for (const ask of asks) {
      const before = first.get(ask.key);
      if (before === undefined) {
        if (isNew) first.set(ask.key, { name, ask });
        continue;
      }
      const all = contested.get(ask.key) ?? [before];
      all.push({ name, ask });
      contested.set(ask.key, all);
    }
  };
  for (const each of claimants) if (each.isLabelled) note(each, true);
  if (first.size > 0) for (const each of claimants) if (!each.isLabelled) note(each, false);
  return contested.values();
}

function byAge(a: Contender, b: Contender): number {
  return a.ask.container.created - b.ask.container.created || compare(a.name, b.name);
}

function reasonFor({ name, ask: { container } }: Contender, ask: Ask): string {
  const place = `${nameOf(ask)} belongs to service ${titleOf(name)}`;
  const isOlder = container.created < ask.container.created;
  const why = isOlder
    ? `${place}, whose container ${container.name} is older than ${ask.container.name}`
    : `${place}, which comes first by name: ${container.name} and ${ask.container.name} are as old`;
  return ask.isShared
    ? `${why}; to share its requests, both need one service: the same image name or label service`
    : why;
}
