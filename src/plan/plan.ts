// src/plan compares the files that HAProxy runs with the desired ones. The plan is how HAProxy gets
// from the one to the other: nothing, operations at run time, or a reload with its reasons. It may
// import only lib, config and model.ts, and it only computes: no input or output, no clock.

import { isDeepStrictEqual } from "node:util";
import { sectionsOf, statsSocketIsAdmin, withSections, type Section } from "../config/sections.ts";
import { mappedBackends, mapsOf } from "../config/map-file.ts";
import { isMachine, ownersOf, ownersTextOf, renewedPlaces } from "../config/owners.ts";
import { listDifference } from "../lib/lists.ts";
import { lineDifference } from "../lib/text.ts";
import { planAssets } from "./assets.ts";
import type { Files } from "../model.ts";
import {
  BRING_UP,
  WAITING_ROOM,
  type Aliases,
  type BackendServer,
  type Capabilities,
  type Operation,
  type ServerLine,
} from "../config/operations.ts";
import {
  areAlike,
  defaultsOf,
  isPlainBackend,
  isUnusedSpare,
  ownLines,
  planChangedSection,
  planNewSection,
  planRemovedSection,
  spareBackends,
  type Change,
  type SectionContext,
  type ServersAnew,
} from "./sections.ts";
import { bareAddress, createDefaultsLookup, placeOf, serversIn } from "../config/servers.ts";

export type Plan =
  | { readonly kind: "none" }
  | {
      readonly kind: "runtime";
      readonly operations: readonly Operation[];
      /** The aliases after the operations. */
      readonly aliases: Aliases;
    }
  | { readonly kind: "reload"; readonly reasons: readonly string[] };

/** What HAProxy runs, as far as the gateway knows. */
export interface Applied {
  /** Undefined if HAProxy does not run the gateway's files yet. */
  readonly files?: Files | undefined;
  readonly aliases: Aliases;
  /**
   * The servers that were drained, disabled or enabled since then, as `backend/server` in HAProxy. They
   * are brought to what the files say.
   */
  readonly overridden?: ReadonlySet<string>;
  /** Why HAProxy may run something else; undefined if the gateway is sure. */
  readonly doubt?: string | undefined;
}

/** The reason for a reload where HAProxy would refuse every change. */
const NOT_ADMIN =
  "the stats socket is not of level admin, so HAProxy cannot be changed while it runs";

/**
 * Compares what HAProxy runs with what it should run. Comments and blanks do not count.
 * @param capabilities undefined: every difference takes a reload
 */
export function planChange(
  applied: Applied,
  desired: Files,
  capabilities: Capabilities | undefined,
): Plan {
  const { files: before, overridden = new Set<string>(), doubt } = applied;
  if (before === undefined || doubt !== undefined) {
    return { kind: "reload", reasons: [doubt ?? "there is no configuration of the gateway's yet"] };
  }
  const aliases = { ...applied.aliases };
  const anew = { overridden, renewed: renewedIn(before, desired) };
  const changes = [
    ...planSections(before, desired, aliases, anew, capabilities),
    ...planAssets(before, desired, aliases),
  ];
  const reasons = changes.flatMap((change) => change.reasons);
  if (reasons.length > 0) return { kind: "reload", reasons: [...new Set(reasons)] };
  const operations = changes.flatMap((change) => change.operations);
  if (operations.length === 0) return { kind: "none" };
  if (capabilities === undefined) {
    return { kind: "reload", reasons: [...new Set(operations.map(reasonFor))] };
  }
  if (!statsSocketIsAdmin(sectionsOf(before))) return { kind: "reload", reasons: [NOT_ADMIN] };
  const disabling = disabledFirst(operations, before, desired);
  return { kind: "runtime", operations: inRuntimeOrder(disabling), aliases };
}

/**
 * The desired files with what HAProxy did not remove at run time: `defaults` sections, spare backends,
 * and others. They stay there without servers until the next reload, and can be used again.
 * @param removesBackends whether it removes all backends but spare ones
 */
