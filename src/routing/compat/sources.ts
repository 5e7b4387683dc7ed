// Finds which labels or variables of another proxy a label of ours stands for.

import { isOfPeer, translate, type Compat, type Translatable } from "./compat.ts";
import { printable } from "./notes.ts";
import type { Labels } from "./vocabulary.ts";

/** Whoever has more of them is told whose they are, and not which. */
const MOST_NAMES = 64;
/** The same, in characters: each of them costs a translation of all others. */
const LONGEST = 20_000;
/** So many are named for one label. */
const MOST_NAMED = 3;

/** What would be otherwise without one label or variable. */
interface Effect {
  /** As a person knows it. */
  readonly name: string;
  readonly value: string;
  /** The labels of ours that would be missing, or have another value. */
  readonly changed: ReadonlySet<string>;
}

/**
 * Makes the function that names the labels and variables behind a label of ours. It translates anew without
 * each of them, and sees what differs. So it costs nothing before it is asked, and no translation needs to
 * note where its results come from.
 * @returns a function of our label without its prefix. Its result is empty if nothing is found.
 */
export function createSourceFinder(
  container: Translatable,
  compat: Compat,
  labels: Labels,
): (name: string) => readonly string[] {
  let effects: readonly Effect[] | undefined;
  return (wanted) => {
    const name = Object.keys(labels).find((each) => each.toLowerCase() === wanted.toLowerCase());
    if (name === undefined) return [];
    effects ??= effectsOf(container, compat, labels);
    return nearest(effects, name, labels[name] ?? "");
  };
}

function effectsOf(container: Translatable, compat: Compat, labels: Labels): readonly Effect[] {
  const ofLabels = Object.entries(container.labels).filter(([name]) => isOfPeer(name));
  const ofVariables = Object.entries(container.environment);
  const all = [...ofLabels, ...ofVariables];
  const length = all.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  if (all.length > MOST_NAMES || length > LONGEST) return [];
  const effect = (name: string, value: string, without: Translatable): Effect => {
    const others = translate(without, compat)?.labels ?? {};
    return { name: printable(name), value, changed: differencesOf(labels, others) };
  };
  return [
    ...ofLabels.map(([name, value]) =>
      effect(name, value, { ...container, labels: omit(container.labels, name) }),
    ),
    ...ofVariables.map(([name, value]) =>
      effect(name, value, { ...container, environment: omit(container.environment, name) }),
    ),
  ];
}

/** Those that a label depends on and least else does: first those that its value is in, or part of. */
function nearest(effects: readonly Effect[], name: string, ours: string): readonly string[] {
  const about = effects.filter(({ changed }) => changed.has(name));
  const alike = about.filter(({ value }) => isPart(value, ours) || isPart(ours, value));
  const candidates = alike.length > 0 ? alike : about;
  const least = Math.min(...candidates.map(({ changed }) => changed.size));
  const found = candidates.filter(({ changed }) => changed.size === least);
  return found.slice(0, MOST_NAMED).map((each) => each.name);
}

function isPart(part: string, whole: string): boolean {
  const word = part.trim().toLowerCase();
  return word !== "" && whole.toLowerCase().includes(word);
}

function differencesOf(a: Labels, b: Labels): ReadonlySet<string> {
  const names = [...Object.keys(a), ...Object.keys(b)];
  return new Set(names.filter((name) => a[name] !== b[name]));
}

function omit(
  texts: Readonly<Record<string, string>>,
  name: string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(texts).filter(([each]) => each !== name));
}
