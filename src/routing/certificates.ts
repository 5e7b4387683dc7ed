// Chooses which certificate is shown to clients for which name.

import type { Certificate } from "../model.ts";
import { isWildcard } from "../lib/places.ts";
import { compare } from "../lib/text.ts";

/** Which certificate is for which name. */
export interface CertificateChoice {
  /** Each that is in use, with the names that it is shown for. */
  readonly entries: readonly CertificateEntry[];
  /** The certificates of each name, one for each kind of key. */
  readonly byName: ReadonlyMap<string, readonly Certificate[]>;
  /** The one for clients that ask for no name, or for one that no certificate is for; undefined: none is. */
  readonly byDefault: Certificate | undefined;
}

interface CertificateEntry {
  readonly certificate: Certificate;
  readonly names: readonly string[];
}

/** Nobody has certificates. */
export const NO_CHOICE: CertificateChoice = {
  entries: [],
  byName: new Map(),
  byDefault: undefined,
};

/**
 * Chooses one certificate for each name and kind of key. One that is valid comes before one that is not, then
 * the one that is valid longest, then the one that comes first.
 */
export function chooseCertificates(certificates: readonly Certificate[]): CertificateChoice {
  const byName = new Map<string, Certificate[]>();
  for (const certificate of certificates) {
    for (const name of certificate.names) {
      const chosen = byName.get(name) ?? [];
      const index = chosen.findIndex(({ kind }) => kind === certificate.kind);
      const rival = chosen[index];
      if (rival === undefined) byName.set(name, [...chosen, certificate]);
      else if (isBetter(certificate, rival)) byName.set(name, chosen.with(index, certificate));
    }
  }
  const names = new Map<Certificate, string[]>();
  for (const name of [...byName.keys()].toSorted(compare)) {
    for (const certificate of byName.get(name) ?? []) {
      const own = names.get(certificate);
      if (own === undefined) names.set(certificate, [name]);
      else own.push(name);
    }
  }
  const entries = [...names]
    .map(([certificate, own]) => ({ certificate, names: own }))
    .toSorted((a, b) => compare(a.certificate.path, b.certificate.path));
  return { entries, byName, byDefault: certificates.findLast(({ isDefault }) => isDefault) };
}

function isBetter(a: Certificate, b: Certificate): boolean {
  return a.expired === b.expired ? a.notAfter > b.notAfter : !a.expired;
}

/**
 * The certificates that are shown for a name, one for each kind of key: those of the name itself, else of the
 * wildcard in place of its first label. Source: configuration manual, `crt-list`.
 * @param name a host, or a wildcard such as `*.example.com`, in lower case
 */
export function certificatesFor(
  name: string,
  { byName }: Pick<CertificateChoice, "byName">,
): readonly Certificate[] {
  return byName.get(name) ?? byName.get(wildcardFor(name)) ?? [];
}

/** Whether a name has a certificate that clients accept. `templates/to-https.hbs` asks the same. */
export function isSecured(name: string, { byName }: Pick<CertificateChoice, "byName">): boolean {
  return [name, wildcardFor(name)].some(
    (each) => byName.get(each)?.some(({ expired }) => !expired) === true,
  );
}

/** The wildcard that stands for a name: `*.example.com` for `shop.example.com`. */
function wildcardFor(name: string): string {
  return isWildcard(name) ? name : name.replace(/^[^.]*/, "*");
}

/** What happened to a certificate that clients see. */
export interface CertificateNews {
  readonly event: "certificate" | "renewed certificate" | "no certificate";
  readonly certificate: Certificate;
  /** The names that it is, or was, shown for. */
  readonly names: readonly string[];
}

/** Finds the certificates that are shown from now on, are renewed, or are shown no more. */
export function certificateNews(
  before: CertificateChoice,
  after: CertificateChoice,
): CertificateNews[] {
  if (before.entries === after.entries) return [];
  const old = new Map(before.entries.map((each) => [each.certificate.source, each]));
  const now = new Set(after.entries.map(({ certificate }) => certificate.source));
  const shown = after.entries.flatMap(({ certificate, names }): CertificateNews[] => {
    const was = old.get(certificate.source)?.certificate;
    // The name of its file has a hash of what is in it.
    if (was?.path === certificate.path) return [];
    return [{ event: was ? "renewed certificate" : "certificate", certificate, names }];
  });
  const gone = before.entries
    .filter(({ certificate }) => !now.has(certificate.source))
    .map((each): CertificateNews => ({ event: "no certificate", ...each }));
  return [...shown, ...gone];
}
