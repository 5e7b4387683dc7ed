// Those who sign the certificates of clients. Where the certificate of one has expired, or the list of what is
// revoked has or is missing, nobody comes in with a certificate of theirs.

import { authoritiesIn, type Authority } from "../../lib/revocations.ts";
import { formatDay } from "../../lib/text.ts";
import { WeakCache } from "../../lib/weak-cache.ts";
import type { Authorities, Model, Rules, Service } from "../../model.ts";
import { describeMembers } from "./files.ts";

const known = new WeakCache<Authorities, readonly Authority[]>();
const told = new WeakCache<Service, Map<string, Service>>();

/** Who signs the certificates that clients show. */
export function signersOf(authorities: Authorities): readonly Authority[] {
  return known.get(authorities, ({ ca, crl }) => authoritiesIn(ca.text, crl?.text ?? ""));
}

/**
 * Says of which services clients are refused, whatever certificate they show, as who signs it does not count. A
 * service of which nothing else is said than before is the same object as before.
 * @param now in milliseconds since 1970
 */
export function withSigners(model: Model, now: number): Model {
  const warnings: string[] = [];
  const services = model.services.map((service) => {
    const problems = problemsOf(service, now);
    if (problems.length === 0) return service;
    warnings.push(...problems.map((text) => `${describeMembers(service)}: label ${text}`));
    const made = told.get(service, () => new Map());
    const key = problems.join("\n");
    const marked = made.get(key) ?? {
      ...service,
      fileProblems: [...(service.fileProblems ?? []), ...problems],
    };
    made.set(key, marked);
    return marked;
  });
  if (warnings.length === 0) return model;
  return { ...model, services, warnings: [...model.warnings, ...warnings] };
}

function problemsOf({ routes }: Service, now: number): readonly string[] {
  // Of thousands hardly any has them.
  if (routes.every(({ rules }) => rules.authorities === undefined)) return [];
  return [...new Set(routes.flatMap(({ rules }) => describe(rules, now)))];
}

/**
 * OpenSSL wants a certificate that counts of everybody in the chain, and where there are lists, one that counts of
 * each (`X509_V_FLAG_CRL_CHECK_ALL`, which HAProxy sets).
 */
function describe({ authorities, prefix }: Rules, now: number): string[] {
  if (authorities === undefined) return [];
  const { ca, crl } = authorities;
  return signersOf(authorities).flatMap(({ name, notAfter, list }) => {
    if (notAfter <= now)
      return [problem("ca", ca.path, `${name} expired on ${formatDay(notAfter)}`)];
    if (crl === undefined) return [];
    if (list === undefined) return [problem("crl", crl.path, `it has no list of ${name}`)];
    if (list.notAfter > now) return [];
    const why = `its list of ${name} expired on ${formatDay(list.notAfter)}`;
    return [problem("crl", crl.path, why)];
  });

  function problem(kind: string, path: string, why: string): string {
    return (
      `${prefix}mtls.${kind}=${JSON.stringify(path)}: ${why}: ` +
      "nobody with a certificate of that authority gets in until there is a new one"
    );
  }
}
