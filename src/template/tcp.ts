// What the template needs for ports from which bytes are forwarded as they are.

import { compare } from "../lib/text.ts";
import type { Route, Service } from "../model.ts";
import { networkEntries } from "./networks.ts";
import { idOf, markOf, type Entry } from "./rules.ts";

/** A port of the gateway. */
interface TcpPort {
  readonly port: number;
  /** The addresses to listen at, as `bind` takes them. */
  readonly binds: readonly string[];
  /** Whether services share it by the names that clients ask for by TLS. */
  readonly named: boolean;
  /** Whether a service there says who may come in, and who may not. */
  readonly allow: boolean;
  readonly deny: boolean;
}

/** What templates see of them. */
export interface TcpContext {
  readonly ports: readonly TcpPort[];
  /** A key for each port, and for each name. Its value is a backend, perhaps with a mark as that of a route. */
  readonly routes: readonly Entry[];
  /** The networks that may use them or may not. */
  readonly networks: readonly Entry[];
}

/**
 * Makes what templates see.
 * @param services those whose bytes are forwarded
 * @param listen the addresses where HTTP is served: the same hosts are listened at
 */
export function toTcpContext(services: readonly Service[], listen: readonly string[]): TcpContext {
  const routes = services.flatMap((service) => service.routes);
  const byPort = Map.groupBy(routes, ({ tcp = 0 }) => tcp);
  return {
    ports: [...byPort]
      .toSorted(([a], [b]) => a - b)
      .map(([port, own]) => ({
        port,
        binds: bindsOf(listen, port),
        named: own.some(({ host }) => host !== ""),
        allow: own.some((route) => has(route, "allow")),
        deny: own.some((route) => has(route, "deny")),
      })),
    routes: routes
      .map((route) => ({ key: route.key, value: `${route.backend}${markOf(route)}` }))
      .toSorted((a, b) => compare(a.key, b.key)),
    networks: networkEntries(
      routes
        .filter((route) => has(route, "allow") || has(route, "deny"))
        .map((route) => ({ id: idOf(route), values: route.rules.values })),
    ),
  };
}

function has({ rules }: Route, label: string): boolean {
  return rules.values[label] !== undefined;
}

/** The addresses to listen at for a port. @param listen those where HTTP is served */
export function bindsOf(listen: readonly string[], port: number): readonly string[] {
  return hostsOf(listen).map((host) => `${host}:${port}`);
}

/** The hosts of addresses, each once. Where all of a family are listened at, no other of it is. */
function hostsOf(listen: readonly string[]): string[] {
  const hosts = [...new Set(listen.map((address) => address.slice(0, address.lastIndexOf(":"))))];
  const whole = new Set(hosts.filter(isAll).map(isIpv6));
  return hosts.filter((host) => isAll(host) || !whole.has(isIpv6(host)));
}

/** Whether a host stands for all addresses of its family. */
function isAll(host: string): boolean {
  return /^(?:\*|[0.]*|\[[0:]*\])$/.test(host);
}

function isIpv6(host: string): boolean {
  return host.startsWith("[");
}
