// The servers of a configuration, each with the settings from its section and its defaults.

import { isIP } from "node:net";
import { sameItems } from "../lib/lists.ts";
import { splitWords, type Section } from "./sections.ts";
import { PLACEHOLDER, RESERVE, WAITING_ROOM, type ServerLine } from "./operations.ts";
import { WeakCache } from "../lib/weak-cache.ts";
import type { Files } from "../model.ts";

/** Lines about the cookies that bind clients to servers. */
const COOKIE_LINE = /^(cookie|dynamic-cookie-key) /;

/** Gives the lines that a section takes over from its `defaults`. */
export type DefaultsLookup = (section: Section) => readonly string[];

/** Lines that make a health check do more than open a TCP connection. */
const OTHER_CHECK_LINES = /^(option (httpchk|smtpchk|ssl-hello-chk|\S+-check)|(http|tcp)-check) ?/;
/** Server settings that make a health check do more, or send it to another address. */
const OTHER_CHECK_SETTINGS =
  /^(port|addr|track|ssl|healthcheck|agent-check|check-(?!send-proxy).*)$/;

/** Makes the lookup for a configuration. Source: configuration manual, chapter 4. */
export function createDefaultsLookup(sections: readonly Section[]): DefaultsLookup {
  const lines = new Map<Section, readonly string[]>();
  return (section) => {
    const parent = parentOf(section);
    return parent === undefined ? [] : linesOf(parent);
  };

  function linesOf(defaults: Section): readonly string[] {
    const known = lines.get(defaults);
    if (known !== undefined) return known;
    // This entry ends the recursion if `defaults` sections name each other. HAProxy refuses those.
    lines.set(defaults, defaults.lines);
    const parent = hasFrom(defaults) ? parentOf(defaults) : undefined;
    const all = parent === undefined ? defaults.lines : [...linesOf(parent), ...defaults.lines];
    lines.set(defaults, all);
    return all;
  }

  /** The `defaults` section that it names with `from`, or else the last one before it. */
  function parentOf(section: Section): Section | undefined {
    const words = splitWords(section.head);
    const parentName = words[words.indexOf("from") + 1];
    if (words.includes("from")) {
      return sections.find(({ kind, name }) => kind === "defaults" && name === parentName);
    }
    const index = sections.findIndex(
      ({ kind, name }) => kind === section.kind && name === section.name,
    );
    return sections.slice(0, Math.max(0, index)).findLast(({ kind }) => kind === "defaults");
  }
}

/** What the words of `default-server` lines mean for the servers after them. */
interface DefaultWords {
  readonly words: readonly string[];
  readonly settings: readonly string[];
  readonly disabled: boolean;
  /** Whether they make a check do more than open a TCP connection. */
  readonly hasOtherCheck: boolean;
}

/** What the lines that sections take over from a `defaults` section say of their servers. */
interface Inherited {
  readonly defaultWords: DefaultWords;
  readonly connectCheckOnly: boolean;
  readonly cookieLines: readonly string[];
}

/** Thousands of backends have the same ones. */
const inherited = new WeakCache<readonly string[], Inherited>();

function readInherited(lines: readonly string[]): Inherited {
  return {
    defaultWords: toDefaultWords(lines.flatMap(defaultServerWords)),
    connectCheckOnly: !lines.some(isOtherCheck),
    cookieLines: lines.filter((line) => COOKIE_LINE.test(line)),
  };
}

function toDefaultWords(words: readonly string[]): DefaultWords {
  const settings = words.filter(isSetting);
  return {
    words,
    settings,
    disabled: words.lastIndexOf("disabled") > words.lastIndexOf("enabled"),
    hasOtherCheck: settings.some(isOtherCheckSetting),
  };
}

/**
 * The servers of a section.
 * @param defaultLines the lines that the section takes over from its `defaults`
 */
export function serversOf(section: Section, defaultLines: readonly string[]): ServerLine[] {
  const common = inherited.get(defaultLines, readInherited);
  let { defaultWords } = common;
  const connectCheckOnly = common.connectCheckOnly && !section.lines.some(isOtherCheck);
  const cookieKey = cookieKeyOf([...common.cookieLines, ...section.lines]);
  const servers: ServerLine[] = [];
  for (const line of section.lines) {
    // A `default-server` line holds only for the servers after it.
    const more = defaultServerWords(line);
    if (more.length > 0) defaultWords = toDefaultWords([...defaultWords.words, ...more]);
    if (isServerLine(line))
      servers.push({ ...toServer(line, defaultWords, connectCheckOnly), cookieKey });
  }
  return servers;
}

/** The key of the cookies that HAProxy makes of the addresses of servers; empty if it makes none. */
function cookieKeyOf(lines: readonly string[]): string {
  const cookie = lines.findLast((line) => line.startsWith("cookie "));
  if (cookie === undefined || !splitWords(cookie).includes("dynamic")) return "";
  const key = lines.findLast((line) => line.startsWith("dynamic-cookie-key "));
  return key === undefined ? "" : (splitWords(key)[1] ?? "");
}

