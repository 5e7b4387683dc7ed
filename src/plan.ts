// How HAProxy gets from the applied files to the desired ones, by comparing their text.

import { parseConfig, splitWords, type Section } from "./haproxy-config.ts";
import { changedMap } from "./map-plan.ts";
import type { Files } from "./model.ts";
import type { Aliases, Capabilities, Operation } from "./operations.ts";
import {
  changedSection,
  goneSection,
  isPlainBackend,
  newSection,
  spareBackends,
  titleOf,
  type Change,
  type Defaults,
} from "./section-plan.ts";

export type Plan =
  | { readonly kind: "none" }
  | {
      readonly kind: "runtime";
      readonly operations: readonly Operation[];
      /** What HAProxy has under other names afterwards. */
      readonly aliases: Aliases;
    }
  | { readonly kind: "reload"; readonly reasons: readonly string[] };

/** What HAProxy runs, or why that is not known. */
export type Applied =
  | { readonly files: Files; readonly aliases: Aliases }
  | { readonly unknown: string };

/**
 * Compares what HAProxy runs with what it should run, comments and blanks aside.
 * @param capabilities undefined: whatever differs takes a reload
 */
export function planChange(
  known: Applied,
  desired: Files,
  capabilities: Capabilities | undefined,
): Plan {
  if ("unknown" in known) return { kind: "reload", reasons: [known.unknown] };
  const before = known.files;
  const aliases = { ...known.aliases };
  const changes = [
    ...changedSections(before.config, desired.config, capabilities, aliases),
    ...changedMaps(before.maps, desired.maps, aliases),
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

/** What an operation changes, as a reason for a reload. */
function describe(operation: Operation): string {
  if ("map" in operation) return `map ${operation.map} changed`;
  const title = `backend "${operation.backend}"`;
  if (operation.do === "add backend" || operation.do === "publish backend")
    return `${title} is new`;
  if (operation.do === "remove backend") return `${title} is gone`;
  const name = typeof operation.server === "string" ? operation.server : operation.server.name;
  return `${title} changed (server ${name})`;
}

/** Whether two sets of files say the same to HAProxy. */
export function sameFiles(a: Files, b: Files): boolean {
  return planChange({ files: a, aliases: {} }, b, undefined).kind === "none";
}

/** What a request needs comes before what sends it there, and the other way round at the end. */
const ORDER: readonly Operation["do"][] = [
  "drain server",
  "add backend",
  "add server",
  "move server",
  "enable server",
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
  before: string,
  after: string,
  capabilities: Capabilities = UNKNOWN_VERSION,
  aliases: Record<string, string> = {},
): Change[] {
  if (before === after) return [];
  const [old, now] = [byTitle(parseConfig(before)), byTitle(parseConfig(after))];
  const differing = [...now].filter(([title, section]) => old.get(title) !== section);
  if (differing.length === 0 && old.size === now.size && sameOrder(old, now)) return [];
  // Between `.if` and `.endif` nobody but HAProxy knows what counts.
  if ([...old.values(), ...now.values()].some(({ conditional }) => conditional)) {
    return onlyIf(!sameText(old, now), "a configuration with conditions (.if) changed");
  }
  if (!sameOrder(old, now)) return onlyIf(true, "the order of the sections changed");
  const [oldDefaults, newDefaults] = [inheritance(old), inheritance(now)];
  const used = new Set(Object.values(aliases));
  const spares = spareBackends(old.values()).filter((name) => !used.has(name));
  const changes: Change[] = [];
  for (const [title, section] of differing) {
    const was = old.get(title);
    const { name } = section;
    if (was !== undefined) {
      changes.push(changedSection(was, section, newDefaults, aliases[name] ?? name));
    } else {
      const spare = capabilities.backends ? undefined : spares.shift();
      if (spare !== undefined) aliases[name] = spare;
      changes.push(newSection(section, newDefaults, capabilities, spare));
    }
  }
  for (const [title, section] of old) {
    if (now.has(title)) continue;
    const running = aliases[section.name] ?? section.name;
    changes.push(goneSection(section, oldDefaults, capabilities, running));
  }
  return changes;
}

const titles = new WeakMap<readonly Section[], ReadonlyMap<string, Section>>();

function byTitle(all: readonly Section[]): ReadonlyMap<string, Section> {
  const before = titles.get(all);
  if (before !== undefined) return before;
  const sections = new Map<string, Section>();
  for (const section of all) {
    const title = titleOf(section);
    const first = sections.get(title);
    // HAProxy reads several `global` sections as one.
    sections.set(
      title,
      first ? { ...first, lines: [...first.lines, section.head, ...section.lines] } : section,
    );
  }
  titles.set(all, sections);
  return sections;
}

/** Which `defaults` a section has may hang on the order; plain backends name theirs. */
function sameOrder(a: ReadonlyMap<string, Section>, b: ReadonlyMap<string, Section>): boolean {
  const order = (sections: ReadonlyMap<string, Section>): string =>
    [...sections]
      .filter(([title, section]) => !isPlainBackend(section) && a.has(title) && b.has(title))
      .map(([title]) => title)
      .join("\n");
  return order(a) === order(b);
}

function sameText(a: ReadonlyMap<string, Section>, b: ReadonlyMap<string, Section>): boolean {
  return JSON.stringify([...a.values()]) === JSON.stringify([...b.values()]);
}

function onlyIf(condition: boolean, reason: string): Change[] {
  return condition ? [{ operations: [], reasons: [reason] }] : [];
}

/** A server that is added at run time inherits nothing: it is told all its settings. */
function inheritance(sections: ReadonlyMap<string, Section>): Defaults {
  return (section) => {
    const words = splitWords(section.head);
    const from = words[words.indexOf("from") + 1];
    const inherited = words.includes("from") ? sections.get(`defaults "${from}"`) : undefined;
    return [...(inherited?.lines ?? []), ...section.lines]
      .filter((line) => line.startsWith("default-server "))
      .flatMap((line) => splitWords(line).slice(1));
  };
}

function changedMaps(before: Files["maps"], after: Files["maps"], aliases: Aliases): Change[] {
  const paths = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
  return paths.map((path) => {
    const [old, now] = [before[path], after[path]];
    if (old === undefined || now === undefined) {
      return { operations: [], reasons: [`map ${path} is ${old === undefined ? "new" : "gone"}`] };
    }
    return { operations: changedMap(path, old, now, aliases), reasons: [] };
  });
}
