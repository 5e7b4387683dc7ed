// When an authority wants a certificate renewed: ARI, RFC 9773.

import { AuthorityKeyIdentifierExtension, X509Certificate } from "@peculiar/x509";
import type { Authority } from "./authority.ts";
import { asRecord } from "./failure.ts";
import { retryTime } from "./transport.ts";

/** What an authority says of a renewal. All times are in milliseconds since 1970. */
export interface RenewalInfo {
  /** Undefined: it says nothing. */
  readonly window: { readonly start: number; readonly end: number } | undefined;
  /** When it is asked again. */
  readonly askAt: number;
}

/** How soon and how late it is asked again, in milliseconds. Source: RFC 9773, section 4.3. */
const [SOONEST, USUAL, LATEST] = [60_000, 6 * 3_600_000, 86_400_000];

/** Stands for a certificate at its authority. Source: RFC 9773, section 4.1. */
export function renewalId(pem: string): string | undefined {
  const certificate = new X509Certificate(pem);
  const { keyId } = certificate.getExtension(AuthorityKeyIdentifierExtension) ?? {};
  if (keyId === undefined) return undefined;
  // Its bytes as they are in the certificate: a first bit that is set would be a sign.
  const serial = certificate.serialNumber;
  const bytes = /^[89a-f]/i.test(serial) && serial.length % 2 === 0 ? `00${serial}` : serial;
  return [keyId, bytes].map((hex) => Buffer.from(hex, "hex").toString("base64url")).join(".");
}

/** Asks when a certificate is to be renewed. @throws an error of the authority or the connection */
export async function askRenewal(
  authority: Authority,
  id: string,
  now: number,
): Promise<RenewalInfo> {
  const answer = await authority.read("renewalInfo", id);
  if (answer === undefined) return { window: undefined, askAt: now + LATEST };
  const said = retryTime(answer.retryAfter, now);
  const askAt = said === 0 ? now + USUAL : Math.min(Math.max(said, now + SOONEST), now + LATEST);
  return { window: windowOf(answer.data), askAt };
}

function windowOf(data: unknown): RenewalInfo["window"] {
  const { suggestedWindow } = asRecord(data);
  const { start, end } = asRecord(suggestedWindow);
  const [from, until] = [Date.parse(String(start)), Date.parse(String(end))];
  return until >= from ? { start: from, end: until } : undefined;
}
