// HAProxy as somebody writes it by hand who has no gateway.

import type { Served } from "./nginx.ts";

const BASE = `global
    fd-hard-limit 50000
defaults
    mode http
    option idle-close-on-response
    timeout connect 1s
    timeout client 60s
    timeout server 60s
frontend http`;

/** One backend, and not a word besides. @param https what follows a further `bind`, for HTTPS */
export function bareConfig(port: number, { address }: Served, https?: string): string {
  return `${BASE}
    bind 127.0.0.1:${port}${https === undefined ? "" : `\n    bind ${https}`}
    default_backend app
backend app
    server app ${address}
`;
}

/**
 * What the gateway gives every request, and no more: a map that leads to the service, the prefix stripped,
 * the forwarded headers. No health checks: what they cost is no part of a request's price.
 * @param map the path of the file that `handMap` makes
 */
export function handConfig(port: number, map: string, services: readonly Served[]): string {
  const backends = services.map(
    ({ address }, index) => `backend app-${index}\n    server app ${address}\n`,
  );
  return `${BASE}
    bind 127.0.0.1:${port}
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Real-IP %[src]
    http-request set-var(txn.route) path,concat(/),map_beg(${map})
    http-request return status 403 unless { var(txn.route) -m found }
    http-request set-header X-Forwarded-Prefix %[path,field(1,/,3)]
    http-request set-path /%[path,field(4,/,0)]
    use_backend %[var(txn.route),field(1,|)]
${backends.join("")}`;
}

/** The map of `handConfig`. */
export function handMap(services: readonly Served[]): string {
  return services.map(({ name }, index) => `/${name}/ app-${index}|2\n`).join("");
}