/** The servers of a configuration, one backend after the other. */
export function* serversByBackend(
  sections: readonly Section[],
): Generator<{ readonly backend: string; readonly servers: readonly ServerLine[] }> {
  const defaultLines = createDefaultsLookup(sections);
  for (const section of sections) {
    if (section.kind !== "backend" && section.kind !== "listen") continue;
    yield { backend: section.name, servers: serversOf(section, defaultLines(section)) };
  }
}

/** All servers of a configuration, each with the name of its backend. */
export function serversIn(
  sections: readonly Section[],
): { readonly backend: string; readonly server: ServerLine }[] {
  return [...serversByBackend(sections)].flatMap(({ backend, servers }) =>
    servers.map((server) => ({ backend, server })),
  );
}

const withWaitingRooms = new WeakCache<Files, boolean>();

/** Whether the backends of a configuration have a server at which requests can wait. */
export function hasWaitingRooms(files: Files): boolean {
  const line = new RegExp(`^\\s*server ${WAITING_ROOM} `, "m");
  return withWaitingRooms.get(files, ({ config }) => line.test(config));
}

/** Whether a line is a server that requests can be sent to. */
export function isServerLine(line: string): boolean {
  return line.startsWith("server ") && !isPlaceholderLine(line) && !isReserveLine(line);
}

function isPlaceholderLine(line: string): boolean {
  return line.startsWith(`server ${PLACEHOLDER} `);
}

/** Whether a line is the server that only a former worker uses. It makes no difference before. */
export function isReserveLine(line: string): boolean {
  return line.startsWith(`server ${RESERVE} `);
}

/** The server of a section that is only there as HAProxy wants one; undefined if there is none. */
export function placeholderOf({ lines }: Section): ServerLine | undefined {
  const line = lines.find(isPlaceholderLine);
  return line === undefined
    ? undefined
    : { ...toServer(line, toDefaultWords([]), false), cookieKey: "" };
}

/** Whether HAProxy checks a server. Only such a server can be down until its first good check. */
export function isChecked({ settings }: ServerLine): boolean {
  return settings.lastIndexOf("check") > settings.lastIndexOf("no-check");
}

/** The weight of a server as HAProxy has it. Source: configuration manual, section 5.2 (`weight`). */
export function weightOf({ settings }: ServerLine): string {
  const index = settings.lastIndexOf("weight");
  return index < 0 ? "1" : (settings[index + 1] ?? "1");
}

/** Whether two servers differ in nothing but their weights, if at all. */
export function haveSameSettings(one: ServerLine, other: ServerLine): boolean {
  return sameItems(withoutWeight(one), withoutWeight(other));
}

function withoutWeight({ settings }: ServerLine): readonly string[] {
  return settings.filter((word, index) => word !== "weight" && settings[index - 1] !== "weight");
}

/** The address of a server, without the brackets of IPv6. */
export function bareAddress({ address }: ServerLine): string {
  return address.replace(/^\[(.*)\]$/, "$1");
}

/** The place of a server as its line has it: `address:port`, IPv6 in brackets. */
export function placeOf({ address, port }: Pick<ServerLine, "address" | "port">): string {
  return `${address.includes(":") && !address.startsWith("[") ? `[${address}]` : address}:${port}`;
}

/** Whether a server has an IP address and a port, not a host name or the path of a socket. */
export function hasIpAndPort(server: ServerLine): boolean {
  return isIP(bareAddress(server)) > 0 && /^[1-9]\d{0,4}$/.test(server.port);
}

function defaultServerWords(line: string): string[] {
  return line.startsWith("default-server ") ? splitWords(line).slice(1) : [];
}

function hasFrom({ head }: Section): boolean {
  return splitWords(head).includes("from");
}

function isOtherCheck(line: string): boolean {
  return OTHER_CHECK_LINES.test(line);
}

function isOtherCheckSetting(word: string): boolean {
  return OTHER_CHECK_SETTINGS.test(word);
}

function isSetting(word: string): boolean {
  return word !== "disabled" && word !== "enabled";
}

function toServer(
  line: string,
  defaultWords: DefaultWords,
  connectCheckOnly: boolean,
): Omit<ServerLine, "cookieKey"> {
  const [, name = "", hostPort = "", ...words] = splitWords(line);
  const colon = hostPort.lastIndexOf(":");
  const settings = words.filter(isSetting);
  const hasOtherCheck = defaultWords.hasOtherCheck || settings.some(isOtherCheckSetting);
  const isSaid = settings.length < words.length;
  return {
    name,
    address: colon < 0 ? hostPort : hostPort.slice(0, colon),
    port: colon < 0 ? "" : hostPort.slice(colon + 1),
    settings: [...defaultWords.settings, ...settings],
    disabled: isSaid
      ? words.lastIndexOf("disabled") > words.lastIndexOf("enabled")
      : defaultWords.disabled,
    connectCheckOnly: connectCheckOnly && !hasOtherCheck,
  };
}
