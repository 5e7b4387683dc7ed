// Reads certificates in PEM.

import { X509Certificate } from "node:crypto";

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/**
 * Reads the certificates in a text.
 * @returns them alone, in PEM (RFC 7468), or what is wrong with the text
 */
export function parseCertificates(text: string): { text: string } | { problem: string } {
  const blocks = text.match(CERTIFICATE) ?? [];
  if (blocks.length === 0) return { problem: "it has no certificate in PEM" };
  try {
    return { text: blocks.map((block) => new X509Certificate(block).toString()).join("") };
  } catch {
    return { problem: "a certificate in it cannot be read" };
  }
}
