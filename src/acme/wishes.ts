// Decides which certificates are wanted, by the routes that are served.

import { isIP } from "node:net";
import { digestOf } from "../lib/digest.ts";
import { isWildcard } from "../lib/places.ts";
import { compare } from "../lib/text.ts";
import { isForwarded, type Service } from "../model.ts";

/** A certificate that is wanted. */
export interface Wish {
  /** Names its files: it is `FILE.pem`. It stays the same as long as the certificate is wanted. */
  readonly file: string;
  /** The host names, sorted. */
  readonly names: readonly string[];
}

/** A name that gets no certificate, and why. */
export interface Unwished {
  readonly name: string;
  readonly reason: string;
}

export interface Wishes {
  readonly wanted: readonly Wish[];
  readonly unwanted: readonly Unwished[];
}

/** What a name can be asked for with. */
export interface Means {
  /** Whether wildcards can be had: only DNS-01 proves them. Source: RFC 8555, section 8.3. */
  readonly dns: boolean;
  /** Whether the authority is one for everybody, which knows only names of the Internet. */
  readonly isPublic: boolean;
}

/** Let's Encrypt and ZeroSSL put no more names into one certificate. */
const MOST_NAMES = 100;

/** Decides which certificates are wanted for services. */
export function wishesOf(services: readonly Service[], { dns, isPublic }: Means): Wishes {
  const unwanted = new Map<string, string>();
  const alone = new Set<string>();
  const together: Wish[] = [];
  for (const service of services.toSorted((a, b) => compare(a.name, b.name))) {
    if (service.certificates === "off" || isForwarded(service)) continue;
    const hosts = new Set(service.routes.map(({ host }) => host).filter((host) => host !== ""));
    const names = [...hosts].toSorted(compare).filter((name) => {
      const reason = whyNot(name);
      if (reason !== undefined) unwanted.set(name, reason);
      return reason === undefined;
    });
    if (service.certificates !== "together" || names.length === 0) {
      for (const name of names) alone.add(name);
      continue;
    }
    for (let at = 0; at < names.length; at += MOST_NAMES) {
      const part = at === 0 ? "" : `-${at / MOST_NAMES + 1}`;
      const file = `_together.${digestOf(service.name)}${part}`;
      together.push({ file, names: names.slice(at, at + MOST_NAMES) });
    }
  }
  const covered = new Set(together.flatMap(({ names }) => names));
  const single = [...alone]
    .filter((name) => !covered.has(name))
    .map((name): Wish => ({ file: fileOf(name), names: [name] }));
  return {
    wanted: [...single, ...together].toSorted((a, b) => compare(a.file, b.file)),
    unwanted: [...unwanted].map(([name, reason]) => ({ name, reason })),
  };

  function whyNot(name: string): string | undefined {
    if (isIP(name) !== 0) return "it is an address, and no host name";
    if (isPublic && !name.includes("."))
      return "it has no dot: no public authority knows such a name";
    if (isWildcard(name) && !dns) {
      return "it is a wildcard, which only DNS-01 proves: give --acme-dns a command";
    }
    return undefined;
  }
}

/** A wildcard's star is none for the name of a file: `_.example.com`. No host begins so. */
function fileOf(name: string): string {
  return name.replace(/^\*/, "_");
}
