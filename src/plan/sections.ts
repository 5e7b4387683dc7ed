// Plans the change of one section: operations if they are enough, or the reason for a reload.

import { splitWords, type Section } from "../config/sections.ts";
import { sameItems } from "../lib/lists.ts";
import { WeakCache } from "../lib/weak-cache.ts";
import { shortVersion } from "../lib/text.ts";
import { isSpare, PLACEHOLDER, whySettingRefused } from "../config/operations.ts";
import type { Capabilities, Operation, ServerLine } from "../config/operations.ts";
import {
  hasIpAndPort,
  haveSameSettings,
  isReserveLine,
  isServerLine,
  placeholderOf,
  serversOf,
  weightOf,
  type DefaultsLookup,
} from "../config/servers.ts";

/** The way from one version to another. If there are reasons, it takes a reload. */
export interface Change {
  readonly operations: readonly Operation[];
  readonly reasons: readonly string[];
}

/** What a plan depends on besides the section itself. */
export interface SectionContext {
  readonly capabilities: Capabilities;
  readonly defaultLines: DefaultsLookup;
  /** The servers that are to be told again though their lines are the same. */
  readonly anew: ServersAnew;
}

/** Servers that HAProxy must be told of again. */
export interface ServersAnew {
  /** Those that were drained, disabled or enabled since the files were applied, as `backend/server`. */
  readonly overridden: ReadonlySet<string>;
  /** Those at an `address:port` where another container is now, or the same one after a restart. */
  readonly renewed: ReadonlySet<string>;
}

const NO_CHANGE: Change = { operations: [], reasons: [] };
const NOTHING_ANEW: ServersAnew = { overridden: new Set(), renewed: new Set() };

/**
 * The methods of balancing whose servers are known from the start. Those that hash are so unless the
 * hash is consistent. Source: configuration manual, section 4.2 (`balance`, `hash-type`); management
 * guide, section 9.3 (`add server`).
 */
const FIXED_BALANCE = /^balance (static-rr|(source|uri|url_param|hdr|rdp-cookie|hash)\b)/;

/**
 * Lines that a backend may have beside its servers, and needs no reload for: rules about what a container
 * answers, and what is about FastCGI. Spare backends have them too.
 */
const HARMLESS_LINE = new RegExp(
  `^(?:tcp-response|use-fcgi-app|http-request (?:wait-for-body|return)|server ${PLACEHOLDER}) `,
);

/** Lines of `defaults` that HAProxy does not apply to a backend that is added at run time. */
const IGNORED_AT_RUNTIME = /^compression /;
const KINDS_WITH_SERVERS = ["backend", "listen"];

/**
 * Plans the change of a section that both versions have.
 * @param runningName the section's name in HAProxy
 */
export function planChangedSection(
  before: Section,
  after: Section,
  runningName: string,
  context: SectionContext,
): Change {
  const { defaultLines } = context;
  const title = after.title;
  const isSame = before.head === after.head && sameItems(before.lines, after.lines);
  if (KINDS_WITH_SERVERS.includes(after.kind)) {
    const [old, now] = [splitLines(before, defaultLines), splitLines(after, defaultLines)];
    const onlyServersDiffer = before.head === after.head && sameItems(old.others, now.others);
    if (onlyServersDiffer && old.servers !== undefined && now.servers !== undefined) {
      return planServers(after, runningName, old.servers, now.servers, context);
    }
  }
  return isSame ? NO_CHANGE : { operations: [], reasons: [`${title} changed`] };
}

/**
 * Plans a section that is new.
 * @param spare the spare backend to use for it, if there is one
 * @param whyNone why no spare backend is left, as the rest of a reason; empty if there never was one like
 * it; undefined while it is not known what HAProxy can do
 */
