// What changed between two versions of a section: operations where they suffice, or a reason.

import { splitWords, type Section } from "./haproxy-config.ts";
import type { Capabilities, Operation, ServerLine } from "./operations.ts";

/** What it takes to get from one version to another: reasons for a reload win over operations. */
export interface Change {
  readonly operations: readonly Operation[];
  readonly reasons: readonly string[];
}

export const NO_CHANGE: Change = { operations: [], reasons: [] };

/** The `default-server` words that a section's servers have, by the section's title. */
export type Defaults = (section: Section) => readonly string[];

/** How the names of spare backends begin: no repository's name does. */
const SPARE = "_spare";
/** Sections that have servers. */
const WITH_SERVERS = ["backend", "listen"];

/**
 * The change of a section that both versions have.
 * @param running the name that HAProxy has it under
 */
export function changedSection(
  before: Section,
  after: Section,
  defaults: Defaults,
  running: string,
): Change {
  if (before.head === after.head && sameLines(before.lines, after.lines)) return NO_CHANGE;
  const title = titleOf(after);
  const [old, now] = [split(before, defaults), split(after, defaults)];
  const onlyServers =
    WITH_SERVERS.includes(after.kind) &&
    before.head === after.head &&
    sameLines(old.others, now.others);
  if (!onlyServers || old.servers === undefined || now.servers === undefined) {
    return { operations: [], reasons: [`${title} changed`] };
  }
  return changedServers(title, running, old.servers, now.servers);
}

/**
 * The change of a section that is new.
 * @param spare an empty backend to serve it with, where HAProxy cannot add one
 */
export function newSection(
  section: Section,
  defaults: Defaults,
  { version, backends }: Capabilities,
  spare: string | undefined,
): Change {
  const title = titleOf(section);
  const own = plainBackend(section, defaults);
  if (own === undefined) return { operations: [], reasons: [`${title} is new`] };
  const backend = backends ? section.name : spare;
  if (backend === undefined) {
    const reason = `${title} is new (HAProxy ${shortVersion(version)} cannot add one at run time)`;
    return { operations: [], reasons: [reason] };
  }
  const servers = own.servers.map((server) => ({ do: "add server" as const, backend, server }));
  if (!backends) return { operations: servers, reasons: [] };
  return {
    operations: [
      { do: "add backend", backend, defaults: own.defaults },
      ...servers,
      { do: "publish backend", backend },
    ],
    reasons: [],
  };
}

/**
 * The change of a section that is gone.
 * @param backend the name that HAProxy has it under
 */
export function goneSection(
  section: Section,
  defaults: Defaults,
  { backends }: Capabilities,
  backend: string,
): Change {
  const own = plainBackend(section, defaults);
  if (own === undefined) return { operations: [], reasons: [`${titleOf(section)} is gone`] };
  const servers = own.servers.map(({ name }) => ({
    do: "remove server" as const,
    backend,
    server: name,
  }));
  // Where it cannot be removed it stays, empty and asked by nobody, until the next reload.
  return {
    operations: backends ? [...servers, { do: "remove backend", backend }] : servers,
    reasons: [],
  };
}

const plain = new WeakMap<Section, boolean>();

/** Whether a section is a backend of nothing but servers, which takes the rest from its defaults. */
export function isPlainBackend(section: Section): boolean {
  const known = plain.get(section);
  if (known !== undefined) return known;
  const isPlain = plainBackend(section, () => []) !== undefined;
  plain.set(section, isPlain);
  return isPlain;
}

/** The names of the backends that are provided for what comes, and have nothing yet. */
export function spareBackends(sections: Iterable<Section>): string[] {
  return [...sections]
    .filter(({ name, lines }) => name.startsWith(SPARE) && lines.length === 0)
    .map(({ name }) => name);
}

/** A section as HAProxy's own messages name it. */
export function titleOf({ kind, name }: Section): string {
  return name === "" ? kind : `${kind} "${name}"`;
}

function plainBackend(section: Section, defaults: Defaults) {
  const [kind, , from, name, ...rest] = splitWords(section.head);
  const { servers, others } = split(section, defaults);
  if (kind !== "backend" || from !== "from" || name === undefined || rest.length > 0) {
    return undefined;
  }
  return servers === undefined || others.length > 0 ? undefined : { defaults: name, servers };
}

/** A section's servers, undefined where two have one name, and its other lines. */
function split(section: Section, defaults: Defaults) {
  const inherited = defaults(section);
  const servers = section.lines.filter(isServer).map((line) => toServer(line, inherited));
  const unique = new Set(servers.map(({ name }) => name)).size === servers.length;
  return {
    servers: unique ? servers : undefined,
    others: section.lines.filter((line) => !isServer(line)),
  };
}

function isServer(line: string): boolean {
  return line.startsWith("server ");
}

function toServer(line: string, inherited: readonly string[]): ServerLine {
  const [, name = "", target = "", ...words] = splitWords(line);
  const colon = target.lastIndexOf(":");
  return {
    name,
    address: target.slice(0, colon),
    port: target.slice(colon + 1),
    settings: [...inherited, ...words.filter((word) => word !== "disabled")],
    disabled: words.includes("disabled"),
  };
}

function changedServers(
  title: string,
  backend: string,
  before: readonly ServerLine[],
  after: readonly ServerLine[],
): Change {
  const old = new Map(before.map((server) => [server.name, server]));
  const now = new Set(after.map(({ name }) => name));
  const operations: Operation[] = [];
  const reasons: string[] = [];
  for (const server of after) {
    const was = old.get(server.name);
    if (was === undefined) operations.push({ do: "add server", backend, server });
    else if (was.settings.join(" ") !== server.settings.join(" ")) {
      reasons.push(`${title} changed (the settings of server ${server.name})`);
    } else if (was.address !== server.address || was.port !== server.port) {
      operations.push({ do: "move server", backend, server });
    } else if (was.disabled !== server.disabled) {
      operations.push({ do: server.disabled ? "drain server" : "enable server", backend, server });
    }
  }
  for (const { name } of before) {
    if (!now.has(name)) operations.push({ do: "remove server", backend, server: name });
  }
  return { operations, reasons };
}

function sameLines(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((line, index) => line === b[index]);
}

/** `2.6` of `2.6.12`. */
function shortVersion(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}
