// Labels about requests and answers that change nothing.

import type { Rules } from "../../model.ts";

/** Labels that mean nothing without another one. */
const NEEDS: Readonly<Record<string, string>> = {
  "auth.forward": "auth",
  "redirect.code": "redirect",
  "rate.burst": "rate",
  "body.unknown": "body",
};
/** What is so without a label, too. */
const USUAL: Readonly<Record<string, string>> = {
  "auth.forward": "false",
  "redirect.code": "307",
};

/**
 * Leaves out what changes nothing: as it is so anyway, or means nothing without another label.
 * @param prefix what stands before each label
 * @returns the others, and a warning for each that means nothing
 */
export function withoutIdleRules(
  values: Rules["values"],
  prefix: string,
): { readonly values: Rules["values"]; readonly warnings: readonly string[] } {
  const entries = Object.entries(values);
  const isIdle = (key: string): boolean => {
    const needed = NEEDS[key];
    return needed !== undefined && values[needed] === undefined;
  };
  return {
    values: Object.fromEntries(
      entries.filter(([key, value]) => !isIdle(key) && USUAL[key] !== value),
    ),
    warnings: entries
      .filter(([key]) => isIdle(key))
      .map(
        ([key]) => `label ${prefix}${key} counts for nothing without label ${prefix}${NEEDS[key]}`,
      ),
  };
}
