// The addresses that a configuration listens on, read from its `bind` lines.

import { splitWords, type Section } from "./sections.ts";

/** With one of these words a `bind` line listens on something else than its address says. */
const UNSUPPORTED = ["transparent", "namespace", "interface", "v6only"];
/** An IP address or nothing, with a port. */
const IP_AND_PORT = /^(?:ipv[46]@)?(\*|[0-9.]*|\[?[0-9A-Fa-f:]*\]?):(\d+)$/;

/**
 * The TCP addresses of all `bind` lines as `host:port`. `*` stands for all IPv4 addresses. Names,
 * ports from variables and sockets are left out: only HAProxy can resolve them.
 * Source: configuration manual, `bind`.
 */
export function bindAddresses(sections: readonly Section[]): string[] {
  const addresses = sections
    .filter(({ kind }) => kind === "frontend" || kind === "listen")
    .flatMap(({ lines }) => lines.filter((line) => line.startsWith("bind ")).map(splitWords))
    .filter((words) => !words.some((word) => UNSUPPORTED.includes(word)))
    .flatMap(([, list = ""]) => list.split(","))
    .flatMap((address) => {
      const [, host, port] = IP_AND_PORT.exec(address) ?? [];
      return host === undefined ? [] : [`${host === "" ? "*" : host}:${port}`];
    });
  return [...new Set(addresses)];
}

/**
 * The addresses that the desired configuration listens on and the running one does not. A port that
 * both have belongs to HAProxy already, whatever the address.
 */
export function newAddresses(running: readonly Section[], desired: readonly Section[]): string[] {
  const ports = new Set(bindAddresses(running).map(portOf));
  return bindAddresses(desired).filter((address) => !ports.has(portOf(address)));
}

/** The port of an address, as text. */
export function portOf(address: string): string {
  return address.slice(address.lastIndexOf(":") + 1);
}
