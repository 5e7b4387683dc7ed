// The rules of a route: how they are told, and where those of two containers differ.

import { compare } from "../../lib/text.ts";
import { nameOf, type Place } from "../../lib/places.ts";
import type { Container, Rules } from "../../model.ts";
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
  const [one, other] = [textsOf(first.rules), textsOf(rules)];
  const differing = differences(one, other);
  if (differing.length === 0) return [];
  const prefix = first.rules.prefix || rules.prefix;
  const labels = differing.map((key) => `label ${prefix}${key}`).join(" and ");
  const done = differing
    .map((key) => (one[key] === undefined ? `without ${key}` : `with ${key}=${one[key]}`))
    .join(" and ");
  const oldest = first.container.name;
  return [
    `containers ${oldest} and ${name} share ${nameOf(first)} and differ in ${labels}: ` +
      `${oldest} is the oldest, so the route is served ${done}`,
  ];
}

/** The rules as text for a person, such as `allow=10.0.0.0/8, from label gateway.allow`. */
export function describeRules(rules: Rules): string[] {
  return Object.entries(textsOf(rules))
    .toSorted(([a], [b]) => compare(a, b))
    .map(([key, text]) => `${key}=${text}, from label ${rules.prefix}${key}`);
}

/** The values as a person may see them. */
function textsOf({ values, closed }: Rules): Readonly<Record<string, string>> {
  return closed === "" ? values : { ...values, [closed]: "(none: answered 503)" };
}
