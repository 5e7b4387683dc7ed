// What the template needs to serve HTTPS: the list of certificates, and which hosts have one.

import { digestOf } from "../lib/digest.ts";
import { WeakCache } from "../lib/weak-cache.ts";
import { compare } from "../lib/text.ts";
import type { Certificate, Route } from "../model.ts";
import {
  authorityFilesOf,
  clientRules,
  type AuthorityFiles,
  type ClientRule,
  type RuleFor,
} from "./clients.ts";
import type { Entry } from "./rules.ts";

/** Which versions and ciphers of TLS clients may use. Source: Mozilla's Server Side TLS. */
export const TLS_PROFILES = ["intermediate", "modern"] as const;
type TlsProfile = (typeof TLS_PROFILES)[number];

/** How HTTPS is served, as the user wants it. */
export interface TlsOptions {
  /** The addresses, as `bind` takes them. */
  readonly listen: readonly string[];
  readonly profile: TlsProfile;
  /** Whether a connection for a name that no certificate has is refused. */
  readonly strictSni: boolean;
  /** Whether a client that comes without TLS is sent to a host that has a certificate. */
  readonly redirect: boolean;
  /** Whether HTTP/3 is served, too. */
  readonly http3: boolean;
}

/** What templates see of how HTTPS is served: nothing of where certificates come from. */
export function tlsOptions(choice: TlsOptions | undefined): TlsOptions | false {
  if (choice === undefined) return false;
  const { listen, profile, strictSni, redirect, http3 } = choice;
  return { listen, profile, strictSni, redirect, http3 };
}

/** What is served by HTTPS. */
export interface TlsMaterial {
  /** Each certificate with the names that it is shown for. */
  readonly entries: readonly {
    readonly certificate: Certificate;
    readonly names: readonly string[];
  }[];
  /** The certificates of each name. */
  readonly byName: ReadonlyMap<string, readonly Certificate[]>;
  readonly fallback: string;
  readonly ticketKeys: string;
}

/** What templates see of it. */
export interface TlsContext extends TlsOptions, AuthorityFiles, Tables {
  /** Where HTTP/3 is served, as `bind` takes it. */
  readonly quic: readonly string[];
  /** The certificate for unknown names, with its key. */
  readonly fallback: string;
  readonly ticketKeys: string;
  /** What stands behind a host in the URL of a client that is sent to HTTPS, such as `:8443`. */
  readonly port: string;
}

/** What templates see of names and certificates. */
interface Tables {
  /** Each line of the list of certificates, besides the first one. */
  readonly certificates: readonly CertificateLine[];
  /** The names that have a certificate, with a word for it. A wildcard is there without its star. */
  readonly hosts: readonly Entry[];
  /**
   * The names at which clients are asked for certificates, with a word for whom they trust, and first of all
   * `*` with one for all of them.
   */
  readonly clients: readonly Entry[];
}

interface CertificateLine {
  /** The certificate's file; empty: that of the one for unknown names. */
  readonly path: string;
  readonly names: string;
  /** How clients are asked for a certificate; false: they are not. */
  readonly client: ClientRule | false;
}

const contexts = new WeakCache<TlsMaterial, Tables>();

/**
 * Makes what templates see.
 * @param routes all of HTTP, which may ask clients for certificates
 */
export function toTlsContext(
  options: TlsOptions,
  material: TlsMaterial,
  routes: readonly Route[],
): TlsContext {
  const { listen, strictSni } = options;
  const port = listen[0]?.slice(listen[0].lastIndexOf(":")) ?? "";
  const tables = contexts.get(material, toTables);
  const ruleFor = clientRules(routes);
  return {
    ...options,
    ...(ruleFor === undefined ? tables : withClients(tables, material, routes, ruleFor, strictSni)),
    ...authorityFilesOf(routes),
    fallback: material.fallback,
    ticketKeys: material.ticketKeys,
    quic: listen.map((address) => `${address.startsWith("[") ? "quic6" : "quic4"}@${address}`),
    port: port === ":443" ? "" : port,
  };
}

function toTables({ entries, byName }: TlsMaterial): Tables {
  const hosts = [...byName]
    .filter(([, own]) => own.some(({ expired }) => !expired))
    .map(([name, own]) => ({ key: keyOf(name), value: wordOf(own) }))
    .toSorted((a, b) => compare(a.key, b.key));
  return {
    certificates: entries.map(({ certificate: { path }, names }) => {
      return { path, names: names.join(" "), client: false };
    }),
    hosts,
    clients: [],
  };
}

/**
 * The same with a line of its own for each name at which clients are asked for a certificate. One that has no
 * certificate shows the one for unknown names, unless these are refused.
 */
function withClients(
  tables: Tables,
  { entries, byName }: TlsMaterial,
  routes: readonly Route[],
  ruleFor: RuleFor,
  strictSni: boolean,
): Tables {
  const names = new Set([...byName.keys(), ...routes.map(({ host }) => host)]);
  const asking = [...names]
    .filter((name) => name !== "")
    .toSorted(compare)
    .flatMap((name) => {
      const client = ruleFor(name);
      const own = byName.get(name) ?? byName.get(name.replace(/^[^.]*/, "*"));
      if (client === undefined || (own === undefined && strictSni)) return [];
      return { name, client, paths: own?.map(({ path }) => path) ?? [""] };
    });
  const asked = new Set(asking.map(({ name }) => name));
  const quiet = entries.flatMap(({ certificate: { path }, names: own }): CertificateLine[] => {
    const others = own.filter((name) => !asked.has(name));
    return others.length === 0 ? [] : [{ path, names: others.join(" "), client: false }];
  });
  const lines = asking.flatMap(({ name, client, paths }) =>
    paths.map((path): CertificateLine => ({ path, names: name, client })),
  );
  return {
    ...tables,
    certificates: [...quiet, ...lines],
    clients: withAll(
      asking.map(({ name, client }) => ({ key: keyOf(name), value: `=${client.trust}` })),
    ),
  };
}

/**
 * The same, behind an entry for all of them. Its value changes with any other one, and as it is the first of
 * those that do: whoever connects meanwhile is not taken for one whom the new ones trust.
 */
function withAll(clients: readonly Entry[]): Entry[] {
  const text = clients.map(({ key, value }) => `${key} ${value}`).join("\n");
  return [{ key: "*", value: `=${digestOf(text)}` }, ...clients];
}

/** A name as maps have it: a wildcard without its star. */
function keyOf(name: string): string {
  return name.replace(/^\*/, "");
}

/** The same for names that the same certificates are shown for. */
function wordOf(certificates: readonly Certificate[]): string {
  return certificates
    .map(({ path }) => path.slice(path.lastIndexOf("/") + 1, -".pem".length))
    .join("+");
}
