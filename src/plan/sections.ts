// What changed between two versions of a section: operations where they suffice, or a reason.

import { splitWords, type Section } from "../config/sections.ts";
import { Memory } from "../lib/memo.ts";
import { isSpare } from "../config/operations.ts";
import type { Capabilities, Operation, ServerLine } from "../config/operations.ts";
import { isLiteral, isServerLine, serversOf, type Inherited } from "../config/servers.ts";

/** What it takes to get from one version to another: reasons for a reload win over operations. */
export interface Change {
  readonly operations: readonly Operation[];
  readonly reasons: readonly string[];
}

/** What decides on a change besides the section itself. */
export interface Surroundings {
  readonly capabilities: Capabilities;
  readonly inherited: Inherited;
  /** What HAProxy was told to drain since, as `backend/server`. */
  readonly drained: ReadonlySet<string>;
}

const NO_CHANGE: Change = { operations: [], reasons: [] };
const NONE: ReadonlySet<string> = new Set();

/** Lines of `defaults` that a backend which is added at run time does not take over. */
const NOT_ADDED = /^compression /;
/** Sections that have servers. */
const WITH_SERVERS = ["backend", "listen"];

/**
 * The change of a section that both versions have.
 * @param running the name that HAProxy has it under
 */
export function changedSection(
  before: Section,
  after: Section,
  running: string,
  { inherited, drained }: Surroundings,
): Change {
  const title = after.title;
  const isSame = before.head === after.head && sameLines(before.lines, after.lines);
  const hasServers = WITH_SERVERS.includes(after.kind);
  if (!hasServers) return isSame ? NO_CHANGE : { operations: [], reasons: [`${title} changed`] };
  const [old, now] = [split(before, inherited), split(after, inherited)];
  const onlyServers = before.head === after.head && sameLines(old.others, now.others);
  if (onlyServers && old.servers !== undefined && now.servers !== undefined) {
    return changedServers(title, running, old.servers, now.servers, drained);
  }
  return isSame ? NO_CHANGE : { operations: [], reasons: [`${title} changed`] };
}

/**
 * The change of a section that is new.
 * @param spare an empty backend to serve it with, where HAProxy cannot add one
 */
export function newSection(
  section: Section,
  spare: string | undefined,
  { capabilities: { version, backends }, inherited }: Surroundings,
): Change {
  const title = section.title;
  const isNew = (why = ""): Change => ({ operations: [], reasons: [`${title} is new${why}`] });
  const own = plainBackend(section, inherited);
  if (own === undefined) return isNew();
  const backend = backends ? section.name : spare;
  if (backend === undefined) {
    return isNew(` (HAProxy ${shortVersion(version)} cannot add one at run time)`);
  }
  if (backends && inherited(section).some((line) => NOT_ADDED.test(line))) {
    return isNew(" (one that is added at run time does not compress)");
  }
  const { operations, reasons } = changedServers(title, backend, [], own.servers, NONE);
  if (reasons.length > 0 || !backends) return { operations, reasons };
  return {
    operations: [
      { do: "add backend", backend, defaults: own.defaults },
      ...operations,
      { do: "publish backend", backend },
    ],
    reasons,
  };
}

/**
 * The change of a section that is gone.
 * @param backend the name that HAProxy has it under
 */
export function goneSection(
  section: Section,
  backend: string,
  { capabilities: { backends }, inherited }: Surroundings,
): Change {
  const own = plainBackend(section, inherited);
  if (own === undefined) return { operations: [], reasons: [`${section.title} is gone`] };
  const { operations, reasons } = changedServers("", backend, own.servers, [], NONE);
  // Where it cannot be removed it stays, empty and asked by nobody, until the next reload.
  if (!backends) return { operations, reasons };
  const { defaults } = own;
  return { operations: [...operations, { do: "remove backend", backend, defaults }], reasons };
}

const plain = new Memory<Section, boolean>();

/** Whether a section is a backend of nothing but servers, which takes the rest from its defaults. */
export function isPlainBackend(section: Section): boolean {
  return plain.of(section, (each) => plainBackend(each, () => []) !== undefined);
}

/** The backends that are provided for what comes, and have nothing yet. */
export function spareBackends(sections: Iterable<Section>): Section[] {
  return [...sections].filter(({ name, lines }) => isSpare(name) && lines.length === 0);
}

function plainBackend(section: Section, inherited: Inherited) {
  const [kind, , from, name, ...rest] = splitWords(section.head);
  const { servers, others } = split(section, inherited);
  if (kind !== "backend" || from !== "from" || name === undefined || rest.length > 0) {
    return undefined;
  }
  return servers === undefined || others.length > 0 ? undefined : { defaults: name, servers };
}

/** A section's servers, undefined where two have one name, and its other lines. */
function split(section: Section, inherited: Inherited) {
  const servers = serversOf(section, inherited(section));
  const unique = new Set(servers.map(({ name }) => name)).size === servers.length;
  return {
    servers: unique ? servers : undefined,
    others: section.lines.filter((line) => !isServerLine(line)),
  };
}

function changedServers(
  title: string,
  backend: string,
  before: readonly ServerLine[],
  after: readonly ServerLine[],
  drained: ReadonlySet<string>,
): Change {
  const old = new Map(before.map((server) => [server.name, server]));
  const now = new Set(after.map(({ name }) => name));
  const operations: Operation[] = [];
  const reasons: string[] = [];
  for (const server of after) {
    const { name, address, port, disabled } = server;
    const was = old.get(name);
    const isThere = was?.address === address && was.port === port;
    if (was !== undefined && !sameLines(was.settings, server.settings)) {
      reasons.push(`${title} changed (the settings of server ${name})`);
    } else if (!isThere && !isLiteral(server)) {
      // HAProxy takes names at run time and never resolves them.
      reasons.push(`${title} changed (server ${name} is not at an address and port)`);
    } else if (was === undefined) operations.push({ do: "add server", backend, server });
    else if (!isThere) operations.push({ do: "move server", backend, server });
    else if (was.disabled !== disabled || (!disabled && drained.has(`${backend}/${name}`))) {
      operations.push({ do: disabled ? "drain server" : "enable server", backend, server });
    }
  }
  for (const server of before) {
    if (!now.has(server.name)) operations.push({ do: "remove server", backend, server });
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
