// Writes the unit that makes the gateway a service of systemd, and reads it again.

import { GatewayError } from "../../lib/errors.ts";

/** What a service is made of. */
export interface Service {
  /** The program and its flags. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Whether the gateway has a HAProxy of its own. */
  readonly managed: boolean;
  /** The groups of the files and sockets that it needs. */
  readonly groups: readonly string[];
  readonly capabilities: readonly string[];
  /** The folders to which it writes, without its own in `/run`. */
  readonly writes: readonly string[];
  /** The folder below `/var/log` that systemd makes for its user; empty: none. */
  readonly logs: string;
  /** The folder below `/var/lib` that systemd makes for its user, for certificates; empty: none. */
  readonly state: string;
  /** Whether it reads what is below `/home`, `/root` or `/run/user`. */
  readonly readsHome: boolean;
  /** The files and folders that `install` makes. A folder ends in a slash. */
  readonly made: readonly string[];
  /** The version of systemd. */
  readonly systemd: number;
}

export const UNIT = "docker-api-gateway.service";
/** The user of a service with a HAProxy of its own, and the name of its folder in `/run`. */
export const SERVICE_USER = "docker-api-gateway";

/** The unit of a service's own HAProxy. */
export const HAPROXY_UNIT = "docker-api-gateway-haproxy.service";
/** The unit that starts it once it has a configuration. */
export const HAPROXY_PATH_UNIT = "docker-api-gateway-haproxy.path";
/** The unit that runs before each start of the distribution's HAProxy. */
export const FENCE_UNIT = "docker-api-gateway-fence.service";
/** Tells the gateway that systemd runs its HAProxy, in this unit. */
export const HAPROXY_UNIT_VARIABLE = "HAPROXY_UNIT";

/** How every unit of `install` begins. */
export const HEADER = "# Written by `docker-api-gateway install`";
/** Begins the line that tells `uninstall` what to remove. */
const MADE = "# uninstall removes with it: ";

/** Writes the text of the unit. @throws GatewayError `usage` if a word has a NUL */
export function serviceUnit(service: Service): string {
  const { command, environment, made, managed, readsHome, systemd } = service;
  return `${HEADER}, which writes it anew; what you want otherwise goes into
# a file of its own: systemctl edit ${UNIT}
${made.length === 0 ? "" : `${MADE}${made.join(" ")}\n`}
[Unit]
Description=HAProxy in step with Docker's containers
Wants=network-online.target${managed ? ` ${HAPROXY_PATH_UNIT}` : ""}
After=network-online.target docker.service${managed ? "" : " haproxy.service"}
# It waits for Docker by itself, for ever; systemd must not give up on it either.
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=${command.map(quoteWord).join(" ")}
# It reads its template and all containers again.
ExecReload=/bin/kill -HUP $MAINPID
${lines(
  "Environment",
  Object.entries(environment).map(([name, value]) => quoteAssignment(name, value)),
)}\
Restart=always
RestartSec=1s
${systemd < FIRST_WITH_RESTART_STEPS ? "" : "# And then later and later.\nRestartSteps=8\nRestartMaxDelaySec=30s\n"}\
# Wrong flags stay wrong.
RestartPreventExitStatus=2
# When it has not said for so long that it lives, it would not hear a gentler signal either.
WatchdogSec=30s
WatchdogSignal=SIGKILL

${managed ? managedPart(service) : packagedPart(service)}
# It can do nothing else, and neither can a --reload-cmd. JavaScript is compiled while it runs, so
# MemoryDenyWriteExecute= is not possible; AF_NETLINK tells it this host's networks; ProtectProc=
# would hide another gateway that writes the same file.
${HARDENING}\
ProtectHome=${readsHome ? "read-only" : "yes"}
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK

[Install]
WantedBy=multi-user.target
`;
}

/** What neither the gateway nor HAProxy may do. Source: systemd.exec(5). */
export const HARDENING = `NoNewPrivileges=yes
ProtectSystem=strict
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
`;

/** The first systemd with growing pauses. Source: systemd.service(5), `RestartSteps=`. */
export const FIRST_WITH_RESTART_STEPS = 254;

