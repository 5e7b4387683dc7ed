// What the template needs to serve HTTPS: the list of certificates, and which hosts have one.

import { WeakCache } from "../lib/weak-cache.ts";
import { compare } from "../lib/text.ts";
import type { Certificate } from "../model.ts";
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
export interface TlsContext extends TlsOptions {
  /** Where HTTP/3 is served, as `bind` takes it. */
  readonly quic: readonly string[];
  /** Each line of the list of certificates, besides the first one. */
  readonly certificates: readonly { readonly path: string; readonly names: string }[];
  /** The certificate for unknown names, with its key. */
  readonly fallback: string;
  readonly ticketKeys: string;
  /** The names that have a certificate, with a word for it. A wildcard is there without its star. */
  readonly hosts: readonly Entry[];
  /** What stands behind a host in the URL of a client that is sent to HTTPS, such as `:8443`. */
  readonly port: string;
}

const contexts = new WeakCache<TlsMaterial, Pick<TlsContext, "certificates" | "hosts">>();

/** Makes what templates see. */
export function toTlsContext(options: TlsOptions, material: TlsMaterial): TlsContext {
  const { listen } = options;
  const port = listen[0]?.slice(listen[0].lastIndexOf(":")) ?? "";
  return {
    ...options,
    ...contexts.get(material, toTables),
    fallback: material.fallback,
    ticketKeys: material.ticketKeys,
    quic: listen.map((address) => `${address.startsWith("[") ? "quic6" : "quic4"}@${address}`),
    port: port === ":443" ? "" : port,
  };
}

function toTables({ entries, byName }: TlsMaterial): Pick<TlsContext, "certificates" | "hosts"> {
  const hosts = [...byName]
    .filter(([, own]) => own.some(({ expired }) => !expired))
    .map(([name, own]) => ({ key: name.replace(/^\*/, ""), value: wordOf(own) }))
    .toSorted((a, b) => compare(a.key, b.key));
  return {
    certificates: entries.map(({ certificate: { path }, names }) => {
      return { path, names: names.join(" ") };
    }),
    hosts,
  };
}

/** The same for names that the same certificates are shown for. */
function wordOf(certificates: readonly Certificate[]): string {
  return certificates
    .map(({ path }) => path.slice(path.lastIndexOf("/") + 1, -".pem".length))
    .join("+");
}
