// How HAProxy gets from the applied files to the desired ones, by comparing their text.

import { sectionsOf, splitWords, type Section } from "../config/sections.ts";
import { isMapped } from "../config/map-file.ts";
import { listDifference } from "../lib/lists.ts";
import { changedAssets } from "./assets.ts";
import type { Files } from "../model.ts";
import { COMING, type Aliases, type Capabilities, type Operation } from "../config/operations.ts";
import {
  changedSection,
  goneSection,
  isPlainBackend,
  newSection,
  spareBackends,
  type Change,
  type Surroundings,
} from "./sections.ts";
import { inheritance } from "../config/servers.ts";

export type Plan =
  | { readonly kind: "none" }
  | {
      readonly kind: "runtime";
      readonly operations: readonly Operation[];
      /** What HAProxy has under other names afterwards. */
      readonly aliases: Aliases;
    }
  | { readonly kind: "reload"; readonly reasons: readonly string[] };

/** What HAProxy runs, as far as is known. */
export interface Applied {
  /** Undefined where it runs nothing of the gateway's. */
  readonly files?: Files | undefined;
  readonly aliases: Aliases;
  /** What HAProxy was told to drain since, as `backend/server` with the names it has. */
  readonly drained?: ReadonlySet<string>;
  /** Why it may run something else; undefined where it is sure. */
  readonly doubt?: string | undefined;
}

/**
 * Compares what HAProxy runs with what it should run, comments and blanks aside.
 * @param capabilities undefined: whatever differs takes a reload
 */
export function planChange(
  known: Applied,
  desired: Files,
  capabilities: Capabilities | undefined,
): Plan {
  const { files: before, drained, doubt } = known;
  if (before === undefined || doubt !== undefined) {
    return { kind: "reload", reasons: [doubt ?? "there is no configuration of the gateway's yet"] };
  }
  const aliases = { ...known.aliases };
  const changes = [
    ...changedSections(before, drained, desired, capabilities, aliases),
    ...changedAssets(before, desired, aliases),
  ];
  const reasons = changes.flatMap((change) => change.reasons);
  if (reasons.length > 0) return { kind: "reload", reasons };
  const operations = changes.flatMap((change) => change.operations);
  if (operations.length === 0) return { kind: "none" };
  if (capabilities !== undefined) {
    return { kind: "runtime", operations: inOrder(operations), aliases };
  }
  return { kind: "reload", reasons: [...new Set(operations.map(describe))] };
}

/**
 * What HAProxy runs after a change without a reload: also the empty backends that it could not let
 * go of, which it takes servers for again.
 */
export function withLeftovers(before: Applied, desired: Files): Files {
  if (before.files === undefined) return desired;
  const heads = new Set(sectionsOf(desired).map(({ head }) => head));
  const leftovers = sectionsOf(before.files)
    .filter((section) => isPlainBackend(section) && !heads.has(section.head))
    .map(({ head }) => `${head}\n`);
  return { ...desired, config: [desired.config, ...leftovers].join("") };
}

/** What an operation changes, as a reason for a reload. */
function describe(operation: Operation): string {
  if ("map" in operation) return `map ${operation.map} changed`;
  const title = `backend "${operation.backend}"`;
  if (operation.do === "add backend" || operation.do === "publish backend")
    return `${title} is new`;
  if (operation.do === "remove backend") return `${title} is gone`;
  return `${title} changed (server ${operation.server.name})`;
}

/** Whether two sets of files say the same to HAProxy. */
export function sameFiles(a: Files, b: Files): boolean {
  return planChange({ files: a, aliases: {} }, b, undefined).kind === "none";
}

/** What a request needs comes before what sends it there, and the other way round at the end. */
const ORDER: readonly Operation["do"][] = [
  ...COMING,
  "drain server",
  "publish backend",
  "add entry",
  "set entry",
  "replace map",
  "delete entry",
  "remove server",
  "remove backend",
];

function inOrder(operations: readonly Operation[]): Operation[] {
  return operations.toSorted((a, b) => ORDER.indexOf(a.do) - ORDER.indexOf(b.do));
}

/** What a version of HAProxy that nobody asked can do. */
const UNKNOWN_VERSION: Capabilities = { version: "unknown", backends: true };