/** The part for a gateway with a HAProxy of its own, which has a unit of its own. */
function managedPart({ groups, writes, logs, state }: Service): string {
  return `# Neither the gateway nor its HAProxy needs root: they have a user of their own.
User=${SERVICE_USER}
${groups.length === 0 ? "" : "# To use Docker's socket, through which one can become root, and to read certificates.\n"}\
${lines("SupplementaryGroups", groups)}\
CapabilityBoundingSet=
# All their files are in /run/${SERVICE_USER}, and stay there for HAProxy when the gateway ends.
RuntimeDirectory=${SERVICE_USER}
RuntimeDirectoryMode=0750
RuntimeDirectoryPreserve=yes
Environment=XDG_RUNTIME_DIR=%t
${logPart(logs)}\
${statePart(state)}\
${lines("ReadWritePaths", writes)}\
# systemd runs HAProxy.
Environment=${HAPROXY_UNIT_VARIABLE}=${HAPROXY_UNIT}
UMask=0027
KillMode=process
OOMPolicy=continue
`;
}

/** The part for a gateway that uses the HAProxy of the distribution. */
function packagedPart({ groups, capabilities, writes, logs, state }: Service): string {
  const rights =
    capabilities.length === 0
      ? "without one capability:\n# it may write what root owns, and of that only these folders."
      : "with no more capabilities\n# than it takes to write the files of another, and only in these folders.";
  return `# The distribution's HAProxy starts as root: who writes its configuration commands root, so a user
# of its own would make the gateway no safer. It is root, but ${rights}
CapabilityBoundingSet=${capabilities.join(" ")}
${lines("SupplementaryGroups", groups)}\
${lines("ReadWritePaths", writes)}\
${logPart(logs)}\
${statePart(state)}\
UMask=0022
`;
}

/** The folder of the access log. */
function logPart(folder: string): string {
  return folder === "" ? "" : `LogsDirectory=${folder}\nLogsDirectoryMode=0750\n`;
}

/** The folder of certificates and their keys. */
function statePart(folder: string): string {
  return folder === "" ? "" : `StateDirectory=${folder}\nStateDirectoryMode=0700\n`;
}

/** One line for each value. */
export function lines(name: string, values: readonly string[]): string {
  return values.map((value) => `${name}=${value}\n`).join("");
}

/**
 * Writes a word of a command line, in quotes if it needs them.
 * Source: systemd.service(5), "Command lines"; systemd.syntax(7), "Quoting".
 * @throws GatewayError `usage` if it has a NUL
 */
export function quoteWord(word: string): string {
  // A single `$` would begin a variable.
  const escaped = escape(word).replaceAll("$", "$$$$");
  return /^[A-Za-z0-9_.,:=/@%$*+-]+$/.test(escaped) ? escaped : `"${escaped}"`;
}

/** Writes a variable of the environment. There `$` has no meaning of its own. */
function quoteAssignment(name: string, value: string): string {
  return `"${name}=${escape(value)}"`;
}

function escape(text: string): string {
  if (text.includes("\0")) {
    throw new GatewayError(
      "usage",
      `Cannot write ${JSON.stringify(text)} into a unit: it has a NUL`,
    );
  }
  return text
    .replaceAll(/[\\"]/g, String.raw`\$&`)
    .replaceAll("%", "%%")
    .replaceAll(/\p{Cc}/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Whether `install` wrote this unit. */
export function isOwnUnit(unit: string): boolean {
  return unit.startsWith(HEADER);
}

/** The files and folders that `install` made besides the unit, as the unit tells. */
export function madeOf(unit: string): string[] {
  const line = unit.split("\n").find((each) => each.startsWith(MADE));
  return line?.slice(MADE.length).split(" ") ?? [];
}

/** Reads the words of a unit's command, as `serviceUnit` wrote them. */
export function commandOf(unit: string): string[] {
  const text = /^ExecStart=(.*)$/m.exec(unit)?.[1] ?? "";
  return [...text.matchAll(/"((?:\\.|[^"\\])*)"|\S+/g)].map(([plain, quoted]) =>
    (quoted ?? plain).replaceAll(
      /([%$])\1|\\u([0-9a-f]{4})|\\(.)/g,
      (_, doubled?: string, hex?: string, escaped?: string) =>
        doubled ?? escaped ?? String.fromCharCode(Number.parseInt(hex ?? "", 16)),
    ),
  );
}

/** Whether a unit is of a gateway with a HAProxy of its own. */
export function isManaged(unit: string): boolean {
  return commandOf(unit).includes("--manage-haproxy");
}

/** Whether its HAProxy is a part of the gateway's service, as former versions installed it. */
export function isFormerKind(unit: string): boolean {
  return isManaged(unit) && !unit.includes(`=${HAPROXY_UNIT}\n`);
}
