// The labels of a container whose bytes are forwarded as they are: what they mean there, and which mean
// nothing.

import { ANY_NAME } from "../../lib/places.ts";
import { hasRules, NO_RULES, type Rules, type Settings } from "../../model.ts";
import { parseHost } from "../values.ts";
import { withoutIdle } from "./servers.ts";

/** The name that a client asks for by TLS, a wildcard, or `*` for all that nobody else has. */
export function parseTlsName(text: string): string | undefined {
  return text === ANY_NAME ? text : parseHost(text);
}

/** The settings that mean something without HTTP. */
const SETTINGS = new Set([
  "balance",
  "check.interval",
  "queue",
  "slowstart",
  "timeout.connect",
  "timeout.tunnel",
]);
/** The rules that do. */
const RULES = new Set(["allow", "deny"]);
/** Rules that keep somebody out, and need HTTP for it. */
const GUARDS = ["auth", "auth.file", "mtls"];

/** What a container's own labels say besides the port and its names. */
interface OwnLabels {
  /** What stands before each label. */
  readonly prefix: string;
  /** The places of HTTP and what becomes of its paths, by the names of the labels. */
  readonly values: Readonly<Record<string, unknown>>;
  readonly settings: Settings;
  readonly rules: Rules;
  /** Why its route of HTTP would not be made; undefined if nothing is wrong. */
  readonly reason: string | undefined;
}

/** What they mean where bytes are forwarded. */
interface TcpSettings {
  readonly settings: Settings;
  readonly rules: Rules;
  /** One for each label that means nothing. */
  readonly warnings: readonly string[];
}

/**
 * Takes what means something without HTTP.
 * @param problems what is wrong with values, each as a text that begins with its label
 * @returns the reason why nobody may be let in, if a label keeps somebody out and cannot do so here
 */
export function tcpSettingsOf(
  own: OwnLabels,
  problems: readonly string[],
): TcpSettings | { readonly reason: string } {
  const { prefix, values, settings, rules, reason } = own;
  const tcp = `label ${prefix}tcp`;
  if (rules.closed !== "") {
    const label = `label ${prefix}${rules.closed}`;
    const problem = problems.find((each) => each.startsWith(`${label}=`)) ?? label;
    return { reason: `${problem}: ${tcp} lets nobody in until it is right` };
  }
  const guard = GUARDS.find((each) => rules.values[each] !== undefined);
  if (guard !== undefined) {
    const what = "keeps somebody out and cannot be asked for without HTTP";
    return { reason: `label ${prefix}${guard} ${what}, so ${tcp} lets nobody in` };
  }
  const kept = Object.entries(settings).filter(([key, value]) => isSetting(key, value));
  const used = Object.entries(rules.values).filter(([key]) => RULES.has(key));
  const left = withoutIdle(Object.fromEntries(kept), prefix);
  const wanted = { values: Object.fromEntries(used), closed: "", prefix };
  const idle = [
    ...Object.keys(values),
    ...Object.keys(settings).filter((key) => !kept.some(([each]) => each === key)),
    ...Object.keys(rules.values).filter((key) => !RULES.has(key)),
  ];
  const help = ` (label ${prefix}route.NAME.host or label ${prefix}route.NAME.path serves HTTP, too)`;
  return {
    settings: left.settings,
    rules: hasRules(wanted) ? wanted : NO_RULES,
    warnings: [
      ...(reason === undefined ? [] : [`${reason}: the label counts for nothing beside ${tcp}`]),
      ...left.warnings,
      ...idle.map((key) => {
        const more =
          key === "timeout"
            ? ` (label ${prefix}timeout.tunnel is how long a connection may be silent)`
            : ["host", "path"].includes(key)
              ? help
              : "";
        return `label ${prefix}${key} is about HTTP and counts for nothing beside ${tcp}${more}`;
      }),
    ],
  };
}

function isSetting(key: string, value: string): boolean {
  return SETTINGS.has(key) && !(key === "balance" && value.startsWith("hash:"));
}
