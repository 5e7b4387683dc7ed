// Chooses which certificate is shown to clients for which name.

import type { Certificate } from "../model.ts";
import { compare } from "../lib/text.ts";

/** Which certificate is for which name. */
export interface CertificateChoice {
  /** Each that is in use, with the names that it is shown for. */
  readonly entries: readonly CertificateEntry[];
  /** The certificates of each name, one for each kind of key. */
  readonly byName: ReadonlyMap<string, readonly Certificate[]>;
}

interface CertificateEntry {
  readonly certificate: Certificate;
  readonly names: readonly string[];
}

/** Nobody has certificates. */
export const NO_CHOICE: CertificateChoice = { entries: [], byName: new Map() };

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
  return { entries, byName };
}

function isBetter(a: Certificate, b: Certificate): boolean {
  return a.expired === b.expired ? a.notAfter > b.notAfter : !a.expired;
}