/** @param aliases takes the names of the spare backends that are used from now on */
function changedSections(
  files: Files,
  drained: ReadonlySet<string> = new Set(),
  desired: Files,
  capabilities: Capabilities = UNKNOWN_VERSION,
  aliases: Record<string, string> = {},
): Change[] {
  if (files.config === desired.config && drained.size === 0) return [];
  const oldSections = sectionsOf(files);
  const newSections = sectionsOf(desired, oldSections);
  const { start, before, after } = listDifference(oldSections, newSections);
  const old = byTitle(oldSections.slice(start, before));
  const now = byTitle(newSections.slice(start, after));
  const running = (name: string): string => aliases[name] ?? name;
  const drainedBackends = new Set([...drained].map((key) => key.slice(0, key.indexOf("/"))));
  const isDrained = ({ name }: Section): boolean => drainedBackends.has(running(name));
  const differing = [...now].filter(
    ([title, section]) => old.get(title) !== section || isDrained(section),
  );
  const alsoDrained =
    drained.size === 0 ? [] : newSections.toSpliced(start, after - start).filter(isDrained);
  const isSameOrder = sameOrder(old, now);
  const isSame = differing.length === 0 && old.size === now.size && isSameOrder;
  if (isSame && alsoDrained.length === 0) return [];
  if ([...oldSections, ...newSections].some(({ conditional }) => conditional)) {
    const isChanged = drained.size > 0 || !sameText(old, now);
    return onlyIf(isChanged, "a configuration with conditions (.if) changed");
  }
  if (!isSameOrder) return onlyIf(true, "the order of the sections changed");
  const oldOnes: Surroundings = { capabilities, drained, inherited: inheritance(oldSections) };
  const newOnes: Surroundings = { capabilities, drained, inherited: inheritance(newSections) };
  const changes = alsoDrained.map((section) =>
    changedSection(section, section, running(section.name), newOnes),
  );
  let spares: Section[] | undefined;
  for (const [title, section] of differing) {
    const was = old.get(title);
    const { name } = section;
    if (was !== undefined) changes.push(changedSection(was, section, running(name), newOnes));
    else {
      const needsSpare = !capabilities.backends && isMapped(name, desired);
      if (needsSpare) spares ??= unusedSpares(oldSections, aliases);
      const spare = needsSpare ? takeSpare(spares ?? [], section) : undefined;
      if (spare !== undefined) aliases[name] = spare;
      changes.push(newSection(section, spare, newOnes));
    }
  }
  for (const [title, section] of old) {
    if (!now.has(title)) changes.push(goneSection(section, running(section.name), oldOnes));
  }
  return changes;
}

type Sections = ReadonlyMap<string, Section>;

function byTitle(all: readonly Section[]): Sections {
  const sections = new Map<string, Section>();
  let unnamed = 0;
  for (const section of all) {
    const { kind, title, head, lines } = section;
    const first = sections.get(title);
    if (first === undefined) sections.set(title, section);
    // Each without a name is for what follows it.
    else if (kind === "defaults") sections.set(`${title} ${++unnamed}`, section);
    // HAProxy reads several `global` sections as one.
    else sections.set(title, { ...first, lines: [...first.lines, head, ...lines] });
  }
  return sections;
}

/** Which `defaults` a section has may hang on the order; plain backends name theirs. */
function sameOrder(old: Sections, now: Sections): boolean {
  const order = (sections: Sections, others: Sections): string[] =>
    [...sections.keys()].filter(
      (title) => isBound(sections.get(title)) && isBound(others.get(title)),
    );
  return order(old, now).join("\n") === order(now, old).join("\n");
}

/** Whether the place of a section matters. */
function isBound(section: Section | undefined): boolean {
  return section !== undefined && !isPlainBackend(section);
}

/** The spare backends that serve nothing yet. */
function unusedSpares(sections: readonly Section[], aliases: Aliases): Section[] {
  const used = new Set(Object.values(aliases));
  return spareBackends(sections).filter(({ name }) => !used.has(name));
}

/** Takes a spare backend with the same defaults as a section, if there is one left. */
function takeSpare(spares: Section[], section: Section): string | undefined {
  const index = spares.findIndex((spare) => inheritsFrom(spare) === inheritsFrom(section));
  return index < 0 ? undefined : spares.splice(index, 1)[0]?.name;
}

/** The end of a section's first line, such as `from _backend`. */
function inheritsFrom({ head }: Section): string {
  return splitWords(head).slice(2).join(" ");
}

function sameText(a: Sections, b: Sections): boolean {
  return JSON.stringify([...a.values()]) === JSON.stringify([...b.values()]);
}

function onlyIf(condition: boolean, reason: string): Change[] {
  return condition ? [{ operations: [], reasons: [reason] }] : [];
}