export function planNewSection(
  section: Section,
  spare: string | undefined,
  whyNone: string | undefined,
  context: SectionContext,
): Change {
  const { capabilities, defaultLines } = context;
  const { version, dynamicBackends } = capabilities;
  const isNew = (why = ""): Change => ({
    operations: [],
    reasons: [`${section.title} is new${why}`],
  });
  const plain = parsePlainBackend(section, defaultLines);
  if (plain === undefined) return isNew(whyNotPlain(section, "has"));
  const backend = spare ?? (dynamicBackends ? section.name : undefined);
  if (backend === undefined) {
    return isNew(` (HAProxy ${shortVersion(version)} cannot add one at run time)`);
  }
  const isAdded = spare === undefined;
  // HAProxy adds none with lines of its own.
  if (isAdded && whyNone !== undefined && ownLines(section).length > 0) {
    return isNew(whyNone || whyNotPlain(section, "has"));
  }
  if (isAdded && defaultLines(section).some((line) => IGNORED_AT_RUNTIME.test(line))) {
    return isNew(" (one that is added at run time does not compress)");
  }
  const { operations, reasons } = planServers(section, backend, [], plain.servers, {
    ...context,
    anew: NOTHING_ANEW,
  });
  if (reasons.length > 0 || !isAdded) return { operations, reasons };
  return {
    operations: [
      { do: "add backend", backend, defaults: plain.defaults },
      ...operations,
      { do: "publish backend", backend },
    ],
    reasons,
  };
}

/**
 * Plans the removal of a section.
 * @param backend the section's name in HAProxy
 */
export function planRemovedSection(
  section: Section,
  backend: string,
  context: SectionContext,
): Change {
  const { capabilities, defaultLines } = context;
  const { dynamicBackends } = capabilities;
  const plain = parsePlainBackend(section, defaultLines);
  if (plain === undefined) {
    const reason = `${section.title} is gone${whyNotPlain(section, "had")}`;
    return { operations: [], reasons: [reason] };
  }
  const { operations, reasons } = planServers(section, backend, plain.servers, [], {
    ...context,
    anew: NOTHING_ANEW,
  });
  // A backend that cannot be removed stays until the next reload. It has no servers, and no route
  // leads to it. So does a spare one: the files have it.
  if (!dynamicBackends || backend !== section.name) return { operations, reasons };
  const { defaults } = plain;
  const placeholder = placeholderOf(section);
  const last: Operation[] =
    placeholder === undefined ? [] : [{ do: "remove server", backend, server: placeholder }];
  return {
    operations: [...operations, ...last, { do: "remove backend", backend, defaults }],
    reasons,
  };
}

const plainBackends = new WeakCache<Section, boolean>();

/**
 * Whether a section is a backend that names its defaults, and has nothing but servers and rules about
 * their answers.
 */
export function isPlainBackend(section: Section): boolean {
  return plainBackends.get(section, (each) => parsePlainBackend(each, () => []) !== undefined);
}

/** The backends that are provided for new services, and have no servers of theirs in the configuration. */
export function spareBackends(sections: Iterable<Section>): Section[] {
  return [...sections].filter(isUnusedSpare);
}

const unusedSpares = new WeakCache<Section, boolean>();

/** Whether a section is a backend for new services that has no servers of its own. */
export function isUnusedSpare(section: Section): boolean {
  return (
    isSpare(section.name) && unusedSpares.get(section, ({ lines }) => !lines.some(isServerLine))
  );
}

/** Whether two backends differ in nothing but their names and servers. */
export function areAlike(one: Section, other: Section): boolean {
  return fromClause(one) === fromClause(other) && sameItems(ownLines(one), ownLines(other));
}

/** The name of the `defaults` that a section names; undefined if it names none. */
export function defaultsOf({ head }: Section): string | undefined {
  const words = splitWords(head);
  return words.includes("from") ? words[words.indexOf("from") + 1] : undefined;
}

/** The end of a section's first line, such as `from _backend`. */
function fromClause({ head }: Section): string {
  return splitWords(head).slice(2).join(" ");
}

/** The lines of a section that are no servers, and make it what it is. */
export function ownLines({ lines }: Section): string[] {
  return lines.filter((line) => !isServerLine(line) && !isReserveLine(line));
}

/** The servers of a plain backend and the name of its defaults; undefined for other sections. */
function parsePlainBackend(section: Section, defaultLines: DefaultsLookup) {
  const [kind, , from, defaults, ...rest] = splitWords(section.head);
  const { servers, others } = splitLines(section, defaultLines);
  if (kind !== "backend" || from !== "from" || defaults === undefined || rest.length > 0) {
    return undefined;
  }
  const isPlain = servers !== undefined && others.every((line) => HARMLESS_LINE.test(line));
  return isPlain ? { defaults, servers } : undefined;
}

