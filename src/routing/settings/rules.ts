// The rules of a route: how they are told, and where those of two containers differ.

import { compare } from "../../lib/text.ts";
import { nameOf, type Place } from "../../lib/places.ts";
import type { Container, Rules } from "../../model.ts";
import { usersOf } from "./auth.ts";
import { differences } from "./profile.ts";

/** A place with what a container wants there. */
interface Wanted extends Place {
  readonly rules: Rules;
}

/** A warning if a container wants other rules for a route than the oldest one. */
export function ruleDifferences(
  first: Wanted & { readonly container: Container },
  { rules }: Wanted,
  { name }: Container,
): string[] {
  const differing = differences(valuesOf(first.rules), valuesOf(rules));
  if (differing.length === 0) return [];
  const prefix = first.rules.prefix || rules.prefix;
  const labels = differing.map((key) => `label ${prefix}${key}`).join(" and ");
  const done = differing
    .map((key) => {
      const value = valuesOf(first.rules)[key];
      return value === undefined ? `without ${key}` : `with ${key}=${shown(key, value)}`;
    })
    .join(" and ");
  const oldest = first.container.name;
  return [
    `containers ${oldest} and ${name} share ${nameOf(first)} and differ in ${labels}: ` +
      `${oldest} is the oldest, so the route is served ${done}`,
  ];
}

/** The rules as text for a person, such as `allow=10.0.0.0/8, from label gateway.allow`. */
export function describeRules(rules: Rules): string[] {
  return Object.entries(valuesOf(rules))
    .toSorted(([a], [b]) => compare(a, b))
    .map(([key, value]) => `${key}=${shown(key, value)}, from label ${rules.prefix}${key}`);
}

function valuesOf({ values, closed }: Rules): Rules["values"] {
  return closed === "" ? values : { ...values, [closed]: CLOSED };
}

/** What is told of a label whose value is not right. */
const CLOSED = "(none: answered 503)";

/** A value as a person may see it. */
function shown(key: string, value: string): string {
  return key === "auth" && value !== CLOSED ? usersOf(value) : value;
}
