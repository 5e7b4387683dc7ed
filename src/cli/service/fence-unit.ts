// Writes the unit that runs `docker-api-gateway fence` before the distribution's HAProxy starts. After
// a boot, the addresses in its configuration may be other containers'.

import { HARDENING, HEADER, lines, quoteWord, type Service } from "./unit.ts";

/**
 * Writes the text of the unit. HAProxy waits until it has ended, and starts even if it fails.
 * Source: systemd.unit(5), `Before=`, `Wants=`.
 * @param config the path of HAProxy's configuration
 */
export function fenceUnit(
  { command: [program = ""], writes, capabilities, readsHome }: Service,
  config: string,
): string {
  const command = [program, "fence", `--output-file=${config}`];
  return `${HEADER}, which writes it anew

[Unit]
Description=Take ended containers out of HAProxy's configuration
Before=haproxy.service
ConditionPathExists=${config}

[Service]
Type=oneshot
ExecStart=${command.map(quoteWord).join(" ")}
TimeoutStartSec=10s
CapabilityBoundingSet=${capabilities.join(" ")}
${lines("ReadWritePaths", writes)}\
UMask=0022
${HARDENING}\
ProtectHome=${readsHome ? "read-only" : "yes"}
PrivateNetwork=yes
RestrictAddressFamilies=none

[Install]
WantedBy=haproxy.service
`;
}
