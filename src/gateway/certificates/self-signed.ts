// Makes a certificate that nobody vouches for, for names that have none.

import { parseKeyPair } from "../../lib/certificates.ts";

/** Who issues it, so that whoever looks at it knows where it comes from. */
const ISSUER = "docker-api-gateway self-signed";
/** No host has this name (RFC 6761, section 6.4). */
const NAME = "no-certificate.invalid";
/** So long it is valid, and so long before its end another one is made, in milliseconds. */
const VALID_FOR = 365 * 24 * 3_600_000;
const RENEWED_BEFORE = 30 * 24 * 3_600_000;

/** Makes a key and a certificate for it, in PEM. @param now in milliseconds since 1970 */
export async function makeSelfSigned(now: number): Promise<string> {
  // Loaded only where it is used: it takes 15 ms. Its decorators need the first one before it.
  await import("reflect-metadata");
  const { SubjectAlternativeNameExtension, X509CertificateGenerator } =
    await import("@peculiar/x509");
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: [{ O: [ISSUER] }, { CN: [NAME] }],
    // The clocks of clients may be a little late.
    notBefore: new Date(now - 3_600_000),
    notAfter: new Date(now + VALID_FOR),
    keys,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: [new SubjectAlternativeNameExtension([{ type: "dns", value: NAME }])],
  });
  const key = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  const lines = key.toString("base64").match(/.{1,64}/g) ?? [];
  const text = [
    "-----BEGIN PRIVATE KEY-----",
    ...lines,
    "-----END PRIVATE KEY-----",
    certificate.toString("pem"),
  ].join("\n");
  const pair = parseKeyPair(text);
  if ("problem" in pair)
    throw new Error(`the certificate that was made is of no use: ${pair.problem}`);
  return pair.pem;
}

/** Whether a text has such a certificate that can be used on. @param now in milliseconds since 1970 */
export function isUsableSelfSigned(text: string, now: number): boolean {
  const pair = parseKeyPair(text);
  return !("problem" in pair) && pair.names.includes(NAME) && pair.notAfter - now > RENEWED_BEFORE;
}
