// Reads certificates in PEM.

import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { errorMessage } from "./errors.ts";

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;
const PRIVATE_KEY =
  /-----BEGIN (?:RSA |EC |ENCRYPTED )?PRIVATE KEY-----[^]*?-----END (?:RSA |EC |ENCRYPTED )?PRIVATE KEY-----/;
/** HAProxy reads it beside a key of RSA, for clients that know no elliptic curves. */
const DH_PARAMETERS = /-----BEGIN DH PARAMETERS-----[^-]*-----END DH PARAMETERS-----/;

/** A name as clients ask for it: a host name, or a wildcard for one label such as `*.example.com`. */
const DNS_NAME = /^(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,62})\.)*[a-z0-9_][a-z0-9_-]{0,62}$/;

/** What a certificate says, and the key that belongs to it. */
export interface KeyPair {
  /** The key, the certificate and its chain in PEM (RFC 7468), without empty lines. It is secret. */
  readonly pem: string;
  /** The names that it is for, in lower case, wildcards such as `*.example.com` among them. */
  readonly names: readonly string[];
  /** The kind of its key, such as `rsa` or `ec`. A host may have one of each. */
  readonly kind: string;
  /** From when until when it is valid, in milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Who issued it, such as `Let's Encrypt R11`. */
  readonly issuer: string;
  /** The SHA-256 of the certificate, in hexadecimal digits. */
  readonly fingerprint: string;
  /** Whether its chain names the issuer of each certificate but the last one. */
  readonly chainIsWhole: boolean;
}

/** So long before its end a certificate ends soon, in milliseconds; of one with a short life a third. */
const SOON = 7 * 24 * 3_600_000;

/** Whether a certificate, or a list of revoked ones, ends soon: there should be a new one. @param now in ms since 1970 */
export function endsSoon(
  { notBefore, notAfter }: Pick<KeyPair, "notBefore" | "notAfter">,
  now: number,
): boolean {
  return notAfter - now < Math.min(SOON, (notAfter - notBefore) / 3);
}

/**
 * Reads the certificates in a text.
 * @returns them alone, in PEM (RFC 7468), or what is wrong with the text
 */
export function parseCertificates(text: string): { text: string } | { problem: string } {
  const certificates = certificatesIn(text);
  return "problem" in certificates ? certificates : { text: certificates.map(String).join("") };
}

/**
 * Reads the certificates of those who sign the certificates of clients. HAProxy lets somebody in whose chain
 * ends at a root, and nobody by one between alone (`X509_V_FLAG_PARTIAL_CHAIN` in OpenSSL is not set).
 * @returns them alone, in PEM (RFC 7468), or what is wrong with the text
 */
export function parseAuthorities(text: string): { text: string } | { problem: string } {
  const certificates = certificatesIn(text);
  if ("problem" in certificates) return certificates;
  if (!certificates.some(isSelfSigned)) {
    const issuers = [...new Set(certificates.map(issuerOf))].join(" and ");
    return {
      problem: `it has no root, so nobody would be let in: add the certificate of ${issuers}`,
    };
  }
  return { text: certificates.map(String).join("") };
}

function certificatesIn(text: string): X509Certificate[] | { readonly problem: string } {
  const blocks = text.match(CERTIFICATE) ?? [];
  if (blocks.length === 0) return { problem: "it has no certificate in PEM" };
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    return { problem: "a certificate in it cannot be read" };
  }
}

/**
 * Reads a key and its certificate, with the chain behind it.
 * @param text in PEM, in any order: the certificate is the one that belongs to the key
 * @returns both, or what is wrong with the text
 */
export function parseKeyPair(text: string): KeyPair | { readonly problem: string } {
  const [keyText] = PRIVATE_KEY.exec(text) ?? [];
  const blocks = text.match(CERTIFICATE) ?? [];
  if (blocks.length === 0) return { problem: "it has no certificate in PEM" };
  if (keyText === undefined) return { problem: "it has no private key in PEM" };
  if (/ENCRYPTED/.test(keyText)) {
    return { problem: "its private key has a passphrase, which nobody can type in here" };
  }
  let certificates: X509Certificate[];
  let key: KeyObject;
  try {
    certificates = blocks.map((block) => new X509Certificate(block));
  } catch {
    return { problem: "a certificate in it cannot be read" };
  }
  try {
    key = createPrivateKey(keyText);
  } catch (error) {
    return { problem: `its private key cannot be read (${errorMessage(error)})` };
  }
  const own = certificates.find((each) => each.checkPrivateKey(key));
  if (own === undefined) return { problem: "its private key belongs to another certificate" };
  const names = namesOf(own);
  if (names.length === 0) return { problem: "its certificate is for no host name" };
  const chain = [own, ...chainOf(own, certificates)];
  const [parameters] = DH_PARAMETERS.exec(text) ?? [];
  return {
    pem: [key.export({ type: "pkcs8", format: "pem" }), ...chain.map(String), parameters ?? ""]
      .map((part) => part.trim())
      .filter((part) => part !== "")
      .map((part) => `${part}\n`)
      .join(""),
    names,
    kind: own.publicKey.asymmetricKeyType ?? "unknown",
    notBefore: Date.parse(own.validFrom),
    notAfter: Date.parse(own.validTo),
    issuer: issuerOf(own),
    fingerprint: own.fingerprint256.replaceAll(":", "").toLowerCase(),
    chainIsWhole: own.ca || isSelfSigned(own) || chain.length > 1,
  };
}

/** The certificates behind one, each the issuer of the one before it, as clients want them (RFC 8446, 4.4.2). */
function chainOf(own: X509Certificate, all: readonly X509Certificate[]): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let last = own;
  for (;;) {
    const next = all.find(
      (each) => each !== own && !chain.includes(each) && last.checkIssued(each),
    );
    if (next === undefined || isSelfSigned(last)) return chain;
    chain.push(next);
    last = next;
  }
}

function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer && certificate.checkIssued(certificate);
}

/** The names of a certificate: its alternative names, or without any its common name (RFC 6125, 6.4.4). */
function namesOf({ subjectAltName, subject }: X509Certificate): string[] {
  const alternative = [...(subjectAltName ?? "").matchAll(/DNS:("[^"]*"|[^,]*)/g)].map(
    ([, name = ""]) => name,
  );
  const common = /^CN=(.*)$/m.exec(subject)?.[1] ?? "";
  const names = subjectAltName === undefined ? [common] : alternative;
  return [...new Set(names.map((name) => name.trim().toLowerCase()))].filter((name) =>
    DNS_NAME.test(name),
  );
}

/** The organisation and the name of an issuer. */
function issuerOf({ issuer }: X509Certificate): string {
  const field = (name: string): string => new RegExp(`^${name}=(.*)$`, "m").exec(issuer)?.[1] ?? "";
  return [field("O"), field("CN")].filter((part) => part !== "").join(" ") || issuer;
}