export function withUnremovedBackends(
  before: Applied,
  desired: Files,
  removesBackends: boolean,
): Files {
  if (before.files === undefined) return desired;
  const [old, now] = [sectionsOf(before.files), sectionsOf(desired)];
  const isLeft = leftovers(old, now);
  const { former, start, after } = sectionDifference(old, now, isLeft);
  const heads = new Set(now.slice(start, after).map(({ head }) => head));
  const stays = (section: Section): boolean =>
    isLeft(section) ||
    (isPlainBackend(section) && (!removesBackends || before.aliases[section.name] !== undefined));
  const unremoved = former
    .filter((section) => !heads.has(section.head) && stays(section))
    // A backend comes after the defaults that it names.
    .toSorted((a, b) => Number(isPlainBackend(a)) - Number(isPlainBackend(b)))
    .map((section) => [section.head, ...ownLines(section), ""].join("\n"));
  if (unremoved.length === 0) return desired;
  return withSections(desired, unremoved.join(""));
}

/**
 * The range in which the sections differ, and those of the earlier version that are in it. What was left
 * over there is at its end: without that, the range would nearly always be most of all sections.
 */
function sectionDifference(
  old: readonly Section[],
  now: readonly Section[],
  isLeft: (section: Section) => boolean,
): { readonly former: readonly Section[]; readonly start: number; readonly after: number } {
  const last = now.at(-1);
  let left = old.length;
  while (left > 0 && old[left - 1] !== last && !dependsOnOrder(old[left - 1], isLeft)) left--;
  if (left === 0 || old[left - 1] !== last) left = old.length;
  const { start, before, after } = listDifference(old.slice(0, left), now);
  return { former: [...old.slice(start, before), ...old.slice(left)], start, after };
}

/**
 * Makes the function that says whether a section that is gone from the files stays in HAProxy until the
 * next reload without a change for anybody: a spare backend, its FastCGI, or a `defaults` section where
 * all others name theirs. The same settings may come again soon, and need no reload then.
 */
function leftovers(
  before: readonly Section[],
  after: readonly Section[],
): (section: Section) => boolean {
  let areNamed: boolean | undefined;
  // Nearly all of them are in both.
  const allAreNamed = (): boolean =>
    (areNamed ??= after.every(namesItsDefaults) && before.every(namesItsDefaults));
  return (section) => {
    // Nobody uses it but backends that have it in their own lines.
    if (section.kind === "fcgi-app") return true;
    return section.kind === "defaults"
      ? section.name !== "" && allAreNamed()
      : isUnusedSpare(section) && isPlainBackend(section);
  };
}

/** Whether no `defaults` section before it matters to a section by its place. */
function namesItsDefaults({ kind, head }: Section): boolean {
  return !["frontend", "backend", "listen"].includes(kind) || / from \S/.test(head);
}

/** The servers of a configuration, as `backend/server`. */
export function serverNames(files: Files): string[] {
  return serversIn(sectionsOf(files)).map(({ backend, server }) => `${backend}/${server.name}`);
}

/** The reason for a reload that does the same as an operation. */
function reasonFor(operation: Operation): string {
  if ("map" in operation) return `map ${operation.map} changed`;
  if ("list" in operation) return `crtlist ${operation.list} changed`;
  if ("file" in operation) return `${operation.file} changed`;
  const title = `backend "${operation.backend}"`;
  if (operation.do === "add backend" || operation.do === "publish backend")
    return `${title} is new`;
  if (operation.do === "remove backend") return `${title} is gone`;
  return `${title} changed (server ${operation.server.name})`;
}

/** Whether two sets of files mean the same to HAProxy. */
export function sameFiles(a: Files, b: Files): boolean {
  return planChange({ files: a, aliases: {} }, b, undefined).kind === "none";
}

