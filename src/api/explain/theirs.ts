// Names what a person wrote: the labels and variables of another proxy, where labels of ours stand for them.

import type { Container } from "../../model.ts";
import { ownLabels, translate } from "../../routing/compat/compat.ts";
import { createSourceFinder } from "../../routing/compat/sources.ts";
import type { IntentOptions } from "../../routing/intent.ts";
import type { Line } from "./line.ts";

/** Labels as decisions name them: `label gateway.host and label gateway.path`. */
const NAMED = /label [^\s,:=()]+(?: and label [^\s,:=()]+)*/g;

/**
 * Makes the function that puts the labels and variables of another proxy in the place of those labels of
 * ours that a container does not have itself.
 */
export function createNamer(
  container: Container,
  { compat, labelPrefix }: IntentOptions,
): (line: Line) => Line {
  const translation = translate(container, compat);
  if (translation === undefined) return (line) => line;
  const { from, labels } = translation;
  const own = new Set(
    Object.keys(ownLabels(container.labels, labelPrefix)).map((name) => name.toLowerCase()),
  );
  const find = createSourceFinder(container, compat, labels);
  return ({ about, text }) => ({ about, text: text.replaceAll(NAMED, rename) });

  function rename(named: string): string {
    const all = named.split(" and ").flatMap((word) => theirsOf(word) ?? [word]);
    return [...new Set(all)].join(" and ");
  }

  /** Undefined: it is the container's own label. */
  function theirsOf(word: string): readonly string[] | undefined {
    const label = word.slice("label ".length);
    const name = label.slice(labelPrefix.length);
    if (!label.startsWith(labelPrefix) || own.has(name.toLowerCase())) return undefined;
    const found = find(name);
    return found.length === 0 ? [`labels of ${from}`] : found;
  }
}
