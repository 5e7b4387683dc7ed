// Reads --admin, --admin-host and --admin-token-file: where people and monitoring ask, and who may.

import { readFileSync, statSync } from "node:fs";
import { BlockList, isIPv6 } from "node:net";
import type { AccessRules } from "../api/admin/access.ts";
import type { AdminAddress } from "../api/admin/listener.ts";
import { errorMessage, GatewayError } from "../lib/errors.ts";

/** What was chosen. */
export interface AdminChoice {
  readonly address: AdminAddress;
  /** The names that it is asked by, besides IP addresses and `localhost`, in lower case. */
  readonly hosts: readonly string[];
  /** The file with the token that requests need; undefined: they need none. */
  readonly tokenFile: string | undefined;
}

const EXAMPLES = "such as --admin 127.0.0.1:8404 or --admin unix:/run/gateway/admin.sock";

/** What a token may have. Source: RFC 6750, section 2.1. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;
/** A shorter one can be guessed. */
const SHORTEST_TOKEN = 16;
/** The rights that nobody but its owner may have, but that its group may read. */
const TOO_OPEN = 0o037;

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/**
 * Reads what was chosen. Undefined: nobody listens.
 * @param address the value of `--admin`, where that is a port; undefined: it is none
 * @throws GatewayError `usage`
 */
export function parseAdmin(
  value: string | undefined,
  address: { readonly host: string; readonly port: number } | undefined,
  hosts: readonly string[],
  tokenFile: string | undefined,
): AdminChoice | undefined {
  if (value === undefined) {
    if (hosts.length > 0) throw usage("--admin-host goes with --admin", EXAMPLES);
    if (tokenFile !== undefined) throw usage("--admin-token-file goes with --admin", EXAMPLES);
    return undefined;
  }
  if (tokenFile !== undefined && !tokenFile.startsWith("/")) {
    throw usage(
      `Cannot use --admin-token-file "${tokenFile}": it is no path from the root`,
      "such as --admin-token-file /etc/docker-api-gateway/admin.token",
    );
  }
  const names = hosts.map(parseHost);
  const [, path] = /^unix:(\/.*[^/])$/.exec(value) ?? [];
  if (path !== undefined) return { address: { kind: "unix", path }, hosts: names, tokenFile };
  if (address === undefined) {
    throw usage(`Cannot use --admin "${value}": it is not address:port or unix:PATH`, EXAMPLES);
  }
  if (!isLoopback(address.host) && tokenFile === undefined) {
    throw usage(
      `Cannot use --admin "${value}": other machines reach it, so it takes a token`,
      "add --admin-token-file FILE, or use 127.0.0.1",
    );
  }
  return { address: { kind: "tcp", ...address }, hosts: names, tokenFile };
}

/** What requests must have. @throws GatewayError `usage` if the file of the token is of no use */
export function readAccess({ address, hosts, tokenFile }: AdminChoice): AccessRules {
  return {
    hosts: address.kind === "tcp" ? hosts : undefined,
    token: tokenFile === undefined ? undefined : readToken(tokenFile),
  };
}

function isLoopback(host: string): boolean {
  if (host === "*") return false;
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  return LOOPBACK.check(bare, isIPv6(bare) ? "ipv6" : "ipv4");
}

/** Source: RFC 1123, section 2.1. */
function parseHost(value: string): string {
  if (/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(value)) return value.toLowerCase();
  throw usage(
    `Cannot use --admin-host "${value}": it is no host name`,
    "such as --admin-host gateway.example.com, without a port",
  );
}

function readToken(path: string): string {
  const refuse = (problem: string, hint?: string): GatewayError =>
    usage(`Cannot use --admin-token-file "${path}": ${problem}`, hint);
  try {
    const { mode } = statSync(path);
    if ((mode & TOO_OPEN) !== 0) {
      const rights = (mode & 0o777).toString(8).padStart(4, "0");
      throw refuse(`others may read or change it (mode ${rights})`, `chmod 600 ${path}`);
    }
    const token = readFileSync(path, "utf8").trim();
    if (token.length < SHORTEST_TOKEN || !TOKEN.test(token)) {
      throw refuse(
        `it does not have one word of ${SHORTEST_TOKEN} or more letters, digits and -._~+/`,
        `openssl rand -hex 32 > ${path}`,
      );
    }
    return token;
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    throw refuse(errorMessage(error));
  }
}

function usage(message: string, hint?: string): GatewayError {
  return new GatewayError("usage", message, { hint });
}