/** Backends and servers come up before routes lead to them. They are removed after the routes. */
const RUNTIME_ORDER: readonly Operation["do"][] = [
  "disable server",
  ...BRING_UP,
  "drain server",
  "weigh server",
  "publish backend",
  "add authorities",
  "set authorities",
  "add certificate",
  "set certificate",
  "withdraw certificate",
  "turn ticket keys",
  "add entry",
  "set entry",
  "replace map",
  "delete entry",
  "remove certificate",
  "remove authorities",
  "remove server",
  "remove backend",
];

function inRuntimeOrder(operations: readonly Operation[]): Operation[] {
  return operations.toSorted((a, b) => RUNTIME_ORDER.indexOf(a.do) - RUNTIME_ORDER.indexOf(b.do));
}

/** The addresses of a machine itself. Source: RFC 1122, section 3.2.1.3; RFC 4291, section 2.5.3. */
const LOOPBACK = /^(127\.|\[?::1\]?$)/;

/**
 * Has servers disabled whose address goes to another container. That comes first: no request for the
 * one may reach the other, not even for a moment.
 */
function disabledFirst(
  operations: readonly Operation[],
  before: Files,
  after: Files,
): readonly Operation[] {
  const taken = new Map<string, ServerLine>();
  for (const operation of operations) {
    const { do: what } = operation;
    // One that is disabled has its address, too, and may be enabled at once later.
    if (what !== "add server" && what !== "move server") continue;
    // All waiting rooms have one address, at which nobody is.
    if (operation.server.name === WAITING_ROOM) continue;
    taken.set(operation.server.address, operation.server);
  }
  const isTaken = (former: ServerLine, now: ServerLine): boolean => {
    const next = taken.get(former.address);
    if (next === undefined || next === now) return false;
    // Containers in the host's network have its address, each with ports of its own, and so have those that
    // publish ports there.
    const isOther = former.port !== next.port;
    if (isOther && (LOOPBACK.test(next.address) || isMachine(after, bareAddress(next))))
      return false;
    const [owner, successor] = [ownerAt(before, former), ownerAt(after, next)];
    if (owner !== undefined && owner === successor) return false;
    return !(isOther && isShared(before, former) && isShared(after, next));
  };
  return operations.flatMap((operation): Operation[] => {
    const { do: what } = operation;
    if (what !== "move server" && what !== "drain server" && what !== "remove server") {
      return [operation];
    }
    const { backend, server } = operation;
    const former = what === "move server" ? operation.from : server;
    if (!isTaken(former, server)) return [operation];
    const disable: Operation = { do: "disable server", backend, server: former };
    if (what === "move server") return [disable, operation];
    // It stays disabled: drained, it would still get the requests of clients that are bound to it.
    return what === "drain server"
      ? [disable]
      : [disable, { ...operation, server: { ...server, disabled: true } }];
  });
}

/**
 * Makes the function that says whether a server of an earlier configuration must make room, since
 * another one has its address now. One of the same backend is no other: it serves the same.
 * @param servers those of now, or some of them
 * @param files those of now
 */
export function mustMakeRoom(
  servers: readonly BackendServer[],
  files: Files,
): (
  former: Pick<ServerLine, "name" | "address" | "port"> & { readonly backend: string },
) => boolean {
  const own = servers.filter(({ server }) => server.name !== WAITING_ROOM);
  const byAddress = Map.groupBy(own, ({ server }) => bareAddress(server));
  return ({ backend, name, address, port }) => {
    const all = byAddress.get(address) ?? [];
    if (all.length === 0) return false;
    const hasPorts = LOOPBACK.test(address) || isMachine(files, address);
    const rivals = hasPorts ? all.filter(({ server }) => server.port === port) : all;
    return (
      rivals.length > 0 &&
      rivals.every((rival) => rival.server.name !== name && rival.backend !== backend)
    );
  };
}

