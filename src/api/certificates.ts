// The answer to `GET /v1/certificates`: which certificate each name has, and what is wrong with it. Pure.

import { endsSoon } from "../lib/certificates.ts";
import { reachedName } from "../lib/places.ts";
import type { Authority } from "../lib/revocations.ts";
import { compare, formatDay } from "../lib/text.ts";
import {
  isForwarded,
  type Authorities,
  type Certificate,
  type CertificateState,
  type Service,
} from "../model.ts";
import { certificatesFor, type CertificateChoice } from "../routing/certificates.ts";
import { signersOf } from "../routing/settings/signers.ts";
import type { TlsOptions } from "../template/tls.ts";

/** What is known of HTTPS where it is told of. */
export interface Https {
  /** How it is served; undefined: it is not. */
  readonly options: TlsOptions | undefined;
  /** The authority that is asked for certificates; undefined: none is. */
  readonly authority: AuthorityFacts | undefined;
  /** The certificates that clients see. */
  readonly shown: CertificateChoice;
  /** How those of the authority are. */
  readonly states: readonly CertificateState[];
  /** What is wrong with files of certificates. */
  readonly warnings: readonly string[];
}

export interface AuthorityFacts {
  /** The host of its directory. */
  readonly host: string;
  /** The folder of what it made. */
  readonly folder: string;
}

/** Why a name has its certificate: it is for that very name, for its wildcard, or for what no other is for. */
export type Match = "exact" | "wildcard" | "default" | "none";

/** A name with a certificate. Times are in RFC 3339. What is not known is null. */
export interface CertificateRow {
  /** A host, or a wildcard such as `*.example.com`. */
  readonly name: string;
  /** Whether a route has it. */
  readonly routed: boolean;
  readonly match: Match;
  /** `none`: the connection is refused. */
  readonly source: "file" | "acme" | "self-signed" | "none";
  /** The path of its file, perhaps with that of its key; empty: there is none. */
  readonly path: string;
  /** The authority that makes it, or is to make it; empty: none does. */
  readonly authority: string;
  /** The kind of its key, such as `rsa`; a name may have a certificate of each. */
  readonly key: string;
  readonly issuer: string;
  /** The names that the certificate is for. */
  readonly names: readonly string[];
  readonly notBefore: string | null;
  readonly notAfter: string | null;
  /** Whole days until then; negative: it is over. */
  readonly daysLeft: number | null;
  /** When the authority is asked next. */
  readonly renewal: string | null;
  /** Whether it is asked now. */
  readonly underway: boolean;
  /** What is wrong; empty: nothing is. */
  readonly problem: string;
}

export interface CertificatesDocument {
  /** Whether anything is served by HTTPS. */
  readonly https: boolean;
  /** Those with a problem first. */
  readonly certificates: readonly CertificateRow[];
  /** Who signs the certificates that clients must show; those with a problem first. */
  readonly authorities: readonly AuthorityRow[];
  readonly warnings: readonly string[];
}

/** Somebody who signs the certificates of clients. Times are in RFC 3339. What is not known is null. */
export interface AuthorityRow {
  readonly name: string;
  /** The routes that let in who has a certificate of theirs. */
  readonly routes: readonly string[];
  /** The file of their own certificate. */
  readonly path: string;
  readonly notAfter: string | null;
  /** Whole days until then; negative: it is over. */
  readonly daysLeft: number | null;
  /** The file of the list of what they have revoked; empty: nobody looks. */
  readonly revoked: string;
  /** When the next list is due; null: never, or there is no list. */
  readonly nextList: string | null;
  /** What is wrong, and what to do; empty: nothing is. */
  readonly problem: string;
  /** Whether that keeps everybody out. */
  readonly refused: boolean;
}

/** Makes the answer. @param now in milliseconds since 1970 */
export function certificatesDocument(
  https: Https,
  services: readonly Service[],
  now: number,
): CertificatesDocument {
  const isServed = https.options !== undefined;
  return {
    https: isServed,
    certificates: isServed ? certificateRows(https, services, now) : [],
    authorities: isServed ? authorityRows(services, now) : [],
    warnings: https.warnings,
  };
}

function authorityRows(services: readonly Service[], now: number): readonly AuthorityRow[] {
  const rows = new Map<string, AuthorityRow>();
  const asking = services.flatMap(({ routes }) =>
    routes.filter(({ rules }) => rules.authorities !== undefined),
  );
  for (const route of asking) {
    const { authorities } = route.rules;
    if (authorities === undefined) continue;
    const { ca, crl } = authorities;
    for (const [index, signer] of signersOf(authorities).entries()) {
      const key = JSON.stringify([ca.path, crl?.path, index]);
      const { name, notAfter, list } = signer;
      rows.set(key, {
        name,
        // There is none of them without TLS.
        routes: [...(rows.get(key)?.routes ?? []), reachedName(route, true)],
        path: ca.path,
        notAfter: timeOf(notAfter),
        daysLeft: Number.isFinite(notAfter) ? daysUntil(notAfter, now) : null,
        revoked: crl?.path ?? "",
        nextList: timeOf(list?.notAfter),
        ...problemOfSigner(signer, authorities, now),
      });
    }
  }
  return [...rows.values()].toSorted(
    (a, b) => Number(a.problem === "") - Number(b.problem === "") || compare(a.name, b.name),
  );
}

type SignerProblem = Pick<AuthorityRow, "problem" | "refused">;

function refused(problem: string): SignerProblem {
  return { refused: true, problem };
}

