// Labels about requests and answers that change nothing.

import type { Rules } from "../../model.ts";

/** Labels that mean nothing without another one, or one of several. */
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  "auth.forward": ["auth", "auth.file"],
  "redirect.code": ["redirect"],
  "rate.burst": ["rate"],
  "body.unknown": ["body"],
  "cors.methods": ["cors"],
  "cors.headers": ["cors"],
  "cors.credentials": ["cors"],
  "cors.maxage": ["cors"],
};
/** What is so without a label, too. */
const USUAL: Readonly<Record<string, string>> = {
  "auth.forward": "false",
  "redirect.code": "307",
  "cors.credentials": "false",
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
    return needed !== undefined && needed.every((each) => values[each] === undefined);
  };
  // Any page at all could act for whoever is logged in.
  if (values["cors"] === "*" && values["cors.credentials"] === "true") {
    const { "cors.credentials": _, ...rest } = values;
    const warning = `label ${prefix}cors.credentials counts for nothing with label ${prefix}cors=*`;
    const { values: kept, warnings } = withoutIdleRules(rest, prefix);
    return { values: kept, warnings: [...warnings, warning] };
  }
  return {
    values: Object.fromEntries(
      entries.filter(([key, value]) => !isIdle(key) && USUAL[key] !== value),
    ),
    warnings: entries
      .filter(([key]) => isIdle(key))
      .map(
        ([key]) =>
          `label ${prefix}${key} counts for nothing without label ${prefix}${NEEDS[key]?.[0]}`,
      ),
  };
}