/** The places that have another owner than before. */
function renewedIn(before: Files, after: Files): ReadonlySet<string> {
  const [old, now] = [ownersTextOf(before), ownersTextOf(after)];
  return old === now ? new Set() : renewedPlaces(old, now);
}

/** The ID of the container behind a server; undefined if that is not known. */
function ownerAt(files: Files, server: ServerLine): string | undefined {
  return ownersOf(files)?.byPlace.get(placeOf(server))?.[0]?.id;
}

/** Whether several containers have the address of a server. */
function isShared(files: Files, { address }: ServerLine): boolean {
  const places = [...(ownersOf(files)?.byPlace ?? [])];
  const own = places.filter(([place]) => place.startsWith(`${address}:`));
  return new Set(own.flatMap(([, owners]) => owners.map(({ id }) => id))).size > 1;
}

/** Used while HAProxy's version is not known. Every difference takes a reload then. */
const UNKNOWN_VERSION: Capabilities = {
  version: "unknown",
  dynamicBackends: true,
  refusedSettings: new Set(),
};

/** @param aliases gets an entry for each spare backend that this change puts to use */
function planSections(
  applied: Files,
  desired: Files,
  aliases: Record<string, string>,
  anew: ServersAnew,
  capabilities: Capabilities = UNKNOWN_VERSION,
): Change[] {
  const { overridden, renewed } = anew;
  const isAnew = overridden.size > 0 || renewed.size > 0;
  if (applied.config === desired.config && !isAnew) return [];
  const oldSections = sectionsOf(applied);
  const newSections = sectionsOf(desired, oldSections);
  const isLeft = leftovers(oldSections, newSections);
  const { former, start, after } = sectionDifference(oldSections, newSections, isLeft);
  const old = byTitle(former);
  const now = byTitle(newSections.slice(start, after));
  const runningName = (name: string): string => aliases[name] ?? name;
  const backends = new Set([...overridden].map((key) => key.slice(0, key.indexOf("/"))));
  const places = [...renewed].map((place) => ` ${place}`);
  const hasAnew = ({ name, text }: Section): boolean =>
    backends.has(runningName(name)) || places.some((place) => text.includes(place));
  const toCompare = [...now].filter(
    ([title, section]) => old.get(title) !== section || hasAnew(section),
  );
  const unchangedButAnew = isAnew
    ? newSections.toSpliced(start, after - start).filter(hasAnew)
    : [];
  const isSameOrder = sameOrder(old, now, isLeft);
  const isSame = toCompare.length === 0 && old.size === now.size && isSameOrder;
  if (isSame && unchangedButAnew.length === 0) return [];
  if (oldSections.some(isConditional) || newSections.some(isConditional)) {
    const isChanged = newSections.some(hasAnew) || !sameLines(old, now);
    return isChanged ? [reloadFor("a configuration with conditions (.if) changed")] : [];
  }
  if (!isSameOrder) return [reloadFor("the order of the sections changed")];
  const contextOf = (sections: readonly Section[]): SectionContext => {
    return { capabilities, anew, defaultLines: createDefaultsLookup(sections) };
  };
  const [oldContext, newContext] = [contextOf(oldSections), contextOf(newSections)];
  const changes = unchangedButAnew.map((section) =>
    planChangedSection(section, section, runningName(section.name), newContext),
  );
  let spares: Section[] | undefined;
  const isMapped = createMappedCheck(applied, desired);
  const newDefaults = new Set(
    toCompare.flatMap(([title, { kind, name }]) =>
      kind === "defaults" && !old.has(title) ? name : [],
    ),
  );
  for (const [title, section] of toCompare) {
    const oldSection = old.get(title);
    const { name } = section;
    // That there are new ones is the reason for a reload.
    if (isPlainBackend(section) && newDefaults.has(defaultsOf(section) ?? "")) continue;
    if (oldSection !== undefined) {
      changes.push(planChangedSection(oldSection, section, runningName(name), newContext));
      continue;
    }
    spares ??= spareBackends(oldSections);
    const isKnown = capabilities !== UNKNOWN_VERSION;
    const spare = isKnown && isMapped(name) ? allocateSpare(spares, section, aliases) : undefined;
    if (spare !== undefined) aliases[name] = spare;
    const hadSpares = spares.some((each) => areAlike(each, section));
    const whyNone = hadSpares ? " (no spare backend is left)" : "";
    changes.push(planNewSection(section, spare, isKnown ? whyNone : undefined, newContext));
  }
  for (const [title, section] of old) {
    if (now.has(title) || isLeft(section)) continue;
    changes.push(planRemovedSection(section, runningName(section.name), oldContext));
  }
  return changes;
}

