// The settings of a service: whose count, and what the `defaults` section is called that has them.

import { compare } from "../../lib/text.ts";
import { digestOf } from "../../lib/digest.ts";
import type { Settings } from "../../model.ts";
import type { RoutedContainer } from "../container.ts";
import { labelsOf, titleOf } from "../intent.ts";
import { isErrorLabel } from "./errors.ts";

/** The `defaults` section for a service without settings. */
const DEFAULT_PROFILE = "_backend";

/**
 * The name of the `defaults` section with these settings, such as `_timeout:5m`. It begins with a `_`, as
 * no image does. Different settings have different names.
 * @param withRules whether it also has the rules that routes are marked for
 */
export function profileOf(settings: Settings, withRules = false): string {
  const all = entriesOf(settings);
  if (all.length === 0) return withRules ? "_rules" : DEFAULT_PROFILE;
  const start = withRules ? "_rules" : "";
  return start + all.map(([key, value]) => `_${key}:${plain(shortened(key, value))}`).join("");
}

/** The name of the `defaults` section with these settings for services whose bytes are forwarded. */
export function forwardingProfileOf(settings: Settings): string {
  const all = entriesOf(settings);
  return `_tcp${all.map(([key, value]) => `_${key}:${plain(value)}`).join("")}`;
}

/** The path of a file may be too long for a name. */
function shortened(key: string, value: string): string {
  return isErrorLabel(key) || key === "https.ca" ? digestOf(value) : value;
}

/** A value as a part of a name. A slash becomes a colon, and what no name may have becomes a number. */
function plain(value: string): string {
  return value.replaceAll(/[^A-Za-z0-9.]/g, (each) => {
    if (each === "/") return ":";
    return each === "-" ? "--" : `-${each.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** The settings as text for a person, such as `timeout=5m, from label gateway.timeout`. */
export function describeSettings(
  service: string,
  settings: Settings,
  labelPrefix: string,
): string[] {
  const prefix = labelsOf(service, labelPrefix);
  return entriesOf(settings).map(([key, value]) => `${key}=${value}, from label ${prefix}${key}`);
}

function entriesOf(settings: Settings): [key: string, value: string][] {
  return Object.entries(settings).toSorted(([a], [b]) => compare(a, b));
}

/** The settings of a service. */
export interface Agreement {
  readonly settings: Settings;
  /** One for each container that wants something else. */
  readonly warnings: readonly string[];
}

/**
 * What the settings of a service are.
 * @param members its containers; the first one decides
 */
export function agree(
  service: string,
  members: readonly RoutedContainer[],
  labelPrefix: string,
): Agreement {
  const [first, ...others] = members;
  if (first === undefined) return { settings: {}, warnings: [] };
  const { settings } = first.intent;
  const warnings = others.flatMap(({ container, intent }) => {
    const differing = differences(settings, intent.settings);
    if (differing.length === 0) return [];
    const prefix = labelsOf(service, labelPrefix);
    const labels = differing.map((key) => `label ${prefix}${key}`).join(" and ");
    const done = differing
      .map((key) =>
        settings[key] === undefined ? `without ${key}` : `with ${key}=${settings[key]}`,
      )
      .join(" and ");
    const names = `containers ${first.container.name} and ${container.name}`;
    return `${names} share service ${titleOf(service)} and differ in ${labels}: ${first.container.name} is the oldest, so it is served ${done}`;
  });
  return { settings, warnings: warnings.slice(0, 1) };
}

/** The settings in which two differ. */
export function differences(one: Settings, other: Settings): string[] {
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...keys].filter((key) => one[key] !== other[key]).toSorted(compare);
}
