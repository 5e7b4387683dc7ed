// Translates Traefik's TCP routers, which forward bytes.

import { ANY_NAME } from "../../lib/places.ts";
import { parsePort } from "../values.ts";
import type { Notes, Theirs } from "./notes.ts";
import type { Draft } from "./routes.ts";
import type { Options, TraefikLabels } from "./traefik-labels.ts";
import { parseRule, TCP_MATCHERS } from "./traefik-rule.ts";
import { toList } from "./vocabulary.ts";
import { splitList, toSwitch } from "./values.ts";

export interface TcpRouters {
  readonly drafts: readonly Draft[];
  /** Whether the labels ask for anything in TCP. */
  readonly isAsked: boolean;
  /** The first service that they name. */
  readonly service: string | undefined;
}

/** The routes of TCP. They have neither a host nor a path of HTTP. */
export function readTcpRouters(
  { routers, services, middlewares }: TraefikLabels["tcp"],
  notes: Notes,
): TcpRouters {
  const ports = new Map<string, Theirs | undefined>();
  for (const [name, options] of services) {
    ports.set(name, options.get("loadbalancer.server.port"));
    for (const [option, theirs] of options) {
      if (option !== "loadbalancer.server.port") notes.warn(theirs, "it is not known", "tcp");
    }
  }
  for (const options of middlewares.values()) {
    for (const theirs of options.values()) notes.warn(theirs, "it is not known", "allow");
  }
  const drafts = [...routers].flatMap(([name, options]) => readRouter(name, options, ports, notes));
  return {
    drafts: together(drafts),
    isAsked: routers.size > 0 || services.size > 0,
    service: [...services.keys()][0],
  };
}

/** Drafts with the names of all that lead from one port to another: that is one route of ours. */
function together(drafts: readonly Draft[]): readonly Draft[] {
  const groups = Map.groupBy(drafts, ({ settings: { tcp, port } }) => `${tcp} ${port}`);
  return [...groups.values()].flatMap(([first, ...more]) => {
    if (first === undefined) return [];
    const all = [first, ...more];
    const isWhole = all.some((draft) => namesOf(draft).length === 0);
    const { "tcp.sni": _, ...settings } = first.settings;
    const sni = isWhole ? {} : { "tcp.sni": toList(new Set(all.flatMap(namesOf))) };
    return { ...first, settings: { ...settings, ...sni } };
  });
}

function namesOf({ settings }: Draft): readonly string[] {
  return splitList(settings["tcp.sni"] ?? "");
}

function readRouter(
  name: string,
  options: Options,
  ports: ReadonlyMap<string, Theirs | undefined>,
  notes: Notes,
): readonly Draft[] {
  const rule = options.get("rule");
  const names = rule === undefined ? undefined : readNames(rule, notes);
  const service = options
    .get("service")
    ?.value.trim()
    .toLowerCase()
    .replace(/@docker$/, "");
  const theirs = service === undefined ? only([...ports.values()]) : ports.get(service);
  const port = theirs === undefined ? undefined : parsePort(theirs.value.trim());
  const subject = rule ?? [...options.values()][0];
  if (names === undefined || subject === undefined) return [];
  if (port === undefined) {
    notes.warn(theirs ?? subject, "its service has no port, so its router is left out", "tcp");
    return [];
  }
  const guard = options.get("middlewares");
  if (guard !== undefined) {
    notes.warn(guard, "middlewares of TCP are not known, so its router is left out", "allow");
    return [];
  }
  if (!isForwarded(options, names, notes)) return [];
  const listens = listensAt(options.get("entrypoints"), notes);
  if (listens === undefined) return [];
  if (listens === "anywhere") {
    const what = `without an entry point Traefik listens at all of its ports, here at ${port}`;
    notes.warn(subject, what, "tcp");
  }
  // Whatever name is asked for by TLS, where others may have some, is another thing than the whole port.
  const passes = toSwitch(options.get("tls.passthrough")?.value ?? "false") ?? false;
  const asked = names.length === 0 && passes ? [ANY_NAME] : names;
  const sni = asked.length === 0 ? {} : { "tcp.sni": toList(asked) };
  const tcp = String(listens === "anywhere" ? port : listens);
  const settings = { tcp, port: String(port), ...sni };
  return [{ name, host: "", path: "", target: "", settings }];
}

/** The ports of Traefik's usual names. */
const USUAL_PORTS: Readonly<Record<string, number>> = {
  web: 80,
  http: 80,
  websecure: 443,
  "web-secure": 443,
  https: 443,
};

/**
 * The port of an entry point. It is in Traefik's own configuration; only its name can tell it here, as
 * `websecure` or `tcp-5432` does.
 * @returns undefined if it is not known: whoever guessed it might open a port to everybody
 */
function listensAt(entry: Theirs | undefined, notes: Notes): number | "anywhere" | undefined {
  if (entry === undefined) return "anywhere";
  const [name = "", ...more] = splitList(entry.value);
  const [, digits = ""] = /(?:^|[^0-9.])(\d{2,5})$/.exec(name) ?? [];
  const known = Object.hasOwn(USUAL_PORTS, name.toLowerCase())
    ? USUAL_PORTS[name.toLowerCase()]
    : parsePort(digits);
  if (known !== undefined && more.length === 0) return known;
  const what =
    more.length > 0
      ? "a container has one port of TCP here, so its router is left out"
      : "its port is in Traefik's own configuration and not known here, so its router is left out";
  notes.warn(entry, what, "tcp");
  return undefined;
}

/** The TLS server names of a rule; empty: all, and also what is no TLS. */
function readNames(rule: Theirs, notes: Notes): readonly string[] | undefined {
  const read = parseRule(rule.value, TCP_MATCHERS);
  const lost = "reason" in read ? [read.reason] : read.lost;
  if (lost.length > 0) {
    notes.warn(rule, `not understood: ${lost.join(", ")}`, "tcp", "tcp.sni");
  }
  if ("reason" in read || read.pairs.length === 0) return undefined;
  const hosts = read.pairs.map(({ host }) => host);
  return hosts.includes("") ? [] : [...new Set(hosts)];
}

/** Whether bytes go on as they come, also those of TLS. Traefik can also take the TLS off. */
function isForwarded(options: Options, names: readonly string[], notes: Notes): boolean {
  const tls = options.get("tls");
  const passes = toSwitch(options.get("tls.passthrough")?.value ?? "false") ?? false;
  const takesOff = [...options].find(
    ([option, { value }]) =>
      option.startsWith("tls") && option !== "tls.passthrough" && toSwitch(value) !== false,
  )?.[1];
  if (passes || (takesOff === undefined && names.length === 0)) return true;
  const theirs = takesOff ?? tls ?? options.get("rule");
  if (theirs !== undefined) {
    notes.warn(
      theirs,
      "without tls.passthrough, TLS ends at Traefik; its router is left out",
      "tcp.sni",
    );
  }
  return false;
}

/** The only item of a list. */
function only<T>(items: readonly T[]): T | undefined {
  return items.length === 1 ? items[0] : undefined;
}
