// The labels about the certificate that a container must have: `https.verify`, `https.ca` and `https.sni`.

import type { Settings } from "../../model.ts";

/** Settings, or why the route must not be served: it would trust more than its labels want. */
export type Trust = { readonly settings: Settings } | { readonly reason: string };

/**
 * Completes what labels say of certificates: with a CA of its own, a container's certificate is verified.
 * @param prefix what stands before each label
 */
export function trustOf(settings: Settings, prefix: string): Trust {
  const { "https.ca": ca, "https.verify": verify, scheme } = settings;
  if (verify !== "true" && (ca === undefined || verify !== undefined)) return { settings };
  const label = verify === undefined ? `${prefix}https.ca` : `${prefix}https.verify=true`;
  if (scheme !== "https" && scheme !== "h2") {
    return { reason: `label ${label} needs label ${prefix}scheme=https` };
  }
  if (settings["https.sni"] === undefined) {
    return {
      reason: `label ${label} needs label ${prefix}https.sni, the name that is in the certificate`,
    };
  }
  return { settings: { ...settings, "https.verify": "true" } };
}
