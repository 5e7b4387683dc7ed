// Translates Traefik's TCP routers, which forward bytes.

import { parsePort } from "../values.ts";
import type { Notes, Theirs } from "./notes.ts";
import type { Draft } from "./routes.ts";
import type { Options, TraefikLabels } from "./traefik-labels.ts";
import { parseRule, TCP_MATCHERS } from "./traefik-rule.ts";
import { toList } from "./vocabulary.ts";
import { toSwitch } from "./values.ts";

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
    drafts,
    isAsked: routers.size > 0 || services.size > 0,
    service: [...services.keys()][0],
  };
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
  const entry = options.get("entrypoints");
  if (entry !== undefined && theirs !== undefined) {
    notes.warn(entry, `its port is not known here, and taken to be ${port}`, "tcp");
  }
  const sni = names.length === 0 ? {} : { "tcp.sni": toList(names) };
  const settings = { tcp: String(port), port: String(port), ...sni };
  return [{ name, host: "", path: "", target: "", settings }];
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
