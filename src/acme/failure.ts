// Why there is no certificate, in an operator's words, and what to do about it.

import { GatewayError, systemCode } from "../lib/errors.ts";
import type { Outcome } from "./due.ts";

/** A failed try. */
export class Failure extends Error {
  override readonly name = "Failure";

  /**
   * @param outcome whose failure it is
   * @param message the reason, to be read after "Cannot get a certificate for ...: "
   * @param hint what to do
   * @param notBefore when the authority takes the next try, in milliseconds since 1970; 0: it does not say
   * @param lines the output of a program that failed
   */
  constructor(
    readonly outcome: Outcome,
    message: string,
    readonly hint?: string,
    readonly notBefore = 0,
    readonly lines: readonly string[] = [],
  ) {
    super(message);
  }
}

/** What an authority says of an error. Source: RFC 8555, section 6.7; RFC 7807. */
export interface Problem {
  /** Such as `rateLimited`, without what all of them begin with; empty: it does not say. */
  readonly type: string;
  readonly detail: string;
}

const NAMESPACE = "urn:ietf:params:acme:error:";

/** Reads a problem document. Of several problems in one, the first says most. */
export function parseProblem(value: unknown): Problem {
  const { type, detail, subproblems } = asRecord(value);
  const list = Array.isArray(subproblems) ? subproblems.map(asRecord) : [];
  const details = [detail, ...list.map((each) => each["detail"])].filter(isText);
  return {
    type: isText(type) ? type.replace(NAMESPACE, "") : "",
    // One line of a log, whatever an authority writes.
    detail: [...new Set(details)].join("; ").replaceAll(/\s+/g, " ").slice(0, 500),
  };
}

/** An object of JSON that somebody else made; without anything in it if it is none. */
export function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

/** An answer of an authority that is an error. */
export class Refused extends Error {
  override readonly name = "Refused";

  /** @param retryAt when it takes the next request, in milliseconds since 1970; 0: it does not say */
  constructor(
    readonly status: number,
    readonly problem: Problem,
    readonly retryAt: number,
  ) {
    super(`status ${status}: ${problem.detail || problem.type || "without a reason"}`);
  }
}

/** What each kind of problem means, and what to do. */
const MEANINGS: Readonly<Record<string, readonly [reason: string, hint: string]>> = {
  dns: [
    "the authority does not find its address",
    "its DNS record must be one that everybody sees, and must not be new or cached as missing",
  ],
  connection: [
    "the authority cannot connect to it",
    "port 80 of its address must lead here, from everywhere; or prove it with --acme-dns",
  ],
  tls: ["the authority cannot connect to it", "port 80 must answer without TLS"],
  unauthorized: [
    "the authority got another answer than this gateway's",
    "all of its addresses, IPv6 too, must lead to this gateway; with --acme-dns, the record must be there",
  ],
  incorrectResponse: [
    "the authority got another answer than this gateway's",
    "all of its addresses, IPv6 too, must lead to this gateway",
  ],
  caa: [
    "its CAA record forbids this authority",
    "add the authority to the CAA record, or remove it",
  ],
  rejectedIdentifier: [
    "the authority makes no certificates for this name",
    "label acme=off leaves it out",
  ],
  unsupportedIdentifier: [
    "the authority makes no certificates for such a name",
    "label acme=off leaves it out",
  ],
  rateLimited: [
    "the authority has had too many requests",
    "use --acme-directory staging until all is right; a wildcard, or label acme=together, needs fewer certificates",
  ],
  externalAccountRequired: [
    "the authority wants an account that it knows",
    "give its key with --acme-eab KID:HMAC",
  ],
  userActionRequired: [
    "the authority wants something done by hand",
    "do what it says, and restart the gateway",
  ],
  invalidContact: ["the authority does not take the email address", "give another one with --acme"],
  unsupportedContact: [
    "the authority does not take the email address",
    "give another one with --acme",
  ],
};

/** The problems that are the authority's own. */
const ITS_OWN = new Set(["serverInternal", "badNonce", "orderNotReady"]);

/** What a problem means for a name. @param retryAt in milliseconds since 1970; 0: it is not said */
export function failureOf({ type, detail }: Problem, retryAt = 0): Failure {
  const [reason, hint] = MEANINGS[type] ?? ["the authority refuses", undefined];
  const said = detail === "" ? "" : ` (it says: ${detail})`;
  return new Failure(
    ITS_OWN.has(type) ? "authority" : "refused",
    `${reason}${said}`,
    hint,
    retryAt,
  );
}

/** What an error means that came of asking an authority. @param host that of its directory */
export function toFailure(error: unknown, host: string): Failure {
  if (error instanceof Failure) return error;
  // Such as a disk that is full.
  if (error instanceof GatewayError) {
    return new Failure("here", error.message, error.hint, 0, error.lines);
  }
  if (error instanceof Refused) {
    const { status, problem, retryAt } = error;
    if (status >= 500 || (status === 429 && problem.type === "")) {
      const said = problem.detail === "" ? "" : `: ${problem.detail}`;
      return new Failure(
        "authority",
        `${host} answers with status ${status}${said}`,
        undefined,
        retryAt,
      );
    }
    if (problem.type === "") {
      return new Failure(
        "authority",
        `${host} answers with status ${status}, and not as an authority does`,
        "look at --acme-directory",
      );
    }
    return failureOf(problem, retryAt);
  }
  const reason = connectionReason(error);
  return new Failure("authority", `${host} cannot be asked: ${reason}`, hintFor(error));
}

function hintFor(error: unknown): string | undefined {
  return isCertificateError(error)
    ? "a private authority's own certificate goes with --acme-ca"
    : undefined;
}

function isCertificateError(error: unknown): boolean {
  return /CERT|SIGNATURE|ISSUER|SELF_SIGNED/.test(systemCode(error));
}

/** Why a connection failed, in words. The messages of Bun mislead. */
export function connectionReason(error: unknown): string {
  const code = systemCode(error);
  if (["ConnectionRefused", "ECONNREFUSED"].includes(code)) return "nothing listens there";
  if (["ENOTFOUND", "DNS_ENOTFOUND", "EAI_AGAIN", "FailedToOpenSocket"].includes(code)) {
    return "it does not resolve, or cannot be reached";
  }
  if (["ECONNRESET", "ConnectionClosed"].includes(code)) return "the connection is cut";
  if (["EHOSTUNREACH", "ENETUNREACH"].includes(code)) return "it cannot be reached";
  if (isCertificateError(error)) return `its own certificate is not trusted (${code})`;
  if (error instanceof DOMException && error.name === "TimeoutError")
    return "it does not answer in time";
  const message = error instanceof Error ? error.message : String(error);
  return (code === "" ? message : `${message} (${code})`).slice(0, 300);
}