/**
 * Why a backend is not plain, as the rest of a reason; empty for other sections.
 * @param has the verb for what it has or had
 */
function whyNotPlain(section: Section, has: "has" | "had"): string {
  const { kind, name, head } = section;
  // Those of the built-in templates are nothing that a user could change.
  if (kind !== "backend" || name.startsWith("_")) return "";
  const [, , from, defaults] = splitWords(head);
  if (from !== "from" || defaults === undefined) return ` and ${has} no defaults named with "from"`;
  const others = new Set(ownLines(section).map(keywordOf));
  if (others.size === 0) return ` and ${has} two servers with one name`;
  const own = [...others].join(", ");
  return ` and ${has} lines of its own: ${own} (in defaults "${defaults}" they need no reload)`;
}

/** The keyword of a line, such as `maxconn` or `option httpchk`. */
function keywordOf(line: string): string {
  const [first = "", second = ""] = splitWords(line);
  return ["option", "timeout", "no"].includes(first) ? `${first} ${second}` : first;
}

/** The servers of a section, undefined if two have the same name, and its other lines. */
function splitLines(section: Section, defaultLines: DefaultsLookup) {
  const servers = serversOf(section, defaultLines(section));
  const areUnique = new Set(servers.map(({ name }) => name)).size === servers.length;
  return {
    servers: areUnique ? servers : undefined,
    others: ownLines(section),
  };
}

function planServers(
  section: Section,
  backend: string,
  before: readonly ServerLine[],
  after: readonly ServerLine[],
  { anew: { overridden, renewed }, capabilities, defaultLines }: SectionContext,
): Change {
  const { title } = section;
  const oldServers = new Map(before.map((server) => [server.name, server]));
  const newNames = new Set(after.map(({ name }) => name));
  const operations: Operation[] = [];
  const reasons: string[] = [];
  for (const server of after) {
    const { name, address, port, disabled } = server;
    const old = oldServers.get(name);
    const isSamePlace = old?.address === address && old.port === port;
    const isOverridden = overridden.has(`${backend}/${name}`);
    const isRenewed = renewed.has(`${address}:${port}`);
    if (old !== undefined && weightOf(old) !== weightOf(server)) {
      operations.push({ do: "weigh server", backend, server });
    }
    if (old !== undefined && !haveSameSettings(old, server)) {
      reasons.push(`${title} changed (the settings of server ${name})`);
    } else if (!isSamePlace && !hasIpAndPort(server)) {
      // At run time HAProxy accepts a host name, but never resolves it.
      reasons.push(`${title} changed (server ${name} is not at an address and port)`);
    } else if (old === undefined) {
      const refused = server.settings.find((word) => capabilities.refusedSettings.has(word));
      if (refused !== undefined) reasons.push(whySettingRefused(capabilities.version, refused));
      else operations.push({ do: "add server", backend, server });
    } else if (!isSamePlace) {
      operations.push({ do: "move server", backend, server, from: old });
    } else if (old.disabled !== disabled || isOverridden || (!disabled && isRenewed)) {
      operations.push({ do: disabled ? "drain server" : "enable server", backend, server });
    }
  }
  for (const server of before) {
    if (!newNames.has(server.name)) operations.push({ do: "remove server", backend, server });
  }
  const fixed = operations.some((operation) => operation.do === "add server")
    ? fixedBalance([...defaultLines(section), ...section.lines])
    : undefined;
  if (fixed !== undefined) {
    reasons.push(`${title} has "${fixed}", with which HAProxy adds no server while it runs`);
  }
  return { operations, reasons };
}

/** The line for a balance whose servers are known from the start; undefined for any other. */
function fixedBalance(lines: readonly string[]): string | undefined {
  const balance = lines.findLast((line) => line.startsWith("balance "));
  if (balance === undefined || !FIXED_BALANCE.test(balance)) return undefined;
  const hash = lines.findLast((line) => line.startsWith("hash-type "));
  const isConsistent = hash?.startsWith("hash-type consistent") === true;
  return isConsistent && !balance.startsWith("balance static-rr") ? undefined : balance;
}
