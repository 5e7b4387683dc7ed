// Prints how a container is served as labels of the gateway, whatever proxy's labels say so.

import type { Container } from "../../model.ts";
import { asComposeLabels } from "../../routing/compat/as-labels.ts";
import { ownLabels, translate, withOwnLabels } from "../../routing/compat/compat.ts";
import type { IntentOptions } from "../../routing/intent.ts";

/** The labels of a service in a compose file. What was not understood stands before them as comments. */
export function describeAsLabels(
  container: Container,
  { compat, labelPrefix }: IntentOptions,
): string {
  const own = ownLabels(container.labels, labelPrefix);
  const { from, labels, warnings } = translate(container, compat) ?? { labels: {}, warnings: [] };
  const whose = from === undefined ? "its own labels" : `its labels for ${from}, and its own`;
  return [
    `# container ${container.name}: ${whose}\n`,
    ...warnings.map((warning) => `# not understood: ${warning}\n`),
    asComposeLabels(withOwnLabels(labels, own), labelPrefix),
  ].join("");
}
