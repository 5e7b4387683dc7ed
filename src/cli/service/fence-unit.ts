// The unit that runs `docker-api-gateway fence` before the distribution's HAProxy starts: after a boot
// the addresses in its configuration may be other containers'.

import { existsSync } from "node:fs";
import { readIfThere } from "../../haproxy/files/disk.ts";
import { commandStep, type Step } from "./systemd.ts";
import { unitLines, quoteWord, UNIT_HEADER, type Service } from "./unit.ts";

export const FENCE_UNIT = "docker-api-gateway-fence.service";
export const FENCE_UNIT_FILE = `/etc/systemd/system/${FENCE_UNIT}`;

/** Writes the text of the unit. @param output the path of the configuration */
export function fenceUnit({ command: [program = ""], writes, capabilities }: Service, output: string) {
  const words = [program, "fence", `--output-file=${output}`];
  return `${UNIT_HEADER}, which writes it anew

[Unit]
Description=HAProxy starts without servers whose containers have ended
Before=haproxy.service
ConditionPathExists=${output}

[Service]
Type=oneshot
ExecStart=${words.map(quoteWord).join(" ")}
TimeoutStartSec=10s
CapabilityBoundingSet=${capabilities.join(" ")}
${unitLines("ReadWritePaths", writes)}\
UMask=0022
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateNetwork=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=none
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=haproxy.service
`;
}
