// The routes that another proxy's labels ask for, and our labels for them.

import {
  EVERYBODY,
  toList,
  type ContainerSettings,
  type Labels,
  type Settings,
} from "./vocabulary.ts";
import { isWithin, joinPaths, withoutPrefix } from "./values.ts";

/** One host and one path prefix. */
export interface Pair {
  /** Empty: any host. */
  readonly host: string;
  /** Empty: bytes are forwarded, without HTTP. */
  readonly path: string;
}

/** A pair that is served, and how. */
export interface Draft extends Pair {
  /** What the other proxy calls it: the NAME of a further route is made of it. */
  readonly name: string;
  /** The path that the container gets instead of `path`. */
  readonly target: string;
  readonly settings: Settings;
  /** Whether no label names the pair: it came from a setting of another one. A named one wins. */
  readonly derived?: boolean;
  /** Whether only the path itself was meant. Here all below it is served too. */
  readonly exact?: boolean;
}

/** What is done to the drafts of a route, one after the other. */
export interface Step {
  readonly apply: (drafts: readonly Draft[]) => readonly Draft[];
  /** Whether it keeps somebody out. */
  readonly protects?: boolean;
  /** Whether it only sends requests elsewhere. */
  readonly redirects?: boolean;
}

/** Adds settings to drafts. Those of the last win. */
export function withSettings(drafts: readonly Draft[], settings: Settings): readonly Draft[] {
  return drafts.map((draft) => ({ ...draft, settings: { ...draft.settings, ...settings } }));
}

/** More routes than a container has any use for. What has more is closed, as none may be left out. */
export const MOST_DRAFTS = 100;

/** The settings of a route that lets nobody in, as what protects it is not understood. */
export const CLOSED: Settings = { deny: EVERYBODY };
/** The step for something that protects and is not understood. */
export const CLOSE: Step = { apply: (drafts) => withSettings(drafts, CLOSED), protects: true };

/**
 * The draft that holds for a path: its own one, or a new one that is like the longest above it.
 * @returns the drafts with settings added for that path and all below it
 */
export function settleAt(
  drafts: readonly Draft[],
  path: string,
  settings: Settings,
): readonly Draft[] {
  const changed = drafts.map((draft) =>
    isWithin(draft.path, path) ? { ...draft, settings: { ...draft.settings, ...settings } } : draft,
  );
  const hosts = new Set(drafts.map(({ host }) => host));
  const added = [...hosts].flatMap((host) => {
    const own = drafts.filter((draft) => draft.host === host);
    if (own.some((draft) => draft.path === path)) return [];
    const above = own
      .filter((draft) => isWithin(path, draft.path))
      .toSorted((a, b) => b.path.length - a.path.length)[0];
    return above === undefined ? [] : [below(above, path, settings)];
  });
  return [...changed, ...added];
}

/** A part of a draft that begins at a deeper path, with settings of its own. */
function below(above: Draft, path: string, settings: Settings): Draft {
  return {
    ...above,
    path,
    target: joinPaths(above.target, withoutPrefix(path, above.path)),
    settings: { ...above.settings, ...settings },
    derived: true,
  };
}

/** The drafts with short paths first: the first of them is the container's own route. */
export function mainFirst(drafts: readonly Draft[]): readonly Draft[] {
  // One of TCP has no path, and is nobody's main route while there is another.
  const lengthOf = ({ path }: Draft): number => path.length || Infinity;
  return drafts.toSorted((a, b) =>
    lengthOf(a) < lengthOf(b) ? -1 : Number(lengthOf(a) > lengthOf(b)),
  );
}

/** The labels for the drafts, the first of which are the container's own. */
export function toLabels(container: ContainerSettings, drafts: readonly Draft[]): Labels {
  const labels: Record<string, string> = { ...container };
  const names = new Set<string>();
  for (const [index, block] of toBlocks(withoutRepeats(drafts)).entries()) {
    const prefix = index === 0 ? "" : `route.${freeName(block.name, names)}.`;
    for (const [name, value] of Object.entries(block.labels)) labels[prefix + name] = value;
  }
  return labels;
}

/** Of drafts for the same pair, the first counts. One that is only derived comes last. */
function withoutRepeats(drafts: readonly Draft[]): readonly Draft[] {
  const byPair = new Map<string, Draft>();
  const isDerived = ({ derived = false }: Draft): boolean => derived;
  const ordered = [...drafts.filter((each) => !isDerived(each)), ...drafts.filter(isDerived)];
  for (const draft of ordered) {
    // One of TCP has no path.
    const key = draft.path === "" ? JSON.stringify(draft.settings) : keyOf(draft);
    if (!byPair.has(key)) byPair.set(key, draft);
  }
  return [...byPair.values()];
}

/** Tells pairs apart. A host has no slash. */
export function keyOf({ host, path }: Pair): string {
  return host + path;
}

/** A route of ours: every one of its hosts with every one of its paths. */
interface Block {
  readonly name: string;
  readonly labels: Labels;
}

function toBlocks(drafts: readonly Draft[]): readonly Block[] {
  const alike = Map.groupBy(drafts, (draft) => JSON.stringify(restOf(draft)));
  return [...alike.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    return toRectangles(group).map(({ hosts, paths }) => ({
      name: first.name,
      labels: {
        ...(hosts.includes("") ? {} : { host: toList(hosts) }),
        ...(first.path === "" ? {} : { path: toList(paths) }),
        ...restOf(first),
      },
    }));
  });
}

/** The labels of a draft besides host and path, in a fixed order. */
function restOf({ path, target, settings }: Draft): Labels {
  const rest: Record<string, string> = { ...strippingOf(path, target) };
  for (const [name, value] of Object.entries(settings).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    rest[name] = value;
  }
  return rest;
}

function strippingOf(path: string, target: string): Settings {
  if (target === path) return path === "/" || path === "" ? {} : { strip: "false" };
  return target === "/" ? { strip: "true" } : { rewrite: target };
}

/** Pairs as few products of hosts and paths: paths with the same hosts are put together. */
function toRectangles(
  pairs: readonly Pair[],
): readonly { readonly hosts: readonly string[]; readonly paths: readonly string[] }[] {
  const hostsOf = new Map<string, string[]>();
  for (const { host, path } of pairs) {
    hostsOf.set(path, [...(hostsOf.get(path) ?? []), host]);
  }
  const byHosts = Map.groupBy(hostsOf, ([, hosts]) => toList(hosts.toSorted()));
  return [...byHosts.values()].flatMap((entries) => {
    const hosts = entries[0]?.[1] ?? [];
    const paths = entries.map(([path]) => path);
    // "Any host" cannot stand in one list with others.
    const named = hosts.filter((host) => host !== "");
    return [
      ...(named.length > 0 ? [{ hosts: named, paths }] : []),
      ...(named.length < hosts.length ? [{ hosts: [""], paths }] : []),
    ];
  });
}

/** A NAME for a route that no other one of the container has. */
function freeName(wanted: string, taken: Set<string>): string {
  const base =
    wanted
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, "-")
      .replaceAll(/^-|-$/g, "")
      .slice(0, LONGEST_NAME) || "route";
  let name = base;
  for (let number = 2; taken.has(name); number++) name = `${base}-${number}`;
  taken.add(name);
  return name;
}

const LONGEST_NAME = 40;
