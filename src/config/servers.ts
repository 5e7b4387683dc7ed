// The servers of a configuration, each with everything that its section and its defaults say of it.

import { isIP } from "node:net";
import { splitWords, type Section } from "./sections.ts";
import type { ServerLine } from "./operations.ts";

/** The lines that a section takes over from its `defaults`. */
export type Inherited = (section: Section) => readonly string[];

/** Lines with which a check asks for more than that the port accepts connections. */
const CHECKS_MORE = /^(option (httpchk|smtpchk|ssl-hello-chk|\S+-check)|(http|tcp)-check) ?/;
/** Settings of a server with which its check goes elsewhere, or asks for more. */
const CHECKED_OTHERWISE = /^(port|addr|track|ssl|healthcheck|agent-check|check-(?!send-proxy).*)$/;

/** What each section of a configuration takes over. Source: configuration manual, chapter 4. */
export function inheritance(sections: readonly Section[]): Inherited {
  const lines = new Map<Section, readonly string[]>();
  return (section) => {
    const parent = parentOf(section);
    return parent === undefined ? [] : linesOf(parent);
  };

  function linesOf(defaults: Section): readonly string[] {
    const known = lines.get(defaults);
    if (known !== undefined) return known;
    // Set first: HAProxy refuses a circle, and this must not go round in it.
    lines.set(defaults, defaults.lines);
    const parent = hasFrom(defaults) ? parentOf(defaults) : undefined;
    const all = parent === undefined ? defaults.lines : [...linesOf(parent), ...defaults.lines];
    lines.set(defaults, all);
    return all;
  }

  /** The `defaults` that it names, or the last ones before it. */
  function parentOf(section: Section): Section | undefined {
    const words = splitWords(section.head);
    const name = words[words.indexOf("from") + 1];
    if (words.includes("from")) {
      return sections.find((each) => each.kind === "defaults" && each.name === name);
    }
    const place = sections.findIndex(
      ({ kind, name: own }) => kind === section.kind && own === section.name,
    );
    return sections.slice(0, Math.max(0, place)).findLast(({ kind }) => kind === "defaults");
  }
}

/** The servers of a section, with what they inherit. */
export function serversOf(section: Section, inherited: readonly string[]): ServerLine[] {
  const words = inherited.flatMap(defaultWords);
  const connecting = ![...inherited, ...section.lines].some((line) => CHECKS_MORE.test(line));
  const servers: ServerLine[] = [];
  for (const line of section.lines) {
    // What stands behind a server is for those that follow.
    words.push(...defaultWords(line));
    if (isServerLine(line)) servers.push(toServer(line, words, connecting));
  }
  return servers;
}

/** All servers of a configuration, each with its backend's name. */
export function serversIn(
  sections: readonly Section[],
): { readonly backend: string; readonly server: ServerLine }[] {
  const inherited = inheritance(sections);
  return sections
    .filter(({ kind }) => kind === "backend" || kind === "listen")
    .flatMap((section) =>
      serversOf(section, inherited(section)).map((server) => ({ backend: section.name, server })),
    );
}

export function isServerLine(line: string): boolean {
  return line.startsWith("server ");
}

/** Whether HAProxy checks a server: only then it can be down until the first good check. */
export function isChecked({ settings }: ServerLine): boolean {
  return settings.lastIndexOf("check") > settings.lastIndexOf("no-check");
}

/** An address without the brackets of IPv6. */
export function bareAddress({ address }: ServerLine): string {
  return address.replace(/^\[(.*)\]$/, "$1");
}

/** Whether an address and a port stand there, not a name to be resolved or a socket's path. */
export function isLiteral(server: ServerLine): boolean {
  return isIP(bareAddress(server)) > 0 && /^[1-9]\d{0,4}$/.test(server.port);
}

function defaultWords(line: string): string[] {
  return line.startsWith("default-server ") ? splitWords(line).slice(1) : [];
}

function hasFrom({ head }: Section): boolean {
  return splitWords(head).includes("from");
}

function toServer(line: string, inherited: readonly string[], connecting: boolean): ServerLine {
  const [, name = "", target = "", ...own] = splitWords(line);
  const colon = target.lastIndexOf(":");
  const words = [...inherited, ...own];
  const settings = words.filter((word) => word !== "disabled" && word !== "enabled");
  return {
    name,
    address: colon < 0 ? target : target.slice(0, colon),
    port: colon < 0 ? "" : target.slice(colon + 1),
    settings,
    disabled: words.lastIndexOf("disabled") > words.lastIndexOf("enabled"),
    connecting: connecting && !settings.some((word) => CHECKED_OTHERWISE.test(word)),
  };
}
