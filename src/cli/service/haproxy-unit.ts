// Writes the units with which systemd runs the gateway's own HAProxy beside the gateway.

import {
  FIRST_WITH_RESTART_STEPS,
  HAPROXY_PATH_UNIT,
  HAPROXY_UNIT,
  HARDENING,
  HEADER,
  lines,
  quoteWord,
  SERVICE_USER,
  UNIT,
  type Service,
} from "./unit.ts";

/** What HAProxy's unit is made of. */
export interface HaproxyService extends Pick<Service, "capabilities" | "readsHome" | "systemd"> {
  /** HAProxy's program. */
  readonly program: string;
  /** The gateway's program. */
  readonly gateway: string;
  readonly config: string;
  readonly masterSocket: string;
}

/** The words with which systemd starts HAProxy. `-Ws` tells systemd when it serves. */
export function haproxyCommand({ program, masterSocket, config }: HaproxyService): string[] {
  return [program, "-Ws", "-S", `${masterSocket},mode,600`, "-f", config];
}

/**
 * Writes the text of HAProxy's unit. The gateway needs no right to start it: the path unit does that
 * when the gateway has written a configuration, and `Restart=` whenever HAProxy dies.
 */
export function haproxyUnit(service: HaproxyService): string {
  const { capabilities, config, gateway, readsHome, systemd } = service;
  const fence = [gateway, "fence", `--output-file=${config}`];
  return `${HEADER}, which writes it anew; what you want otherwise goes into
# a file of its own: systemctl edit ${HAPROXY_UNIT}

[Unit]
Description=HAProxy of ${UNIT}
Wants=network-online.target ${HAPROXY_PATH_UNIT}
After=network-online.target
# A port that is somebody else's may be free later.
StartLimitIntervalSec=0

[Service]
Type=notify
# Where a gateway runs, that one looks after it.
ExecStartPre=-${fence.map(quoteWord).join(" ")}
ExecStart=${haproxyCommand(service).map(quoteWord).join(" ")}
ExecReload=/bin/kill -USR2 $MAINPID
Restart=always
RestartSec=500ms
${systemd < FIRST_WITH_RESTART_STEPS ? "" : "# And then later and later.\nRestartSteps=8\nRestartMaxDelaySec=10s\n"}\
# Its requests under way are answered before it ends, within this time.
KillMode=mixed
KillSignal=SIGUSR1
TimeoutStopSec=10s
OOMPolicy=continue
# What its configuration allows at most.
LimitNOFILE=50000

User=${SERVICE_USER}
${capabilities.length === 0 ? "" : "# It listens on ports below 1024.\n"}\
${lines("AmbientCapabilities", capabilities)}\
CapabilityBoundingSet=${capabilities.join(" ")}
UMask=0027
# Its files are in /run/${SERVICE_USER}. It may see all of /run, where its user may write nothing
# else: if that folder is removed and made anew, it must find the new one.
ReadWritePaths=/run
${HARDENING}\
ProtectHome=${readsHome ? "read-only" : "yes"}
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
`;
}

/**
 * Writes the text of the path unit. It starts HAProxy only with a configuration that is there, and the
 * gateway puts one there only after HAProxy has accepted it. Source: systemd.path(5).
 */
export function haproxyPathUnit({ config }: HaproxyService): string {
  return `${HEADER}, which writes it anew

[Unit]
Description=The configuration of ${HAPROXY_UNIT}
# Who stops HAProxy does not want it to be started again.
PartOf=${HAPROXY_UNIT}

[Path]
PathExists=${config}
Unit=${HAPROXY_UNIT}

[Install]
WantedBy=multi-user.target
`;
}