function soon(problem: string): SignerProblem {
  return { refused: false, problem };
}

function problemOfSigner(signer: Authority, { ca, crl }: Authorities, now: number): SignerProblem {
  const { list, notAfter } = signer;
  const out = "so nobody with a certificate of it gets in";
  if (notAfter <= now) {
    return refused(
      `it expired on ${formatDay(notAfter)}, ${out}: put the certificate of its successor into ${ca.path}`,
    );
  }
  if (crl !== undefined) {
    if (list === undefined) {
      return refused(`${crl.path} has no list of it, ${out}: have it make one, and add that`);
    }
    const [due, make] = [formatDay(list.notAfter), `have it make a new one for ${crl.path}`];
    if (list.notAfter <= now)
      return refused(`its list of what is revoked expired on ${due}, ${out}: ${make}`);
    if (endsSoon(list, now)) return soon(`its list of what is revoked ends on ${due}: ${make}`);
  }
  if (!endsSoon(signer, now)) return soon("");
  return soon(
    `it ends on ${formatDay(notAfter)}: put the certificate of its successor beside it into ${ca.path}, ` +
      "and have clients get new ones of that",
  );
}

/** Whole days; negative: it is over. */
function daysUntil(time: number, now: number): number {
  return Math.floor((time - now) / DAY);
}

function certificateRows(
  https: Https,
  services: readonly Service[],
  now: number,
): readonly CertificateRow[] {
  const routed = new Set(hostsOf(services));
  const states = new Map(https.states.map((state) => [state.name, state]));
  const names = new Set([...routed, ...https.shown.byName.keys(), ...states.keys()]);
  const rows = [...names].flatMap((name) =>
    shownFor(name, https).certificates.map((certificate) =>
      rowOf(name, certificate, { https, now, isRouted: routed.has(name), state: states.get(name) }),
    ),
  );
  return rows.toSorted(
    (a, b) => Number(a.problem === "") - Number(b.problem === "") || compare(a.name, b.name),
  );
}

/** The hosts of routes by HTTP, wildcards among them. */
export function hostsOf(services: readonly Service[]): readonly string[] {
  const hosts = services
    .filter((service) => !isForwarded(service))
    .flatMap(({ routes }) => routes.map(({ host }) => host));
  return [...new Set(hosts)].filter((host) => host !== "");
}

/** What is shown for a name: certificates, one for each kind of key, or none of anybody's (undefined). */
export function shownFor(
  name: string,
  { shown, options }: Pick<Https, "shown" | "options">,
): { readonly match: Match; readonly certificates: readonly (Certificate | undefined)[] } {
  const own = certificatesFor(name, shown);
  if (own.length > 0)
    return { match: shown.byName.has(name) ? "exact" : "wildcard", certificates: own };
  if (options?.strictSni === true) return { match: "none", certificates: [undefined] };
  return { match: "default", certificates: [shown.byDefault] };
}

/** Whether a certificate is one of the authority's. */
function isOfAuthority(
  { source }: Pick<Certificate, "source">,
  authority: AuthorityFacts | undefined,
): boolean {
  return authority !== undefined && source.startsWith(`${authority.folder}/`);
}

interface About {
  readonly https: Https;
  readonly now: number;
  readonly isRouted: boolean;
  readonly state: CertificateState | undefined;
}

function rowOf(name: string, certificate: Certificate | undefined, about: About): CertificateRow {
  const { https, now, isRouted, state } = about;
  const { authority } = https;
  const { match } = shownFor(name, https);
  const isMade = certificate !== undefined && isOfAuthority(certificate, authority);
  const source = isMade ? "acme" : certificate ? "file" : match === "none" ? "none" : "self-signed";
  const { path, kind, issuer, names, notBefore, notAfter } = {
    ...(certificate ?? UNKNOWN),
    path: certificate?.source ?? "",
  };
  return {
    name,
    routed: isRouted,
    match,
    source,
    path,
    authority: isMade || state !== undefined ? (authority?.host ?? "") : "",
    key: kind,
    issuer,
    names,
    notBefore: timeOf(notBefore),
    notAfter: timeOf(notAfter),
    daysLeft: notAfter === undefined ? null : daysUntil(notAfter, now),
    renewal: timeOf(state?.nextTry),
    underway: state?.underway ?? false,
    problem: problemOf(match, certificate, about),
  };
}

/** In milliseconds. */
const DAY = 86_400_000;

/** What is told of a certificate that nobody made for anybody. */
const UNKNOWN = { kind: "", issuer: "", names: [], notBefore: undefined, notAfter: undefined };

function problemOf(match: Match, certificate: Certificate | undefined, about: About): string {
  const { https, now, isRouted, state } = about;
  const { authority } = https;
  if (state !== undefined && state.reason !== "") return state.reason;
  const isOwn = certificate !== undefined && (match === "exact" || match === "wildcard");
  if (!isOwn) {
    if (!isRouted || state !== undefined) return "";
    return "no certificate is for it";
  }
  if (now >= certificate.notAfter) return "it is too old: clients refuse it";
  if (now < certificate.notBefore)
    return "it is not valid yet: is the clock of this machine right?";
  if (!endsSoon(certificate, now)) return "";
  if (!isOfAuthority(certificate, authority)) return "it ends soon: renew it";
  if (state !== undefined) return "";
  return isRouted
    ? "it ends soon, and no gateway runs that renews it"
    : "it ends soon, and no route has it any more";
}

function timeOf(time: number | undefined): string | null {
  return time === undefined || !Number.isFinite(time) ? null : new Date(time).toISOString();
}
