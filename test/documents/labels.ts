// Reads labels as the documents show them, by the program's own reader.

import { translate } from "../../src/routing/compat/compat.ts";
import { readLabels } from "../../src/routing/labels.ts";

/** Names and values by `=`. */
function toTexts(assignments: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    assignments.map((text) => [
      text.slice(0, text.indexOf("=")),
      text.slice(text.indexOf("=") + 1),
    ]),
  );
}

/**
 * What the program finds wrong with the labels and variables of a container.
 * @param labels as `docker run --label` has them
 */
export function problemsOf(labels: readonly string[], variables: readonly string[] = []): string[] {
  const own = readLabels(toTexts(labels));
  const theirs = translate(
    { name: "web", labels: toTexts(labels), environment: toTexts(variables) },
    "all",
  );
  return [...("reason" in own ? [own.reason] : own.warnings), ...(theirs?.warnings ?? [])];
}
