// The helpers that every template has, besides Handlebars' own.

import type { HelperDelegate, HelperOptions } from "handlebars";
import { compareVersions } from "../lib/text.ts";

/** The helpers by name. docs/templates.md has an example of each. */
export const HELPERS: Readonly<Record<string, HelperDelegate>> = {
  eq: (a: unknown, b: unknown) => a === b,
  ne: (a: unknown, b: unknown) => a !== b,
  lt: (a: number, b: number) => a < b,
  gt: (a: number, b: number) => a > b,
  and: (...args: unknown[]) => args.slice(0, -1).every(isTruthy),
  or: (...args: unknown[]) => args.slice(0, -1).some(isTruthy),
  not: (value: unknown) => !isTruthy(value),
  atLeast: (version: unknown, lowest: unknown) =>
    compareVersions(text(version, "atLeast"), text(lowest, "atLeast")) >= 0,
  add: (a: number, b: number) => a + b,
  default: (value: unknown, fallback: unknown) => (isTruthy(value) ? value : fallback),
  join: (items: unknown, separator: unknown) =>
    list(items, "join").map(String).join(text(separator, "join")),
  replace: (value: unknown, from: unknown, to: unknown) =>
    text(value, "replace").replaceAll(text(from, "replace"), text(to, "replace")),
  lower: (value: unknown) => text(value, "lower").toLowerCase(),
  upper: (value: unknown) => text(value, "upper").toUpperCase(),
  concat: (...args: unknown[]) => args.slice(0, -1).map(String).join(""),
  sort: (items: unknown, key: unknown) =>
    list(items, "sort").toSorted((a, b) => order(field(a, key), field(b, key))),
  group,
  label: (thing: unknown, name: unknown, fallback: unknown) => {
    const value = field(field(thing, "labels"), text(name, "label"));
    // Without a third argument, Handlebars passes its own options in its place.
    return value ?? (typeof fallback === "string" ? fallback : "");
  },
};

/** `{{#group items "key"}}...{{/group}}`: renders the block once for each value of the key. */
function group(this: unknown, items: unknown, key: unknown, options: HelperOptions): string {
  const groups = Map.groupBy(list(items, "group"), (item) => String(field(item, key)));
  return [...groups]
    .toSorted(([a], [b]) => order(a, b))
    .map(([value, members]) => options.fn({ key: value, items: members }))
    .join("");
}

function order(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const [left, right] = [String(a), String(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** A field of a thing; the thing itself if the key is not a text. */
function field(thing: unknown, key: unknown): unknown {
  if (typeof key !== "string") return thing;
  if (typeof thing !== "object" || thing === null || !Object.hasOwn(thing, key)) return undefined;
  return Object.getOwnPropertyDescriptor(thing, key)?.value;
}

/** Whether Handlebars' own `if` takes a value for true. */
function isTruthy(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

function text(value: unknown, helper: string): string {
  if (typeof value === "string" || typeof value === "number") return String(value);
  throw new TypeError(`helper "${helper}" wants a text, not ${describe(value)}`);
}

function list(value: unknown, helper: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new TypeError(`helper "${helper}" wants a list, not ${describe(value)}`);
}

function describe(value: unknown): string {
  if (value === undefined) return "nothing (is the name right?)";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object"
    ? value === null
      ? "nothing"
      : "an object"
    : `a ${typeof value}`;
}
