// Reads which paths a directive of Caddy is for.

import type { Directive } from "./caddy-tree.ts";
import { isWithin, toPath } from "./values.ts";

/** The paths of a directive, and its arguments without them. */
export interface Matched {
  /** The prefixes; empty: all paths; undefined: a condition that is not understood. */
  readonly paths: readonly string[] | undefined;
  /** Whether one of them is meant without what is below it. */
  readonly isExact: boolean;
  readonly args: readonly string[];
}

/** More than a directive has any use for. */
const MOST_PATHS = 32;

/** The conditions that have a name, by it. */
export type NamedMatchers = ReadonlyMap<string, Directive>;

/** The named conditions of a block, together with those of the blocks around it. */
export function namedMatchers(block: readonly Directive[], outer: NamedMatchers): NamedMatchers {
  const own = block.filter(({ name }) => name.startsWith("@"));
  return own.length === 0
    ? outer
    : new Map([...outer, ...own.map((each) => [each.name, each] as const)]);
}

/** Takes the condition off the arguments. A directive may have none. */
export function match({ args }: Directive, named: NamedMatchers): Matched {
  const [first = "", ...rest] = args;
  if (first === "*") return { paths: [], isExact: false, args: rest };
  if (first.startsWith("/")) return { ...toPrefixes([first]), args: rest };
  if (!first.startsWith("@")) return { paths: [], isExact: false, args };
  const patterns = patternsOf(named.get(first));
  return { ...toPrefixes(patterns), args: rest };
}

/** The patterns of a condition that only names paths. */
function patternsOf(matcher: Directive | undefined): readonly string[] {
  if (matcher === undefined || matcher.isTemplate) return [];
  const { args, block } = matcher;
  const [only, ...others] = block;
  if (args.length === 0) {
    return only?.name === "path" && others.length === 0 ? only.args : [];
  }
  return args[0] === "path" && only === undefined ? args.slice(1) : [];
}

function toPrefixes(patterns: readonly string[]): Omit<Matched, "args"> {
  const prefixes = patterns.slice(0, MOST_PATHS + 1).map(toPrefix);
  const known = prefixes.filter((prefix) => prefix !== undefined);
  const isKnown =
    known.length > 0 && known.length === prefixes.length && known.length <= MOST_PATHS;
  if (!isKnown) return { paths: undefined, isExact: false };
  // A pattern for everything makes the others needless.
  const paths = known.includes("/") ? [] : [...new Set(known)];
  const wide = patterns.filter((pattern) => pattern.endsWith("*")).map(toPrefix);
  const isBelow = (path: string): boolean =>
    wide.some((prefix) => prefix !== undefined && isWithin(path, prefix));
  return { paths, isExact: !paths.every(isBelow) };
}

function toPrefix(pattern: string): string | undefined {
  // "/" is the one path: its prefix would be everything.
  if (pattern === "/") return undefined;
  return toPath(pattern.replace(/\*$/, ""));
}
