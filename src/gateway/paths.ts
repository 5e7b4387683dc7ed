// Decides where everything is: the configuration, HAProxy's sockets, its state file.

import { basename, dirname, join, resolve } from "node:path";
import type { Build } from "../haproxy/process/check.ts";
import { GatewayError } from "../lib/errors.ts";
import { HAPROXY_CHROOT, type Host } from "./host.ts";
import type { HaproxyContext } from "../template/context.ts";

export const DEFAULT_OUTPUT_FILE = "/etc/haproxy/haproxy.cfg";
export const DEFAULT_RELOAD_COMMAND = ["/bin/systemctl", "reload", "haproxy.service"];
export const DEFAULT_MASTER_SOCKET = "/run/haproxy-master.sock";

/** The folder that Debian's HAProxy has for its sockets. */
const DEBIAN_SOCKETS = "/run/haproxy";
/** Where root's gateway with a HAProxy of its own has its files, and the service's. */
const ROOTS_FOLDER = "/run/docker-api-gateway";
/** How the names of the sockets end at which gateways are asked. */
export const API_SOCKET_END = ".gateway.sock";
/** Where the sockets of gateways usually are that serve a whole machine. */
export const PUBLIC_SOCKET_FOLDERS = [ROOTS_FOLDER, DEBIAN_SOCKETS, dirname(DEFAULT_OUTPUT_FILE)];

/** Where the gateway of an ordinary user has its files. */
export function ownFolderOf({ runtimeDir }: Pick<Host, "runtimeDir">): string {
  return join(runtimeDir, "docker-api-gateway");
}

/** The user's choice of paths, and of who runs HAProxy. */
export interface PathChoice {
  /** Undefined: it depends on who runs HAProxy. */
  readonly outputFile: string | undefined;
  /** Undefined: the default one, if it exists. */
  readonly masterSocket: string | undefined;
  /** Undefined: it depends on the machine. */
  readonly manageHaproxy: boolean | undefined;
  /** The user's reload command in words; undefined if there is none. */
  readonly reloadCommand: readonly string[] | undefined;
}

export interface Paths {
  /** Whether the gateway runs HAProxy itself. */
  readonly managed: boolean;
  readonly output: string;
  /** The gateway's own folders that other users could make first, the outermost first. */
  readonly privateFolders: readonly string[];
  readonly masterSocket: string;
  /** The socket at which the gateway itself is asked. */
  readonly apiSocket: string;
  readonly haproxy: Omit<HaproxyContext, keyof Build>;
}

/** A unix socket's path has at most 107 bytes. HAProxy first binds it under a longer name. */
const SOCKET_PATH_LIMIT = 90;

/**
 * Decides where everything is.
 * @throws GatewayError `usage` if HAProxy cannot take one of the paths
 */
export function choosePaths(choice: PathChoice, host: Host): Paths {
  const managed = choice.manageHaproxy ?? needsOwnHaproxy(choice, host);
  const ownDir = host.uid === 0 ? ROOTS_FOLDER : ownFolderOf(host);
  const output = resolve(
    choice.outputFile ?? (managed ? join(ownDir, "haproxy.cfg") : DEFAULT_OUTPUT_FILE),
  );
  const folder = dirname(output);
  const isShared = folder === ownDir && host.uid !== 0 && host.runtimeDirIsShared;
  const stem = basename(output).replace(/\.cfg$/, "");
  // Debian's HAProxy has a folder for its sockets. Otherwise they are beside the configuration.
  const isDebian = !managed && folder === "/etc/haproxy" && host.hasRunHaproxy;
  const statsSocket = isDebian
    ? `${DEBIAN_SOCKETS}/admin.sock`
    : join(folder, `${stem}.admin.sock`);
  const masterSocket =
    choice.masterSocket ?? (managed ? join(folder, `${stem}.master.sock`) : DEFAULT_MASTER_SOCKET);
  for (const path of [output, statsSocket, masterSocket]) checkPath(path);

  // A packaged HAProxy starts as root. The gateway's own HAProxy starts as the gateway's user.
  const startsAsRoot = (!managed || host.uid === 0) && host.hasHaproxyUser;
  return {
    managed,
    output,
    privateFolders: isShared ? [host.runtimeDir, ownDir] : [],
    masterSocket,
    apiSocket: join(isDebian ? DEBIAN_SOCKETS : folder, `${stem}${API_SOCKET_END}`),
    haproxy: {
      user: startsAsRoot ? "haproxy" : "",
      group: startsAsRoot ? "haproxy" : "",
      chroot: startsAsRoot ? HAPROXY_CHROOT : "",
      statsSocket,
      stateFile: join(isDebian ? DEBIAN_SOCKETS : folder, `${stem}.state`),
      // The gateway itself logs what its own HAProxy says about servers. Only syslog gets requests.
      log: managed || !host.hasSyslog ? [] : ["/dev/log local0", "/dev/log local1 notice"],
    },
  };
}

/** Whether nothing else would run HAProxy. */
function needsOwnHaproxy(choice: PathChoice, host: Host): boolean {
  return !host.systemd && choice.reloadCommand === undefined && !host.hasMasterSocket;
}

/** Refuses characters that have a meaning in the configuration, where the paths are written. */
function checkPath(path: string): void {
  if (!/^\/[A-Za-z0-9_./@+-]*$/.test(path)) {
    throw new GatewayError(
      "usage",
      `Cannot use path "${path}": it must start with / and have only letters, digits and _./@+-`,
    );
  }
  if (path.endsWith(".sock") && path.length > SOCKET_PATH_LIMIT) {
    throw new GatewayError(
      "usage",
      `Cannot use socket "${path}": its path is longer than ${SOCKET_PATH_LIMIT} characters`,
      { hint: "choose a shorter --output-file" },
    );
  }
}