/** Makes the function that says whether a map names a backend. Mostly it is in a line that is new. */
function createMappedCheck(applied: Files, desired: Files): (name: string) => boolean {
  const [before, texts] = [mapsOf(applied), mapsOf(desired)];
  let fresh: ReadonlySet<string> | undefined;
  let all: ReadonlySet<string> | undefined;
  const freshLines = (): string[] =>
    Object.entries(texts).map(([path, text]) => {
      const { start, after } = lineDifference(before[path] ?? "", text);
      return text.slice(start, after);
    });
  return (name) =>
    (fresh ??= mappedBackends(freshLines())).has(name) ||
    (all ??= mappedBackends(Object.values(texts))).has(name);
}

function isConditional({ conditional }: Section): boolean {
  return conditional;
}

type SectionsByTitle = ReadonlyMap<string, Section>;

function byTitle(all: readonly Section[]): SectionsByTitle {
  const sections = new Map<string, Section>();
  let unnamed = 0;
  for (const section of all) {
    const { kind, title } = section;
    const first = sections.get(title);
    if (first === undefined) sections.set(title, section);
    // Several `defaults` without a name are different sections: each is for those after it.
    else if (kind === "defaults") sections.set(`${title} ${++unnamed}`, section);
    // HAProxy reads several `global` sections as one.
    else {
      const { name, head, text, conditional } = first;
      const lines = [...first.lines, section.head, ...section.lines];
      sections.set(title, { kind, name, title, head, text, lines, conditional });
    }
  }
  return sections;
}

/**
 * Whether the sections that both versions have are in the same order. The order may decide which
 * `defaults` a section has. It does not matter for plain backends, which name theirs, and not for
 * `defaults` where all sections do.
 */
function sameOrder(
  old: SectionsByTitle,
  now: SectionsByTitle,
  isLeft: (section: Section) => boolean,
): boolean {
  const order = (sections: SectionsByTitle, others: SectionsByTitle): string[] =>
    [...sections.keys()].filter((title) =>
      [sections, others].every((each) => dependsOnOrder(each.get(title), isLeft)),
    );
  return order(old, now).join("\n") === order(now, old).join("\n");
}

function dependsOnOrder(
  section: Section | undefined,
  isLeft: (section: Section) => boolean,
): boolean {
  return section !== undefined && !isPlainBackend(section) && !isLeft(section);
}

/**
 * Chooses a spare backend for a section.
 * @param aliases those in use
 * @returns its name; undefined if none is left that is like the section
 */
function allocateSpare(
  spares: readonly Section[],
  section: Section,
  aliases: Aliases,
): string | undefined {
  const used = new Set(Object.values(aliases));
  return spares.find((spare) => !used.has(spare.name) && areAlike(spare, section))?.name;
}

/** Whether sections have the same lines in the same order, without comments. */
function sameLines(a: SectionsByTitle, b: SectionsByTitle): boolean {
  const linesOf = (sections: SectionsByTitle): string[][] =>
    [...sections.values()].map(({ head, lines }) => [head, ...lines]);
  return isDeepStrictEqual(linesOf(a), linesOf(b));
}

function reloadFor(reason: string): Change {
  return { operations: [], reasons: [reason] };
}
