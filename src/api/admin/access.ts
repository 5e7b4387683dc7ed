// Who may ask at the address of --admin. Pure.

import { createHash, timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";

/** What an address of --admin asks for. */
export interface AccessRules {
  /** The names that a browser may use; undefined: no browser gets there, as it is a unix socket. */
  readonly hosts: readonly string[] | undefined;
  /** Undefined: whoever gets there may ask. */
  readonly token: string | undefined;
}

/** Why a request is refused. */
export interface Refused {
  readonly status: 401 | 403;
  readonly code: "forbidden" | "unauthorized";
  readonly message: string;
  readonly hint: string;
}

/**
 * Why a request may not be answered; undefined: it may.
 * @param isOpen whether it is for what needs no token
 */
export function whyRefused(
  request: Request,
  { hosts, token }: AccessRules,
  isOpen: boolean,
): Refused | undefined {
  const host = request.headers.get("host") ?? "";
  if (hosts !== undefined && !isOwnHost(host, hosts)) {
    const name = hostNameOf(host);
    return forbidden(
      `the gateway does not know itself as "${name}"`,
      `ask by its IP address, or start it with --admin-host ${name}`,
    );
  }
  if (isOfOtherOrigin(request, host)) {
    return forbidden("another web site asks", "open the address itself");
  }
  if (isOpen || token === undefined || hasToken(request, token)) return undefined;
  return {
    status: 401,
    code: "unauthorized",
    message: "it takes the token of --admin-token-file",
    hint: "Authorization: Bearer TOKEN, or the token as the password of any user",
  };
}

function forbidden(message: string, hint: string): Refused {
  return { status: 403, code: "forbidden", message, hint };
}

/**
 * Whether a name is one of the gateway's. A web site may let its own name lead here (DNS rebinding): its pages
 * would read what is answered. Where there is no name, no browser asks.
 */
function isOwnHost(host: string, hosts: readonly string[]): boolean {
  const name = hostNameOf(host);
  return name === "" || isIP(name) !== 0 || ["localhost", ...hosts].includes(name);
}

/** The name in a `Host`, without port and brackets. Source: RFC 9110, section 7.2. */
function hostNameOf(host: string): string {
  const [, six, other = ""] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? [
    undefined,
    undefined,
    host,
  ];
  return (six ?? other).toLowerCase();
}

/**
 * Whether a page of another origin asks. What a person types has `none`.
 * Sources: W3C Fetch Metadata, section 2.4; RFC 6454, section 7.
 */
function isOfOtherOrigin({ headers }: Request, host: string): boolean {
  const site = headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin" && site !== "none") return true;
  const origin = headers.get("origin");
  if (origin === null) return false;
  return origin.replace(/^https?:\/\//, "").toLowerCase() !== host.toLowerCase();
}

function hasToken({ headers }: Request, token: string): boolean {
  const given = givenToken(headers.get("authorization") ?? "");
  return given !== undefined && timingSafeEqual(digest(given), digest(token));
}

/**
 * The token that a request has: as it is, or as the password of a user of any name, as browsers have it.
 * Sources: RFC 6750, section 2.1; RFC 7617, section 2.
 */
function givenToken(authorization: string): string | undefined {
  const [, scheme = "", given = ""] = /^(bearer|basic) +(\S+) *$/i.exec(authorization) ?? [];
  if (scheme.toLowerCase() !== "basic") return given || undefined;
  const [, password] = /^[^:]*:(.*)$/s.exec(Buffer.from(given, "base64").toString()) ?? [];
  return password;
}

/** Texts of the same length, so that the comparison takes the same time for all of them. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
