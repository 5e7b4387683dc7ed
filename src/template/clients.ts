// What the template needs to ask clients for certificates: which hosts ask, and whom they trust.

import { digestOf } from "../lib/digest.ts";
import { compare } from "../lib/text.ts";
import { isWildcard } from "../lib/places.ts";
import type { Authorities, Route } from "../model.ts";

/** How clients of a host are asked for a certificate. */
export interface ClientRule {
  /** Whether there is no connection without one. */
  readonly verify: "required" | "optional";
  /** The name of the file beside the configuration with the authorities. */
  readonly ca: string;
  /** That of what they have revoked; empty: nobody looks. */
  readonly crl: string;
  /** A word for both, which is another one once there is something else in them. */
  readonly trust: string;
}

/** A file beside the configuration. */
interface AuthorityFile {
  readonly name: string;
  readonly text: string;
}

/** The files of authorities, and those of what they have revoked. */
export interface AuthorityFiles {
  readonly cas: readonly AuthorityFile[];
  readonly crls: readonly AuthorityFile[];
}

/** Whether a route asks for certificates, and answers somebody. */
export function asksClients({ rules, host }: Route): boolean {
  return rules.closed === "" && rules.values["mtls"] !== undefined && host !== "";
}

/** A word for whom a route trusts. None of a connection is so if the route trusts nobody. */
export function trustOf(authorities: Authorities | undefined): string {
  if (authorities === undefined) return "nobody";
  return digestOf([authorities.ca.text, authorities.crl?.text ?? ""].join("\n"));
}

/** Tells how clients are asked that want a name; undefined: they are not. */
export type RuleFor = (name: string) => ClientRule | undefined;

/**
 * How clients are asked, by the name that they want. The routes of the narrowest host that asks say whom it
 * trusts.
 *
 * It is a matter of the connection, so all routes of a name are concerned: a certificate is required only if
 * each of them requires one. Who comes without one to a route that does is turned away there.
 * @returns undefined if no route asks
 */
export function clientRules(routes: readonly Route[]): RuleFor | undefined {
  if (!routes.some(asksClients)) return undefined;
  const byHost = Map.groupBy(
    routes.filter(({ host }) => host !== ""),
    ({ host }) => host,
  );
  const trusted = new Map(
    [...byHost].flatMap(([host, own]) => {
      const authorities = own.find(asksClients)?.rules.authorities;
      return authorities === undefined ? [] : [[host, toRule(authorities)] as const];
    }),
  );
  return (name) => {
    const hosts = hostsFor(name);
    const rule = hosts.map((host) => trusted.get(host)).find((each) => each !== undefined);
    if (rule === undefined) return undefined;
    const all = hosts.flatMap((host) => byHost.get(host) ?? []);
    return { ...rule, verify: all.every(requires) ? "required" : "optional" };
  };
}

function toRule({ ca, crl }: Authorities): Omit<ClientRule, "verify"> {
  return {
    ca: fileOf("ca", ca.path),
    crl: crl === undefined ? "" : fileOf("crl", crl.path),
    trust: trustOf({ ca, crl }),
  };
}

/** Whether nobody without a certificate is answered by a route. */
function requires({ rules }: Route): boolean {
  return rules.closed !== "" || rules.values["mtls"] === "required";
}

/** A name, or a wildcard, and the wildcards that it is below, the narrowest first. */
function hostsFor(name: string): string[] {
  const labels = name.replace(/^\*\./, "").split(".");
  const from = isWildcard(name) ? 0 : 1;
  const wildcards = labels
    .slice(from)
    .map((_, index) => `*.${labels.slice(from + index).join(".")}`);
  return [...new Set([name, ...wildcards])];
}

/** The files that the routes which ask clients need. */
export function authorityFilesOf(routes: readonly Route[]): AuthorityFiles {
  const all = routes.filter(asksClients).flatMap(({ rules }) => rules.authorities ?? []);
  const named = (kind: "ca" | "crl"): AuthorityFile[] => {
    const texts = all.flatMap(({ [kind]: file }) =>
      file === undefined ? [] : [[fileOf(kind, file.path), file.text] as const],
    );
    return [...new Map(texts)]
      .map(([name, text]) => ({ name, text }))
      .toSorted((a, b) => compare(a.name, b.name));
  };
  return { cas: named("ca"), crls: named("crl") };
}

/** The names of the files that a route which asks clients needs. */
export function authorityNames({ rules: { authorities } }: Route): string[] {
  if (authorities === undefined) return [];
  const { ca, crl } = toRule(authorities);
  return [ca, crl].filter((name) => name !== "");
}

/** The name of the file beside the configuration that has what is in a file of this machine. */
function fileOf(kind: string, path: string): string {
  return `${kind}-${digestOf(path)}`;
}
