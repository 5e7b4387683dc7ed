// Sorts the reasons of reloads into a few causes, for those who count them.

import type { Applied } from "./plan.ts";

/**
 * Why HAProxy is reloaded. `first`: it runs no configuration of the gateway's yet. `drift`: it may run something
 * else than it should. `refused`: it did not take a change while it ran. `settings`: what is the same for many
 * services changed, such as a set of timeouts or a port. `files`: a file beside the configuration came, went or
 * changed. `service`: a service came or went that no spare backend fits. `other`: none of these.
 */
export const RELOAD_CAUSES = [
  "first",
  "drift",
  "refused",
  "settings",
  "files",
  "service",
  "other",
] as const;
export type ReloadCause = (typeof RELOAD_CAUSES)[number];

/** How the reasons begin that the plan gives: see `sections.ts` and `assets.ts`. */
const BEGINNINGS: readonly (readonly [ReloadCause, RegExp])[] = [
  ["settings", /^(global|defaults|frontend|listen|the order of the sections)\b/],
  ["files", /^(map|script|file|crtlist|certificate|ticketkeys) /],
  ["service", /^backend /],
];

/** Which of the causes some reasons have. Of several it is the first in the order above. */
export function causeOf({ files, doubt }: Applied, reasons: readonly string[]): ReloadCause {
  if (doubt !== undefined) return "drift";
  if (files === undefined) return "first";
  const found = BEGINNINGS.find(([, beginning]) => reasons.some((each) => beginning.test(each)));
  return found?.[0] ?? "other";
}
