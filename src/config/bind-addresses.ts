// The addresses that a configuration listens on: pure text, read before HAProxy tries them.

import { splitWords, type Section } from "./sections.ts";

/** What makes an address another one than it looks like, or leaves it to HAProxy alone. */
const UNUSUAL = ["transparent", "namespace", "interface", "v6only"];
const LITERAL = /^(?:ipv[46]@)?(\*|[0-9.]*|\[?[0-9A-Fa-f:]*\]?):(\d+)$/;

/**
 * The TCP addresses of all `bind` lines as `host:port`, `*` for all of IPv4; left out is what only
 * HAProxy understands: names, ports from variables, sockets. Source: configuration manual, `bind`.
 */
export function bindAddresses(sections: readonly Section[]): string[] {
  const addresses = sections
    .filter(({ kind }) => kind === "frontend" || kind === "listen")
    .flatMap(({ lines }) => lines.filter((line) => line.startsWith("bind ")).map(splitWords))
    .filter((words) => !words.some((word) => UNUSUAL.includes(word)))
    .flatMap(([, list = ""]) => list.split(","))
    .flatMap((address) => {
      const [, host, port] = LITERAL.exec(address) ?? [];
      return host === undefined ? [] : [`${host === "" ? "*" : host}:${port}`];
    });
  return [...new Set(addresses)];
}

/**
 * The addresses that a new configuration listens on and the running one does not. A port that both
 * have is HAProxy's own already, whatever the address.
 */
export function newAddresses(running: readonly Section[], desired: readonly Section[]): string[] {
  const ports = new Set(bindAddresses(running).map(portOf));
  return bindAddresses(desired).filter((address) => !ports.has(portOf(address)));
}

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(":") + 1);
}
