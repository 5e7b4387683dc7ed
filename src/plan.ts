// How HAProxy gets from the applied files to the desired ones, by comparing their text.

import { parseConfig, type Section } from "./haproxy-config.ts";
import type { Files } from "./model.ts";

export type Plan =
  | { readonly kind: "none" }
  | { readonly kind: "reload"; readonly reasons: readonly string[] };

/** What HAProxy runs, or why that is not known. */
export type Applied = { readonly files: Files } | { readonly unknown: string };

/** Compares what HAProxy runs with what it should run, comments and blanks aside. */
export function planChange(known: Applied, desired: Files): Plan {
  if ("unknown" in known) return { kind: "reload", reasons: [known.unknown] };
  const applied = known.files;
  const [before, after] = [parseConfig(applied.config), parseConfig(desired.config)];
  const reasons = [
    ...sectionReasons(sectionsByTitle(before), sectionsByTitle(after)),
    ...mapReasons(applied.maps, desired.maps),
  ];
  // Which `defaults` a section has, and which rule comes first, may hang on the order.
  if (reasons.length === 0 && headsOf(before) !== headsOf(after)) {
    reasons.push("the order of the sections changed");
  }
  return reasons.length === 0 ? { kind: "none" } : { kind: "reload", reasons };
}

/** Whether two sets of files say the same to HAProxy. */
export function sameFiles(a: Files, b: Files): boolean {
  return planChange({ files: a }, b).kind === "none";
}

function headsOf(sections: readonly Section[]): string {
  return sections.map(({ head }) => head).join("\n");
}

function sectionsByTitle(all: readonly Section[]): Map<string, Section> {
  const sections = new Map<string, Section>();
  for (const section of all) {
    const title = section.name === "" ? section.kind : `${section.kind} "${section.name}"`;
    const before = sections.get(title);
    // HAProxy reads several `global` sections as one.
    sections.set(
      title,
      before ? { ...before, lines: [...before.lines, section.head, ...section.lines] } : section,
    );
  }
  return sections;
}

function sectionReasons(
  before: ReadonlyMap<string, Section>,
  after: ReadonlyMap<string, Section>,
): string[] {
  const reasons: string[] = [];
  for (const [title, section] of after) {
    const old = before.get(title);
    if (old === undefined) reasons.push(`${title} is new`);
    else if (!sameSection(old, section))
      reasons.push(`${title} changed${serverChanges(old, section)}`);
  }
  for (const title of before.keys()) if (!after.has(title)) reasons.push(`${title} is gone`);
  return reasons;
}

function sameSection(a: Section, b: Section): boolean {
  return (
    a.head === b.head &&
    a.lines.length === b.lines.length &&
    a.lines.every((line, index) => line === b.lines[index])
  );
}

/** How many server lines differ, where it is only those. */
function serverChanges(before: Section, after: Section): string {
  const [old, now] = [new Set(before.lines), new Set(after.lines)];
  const changed = [
    ...after.lines.filter((line) => !old.has(line)),
    ...before.lines.filter((line) => !now.has(line)),
  ];
  if (before.head !== after.head || !changed.every((line) => line.startsWith("server "))) return "";
  if (changed.length === 0) return " (order of its lines)";
  const names = [...new Set(changed.map((line) => line.split(" ")[1]))];
  return ` (${names.length === 1 ? "server" : "servers"} ${names.join(", ")})`;
}

function mapReasons(before: Files["maps"], after: Files["maps"]): string[] {
  const paths = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
  return paths.flatMap((path) => {
    const [oldText, newText] = [before[path], after[path]];
    // Without the file, even an empty one, HAProxy would not start again.
    if (oldText === undefined) return [`map ${path} is new`];
    if (newText === undefined) return [`map ${path} is gone`];
    const [old, now] = [mapEntries(oldText), mapEntries(newText)];
    if (old.join("\n") === now.join("\n")) return [];
    const count = new Set(old).symmetricDifference(new Set(now)).size;
    // Of two entries with one key the first wins, so their order matters too.
    const what =
      count === 0 ? "order of its entries" : count === 1 ? "1 entry" : `${count} entries`;
    return [`map ${path} changed (${what})`];
  });
}

function mapEntries(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
}
