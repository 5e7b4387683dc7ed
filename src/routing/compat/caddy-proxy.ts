// Translates Caddy's `reverse_proxy` and what is in its block.

import { parsePort } from "../values.ts";
import { toUpstreams, type Directive } from "./caddy-tree.ts";
import { readHeader } from "./caddy-header.ts";
import type { Notes } from "./notes.ts";
import { toDuration, toHeaderName, toPath, toWord } from "./values.ts";
import type { Settings } from "./vocabulary.ts";

const POLICIES: Readonly<Record<string, string>> = {
  ip_hash: "source",
  client_ip_hash: "source",
  least_conn: "leastconn",
  random: "random",
  random_choose: "random",
  round_robin: "roundrobin",
};
/** Caddy's own name for the cookie of its policy `cookie`. */
const DEFAULT_COOKIE = "lb";

/**
 * The settings of a proxy; undefined if it leads to anything but the container itself.
 * @param args its arguments without the condition
 */
export function readProxy(
  directive: Directive,
  args: readonly string[],
  notes: Notes,
): Settings | undefined {
  const to = directive.block.filter(({ name }) => name === "to");
  const targets = [...args, ...to.flatMap((each) => each.args)];
  const upstreams = targets.map(toUpstreams);
  const [first, ...others] = upstreams;
  const port = first?.port === undefined ? undefined : parsePort(first.port);
  const isOwn = first !== undefined && others.length === 0 && !directive.isTemplate;
  if (!isOwn || (first.port !== undefined && port === undefined)) {
    notes.warn(
      directive.theirs,
      "only {{upstreams}} with a port is known, so it is left out",
      "port",
    );
    return undefined;
  }
  let settings: Settings = {
    ...(port === undefined ? {} : { port: String(port) }),
    ...(first.scheme === undefined || first.scheme === "http" ? {} : { scheme: first.scheme }),
  };
  for (const option of directive.block) {
    if (option.name !== "to") settings = { ...settings, ...readOption(option, notes) };
  }
  if (settings.check === undefined) {
    const rest = Object.entries(settings).filter(([name]) => !name.startsWith("check."));
    settings = Object.fromEntries(rest);
  }
  return settings;
}

function readOption(option: Directive, notes: Notes): Settings {
  const { name, args, theirs, isTemplate } = option;
  const value = args[0] ?? "";
  if (isTemplate) {
    notes.warn(theirs, "its template is not known");
    return {};
  }
  switch (name) {
    case "header_up":
      return readHeader("request", args, option, notes);
    case "header_down":
      return readHeader("response", args, option, notes);
    case "lb_policy":
      return readPolicy(option, notes);
    case "health_uri": {
      const check = toPath(value);
      if (check !== undefined) return { check };
      notes.warn(theirs, "it is no path", "check");
      return {};
    }
    case "health_interval": {
      const interval = toDuration(value);
      if (interval !== undefined) return { "check.interval": interval };
      notes.warn(theirs, "it is no duration", "check.interval");
      return {};
    }
    case "health_status": {
      if (/^[1-5]\d\d$/.test(value)) return { "check.status": value };
      notes.warn(theirs, "it is no status", "check.status");
      return {};
    }
    case "transport":
      return readTransport(option, notes);
    case "flush_interval":
      // Nothing is held back here.
      return {};
    default:
      if (name.startsWith("health_")) notes.warn(theirs, "it is not known", "check");
      else notes.warn(theirs, "it is not known");
      return {};
  }
}

function readPolicy({ args, theirs }: Directive, notes: Notes): Settings {
  const [policy = "", name = ""] = args;
  if (Object.hasOwn(POLICIES, policy)) return { balance: POLICIES[policy] ?? "" };
  if (policy === "header" && toHeaderName(name) !== undefined) return { balance: `hash:${name}` };
  if (policy === "cookie" && toWord(name || DEFAULT_COOKIE) !== undefined) {
    return { sticky: name || DEFAULT_COOKIE };
  }
  notes.warn(theirs, "it is not known", "balance", "sticky");
  return {};
}

function readTransport({ args, block, theirs }: Directive, notes: Notes): Settings {
  if (args.length > 0 && args[0] !== "http") {
    notes.warn(theirs, "only http is known", "scheme");
    return {};
  }
  let settings: Settings = {};
  for (const option of block) {
    const value = option.args[0] ?? "";
    if (option.name === "tls") settings = { ...settings, scheme: "https" };
    else if (option.name === "tls_insecure_skip_verify") {
      settings = { ...settings, scheme: "https", "https.verify": "false" };
    } else if (option.name === "versions" && option.args.join() === "h2c") {
      settings = { ...settings, scheme: "h2c" };
    } else if (option.name === "dial_timeout" || option.name === "response_header_timeout") {
      const timeout = toDuration(value);
      const label = option.name === "dial_timeout" ? "timeout.connect" : "timeout";
      if (timeout === undefined) notes.warn(option.theirs, "it is no duration", label);
      else settings = { ...settings, [label]: timeout };
    } else notes.warn(option.theirs, "it is not known", "scheme", "https.verify");
  }
  return settings;
}
