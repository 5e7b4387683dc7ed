// Reads lists of revoked certificates in PEM, and who signs such: whose they are, and until when they count.

import { X509Certificate } from "node:crypto";
import {
  type AsnType,
  BaseStringBlock,
  BitString,
  fromBER,
  GeneralizedTime,
  Integer,
  ObjectIdentifier,
  Sequence,
  Set as Members,
  UTCTime,
} from "asn1js";

const LISTS = /-----BEGIN X509 CRL-----([^-]*)-----END X509 CRL-----/g;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** What people call an authority: its organisation and its name (X.520, sections 6.4.1 and 6.2.2). */
const SPOKEN = ["2.5.4.10", "2.5.4.3"];

/** Who has signed something. */
interface Signer {
  /** As a person reads it. */
  readonly name: string;
  /** The same for all ways to write one name, as OpenSSL compares them. */
  readonly key: string;
}

/** From when until when something counts, in milliseconds since 1970. */
interface Validity {
  readonly notBefore: number;
  /** Infinity: for ever. */
  readonly notAfter: number;
}

/** A list of what somebody has revoked. It counts until the next one is due. */
interface RevocationList extends Signer, Validity {}

/** Somebody who signs the certificates of clients, and for how long their own one counts. */
export interface Authority extends Signer, Validity {
  /** For how long the list of what they have revoked counts; undefined: there is none. */
  readonly list: Validity | undefined;
}

/**
 * Reads the lists of revoked certificates in a text.
 * @returns them alone, in PEM (RFC 7468), or what is wrong with the text
 */
export function parseRevocations(text: string): { text: string } | { problem: string } {
  const lists = bytesOf(text);
  if (lists.length === 0) return { problem: "it has no list of revoked certificates in PEM" };
  if (!lists.every((bytes) => signedPart(bytes) !== undefined)) {
    return { problem: "a list of revoked certificates in it cannot be read" };
  }
  return { text: lists.map(toPem).join("") };
}

/**
 * Who signs the certificates of clients, each with their list of what is revoked. Of several lists of one the newest
 * counts.
 * @param authorities the certificates of those who sign, in PEM
 * @param lists their lists, in PEM; empty: nobody looks
 */
export function authoritiesIn(authorities: string, lists: string): readonly Authority[] {
  const found = bytesOf(lists).flatMap(readList);
  return (authorities.match(CERTIFICATE) ?? []).flatMap(readSigner).map((signer) => {
    const [newest] = found
      .filter(({ key }) => key === signer.key)
      .toSorted((a, b) => b.notAfter - a.notAfter);
    const list = newest && { notBefore: newest.notBefore, notAfter: newest.notAfter };
    return { ...signer, list };
  });
}

function bytesOf(text: string): Buffer[] {
  return [...text.matchAll(LISTS)].map(([, inner = ""]) => Buffer.from(inner, "base64"));
}

/** What is signed in a `CertificateList` (RFC 5280, section 5.1); undefined: it is none. */
function signedPart(bytes: Buffer): Sequence | undefined {
  const { offset, result } = fromBER(bytes);
  if (offset !== bytes.length || !(result instanceof Sequence)) return undefined;
  const [signed, algorithm, signature, ...more] = result.valueBlock.value;
  return signed instanceof Sequence &&
    algorithm instanceof Sequence &&
    signature instanceof BitString &&
    more.length === 0
    ? signed
    : undefined;
}

function readList(bytes: Buffer): RevocationList[] {
  const fields = signedPart(bytes)?.valueBlock.value ?? [];
  // A version may come first.
  const [, issuer, since, next] = fields[0] instanceof Integer ? fields.slice(1) : fields;
  if (!(issuer instanceof Sequence)) return [];
  const validity = { notBefore: timeOf(since) ?? 0, notAfter: timeOf(next) ?? Infinity };
  return [{ ...toSigner(issuer), ...validity }];
}

function timeOf(value: AsnType | undefined): number | undefined {
  return value instanceof UTCTime || value instanceof GeneralizedTime ? +value.toDate() : undefined;
}

/** Who somebody is in a certificate of its own (RFC 5280, section 4.1). */
function readSigner(block: string): (Signer & Validity)[] {
  const certificate = new X509Certificate(block);
  const { result } = fromBER(certificate.raw);
  const [signed] = result instanceof Sequence ? result.valueBlock.value : [];
  const fields = signed instanceof Sequence ? signed.valueBlock.value : [];
  // A version may come first; it has a tag of its own.
  const [, , , , subject] = fields[0] instanceof Integer ? fields : fields.slice(1);
  if (!(subject instanceof Sequence)) return [];
  const [notBefore, notAfter] = [certificate.validFrom, certificate.validTo].map(Date.parse);
  return [{ ...toSigner(subject), notBefore: notBefore ?? 0, notAfter: notAfter ?? Infinity }];
}

function toSigner(name: Sequence): Signer {
  const parts = name.valueBlock.value.flatMap((each) =>
    each instanceof Members ? each.valueBlock.value.flatMap(readPart) : [],
  );
  const spoken = SPOKEN.flatMap((type) => parts.filter((part) => part.type === type));
  return {
    name: (spoken.length === 0 ? parts : spoken).map(({ text }) => text).join(" "),
    key: parts
      .map(({ type, text }) => `${type}=${text.trim().replaceAll(/\s+/g, " ").toLowerCase()}`)
      .join("\n"),
  };
}

function readPart(part: AsnType): { readonly type: string; readonly text: string }[] {
  const [type, text] = part instanceof Sequence ? part.valueBlock.value : [];
  if (!(type instanceof ObjectIdentifier) || text === undefined) return [];
  return [
    {
      type: type.getValue(),
      text: text instanceof BaseStringBlock ? text.getValue() : text.toString(),
    },
  ];
}

function toPem(list: Buffer): string {
  const lines = list.toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN X509 CRL-----", ...lines, "-----END X509 CRL-----", ""].join("\n");
}
