// Where everything is: the configuration, HAProxy's sockets, its state file.

import { basename, dirname, join, resolve } from "node:path";
import { GatewayError } from "../lib/errors.ts";
import { HAPROXY_CHROOT, type Host } from "./host.ts";
import type { HaproxyContext } from "../template/context.ts";

export const DEFAULT_OUTPUT_FILE = "/etc/haproxy/haproxy.cfg";
export const DEFAULT_RELOAD_COMMAND = ["/bin/systemctl", "reload", "haproxy.service"];
export const DEFAULT_MASTER_SOCKET = "/run/haproxy-master.sock";

/** What the user chose of where things are and who runs HAProxy. */
export interface PathChoice {
  /** Undefined: the place that fits the way HAProxy is run. */
  readonly outputFile: string | undefined;
  /** Undefined: the default one, where it exists. */
  readonly masterSocket: string | undefined;
  /** Undefined: not said, so it depends on the machine. */
  readonly manageHaproxy: boolean | undefined;
  /** The user's reload command as words; undefined: none was given. */
  readonly reloadCommand: readonly string[] | undefined;
}

export interface Paths {
  /** Whether the gateway runs HAProxy itself. */
  readonly managed: boolean;
  readonly output: string;
  /** Folders of the gateway's own that others could make before it, the outermost first. */
  readonly privateFolders: readonly string[];
  readonly masterSocket: string;
  readonly haproxy: Omit<HaproxyContext, "version">;
}

/** HAProxy binds a socket under a longer, temporary name; a unix socket's path ends at 107 bytes. */
const SOCKET_PATH_LIMIT = 90;

/**
 * Decides where everything is.
 * @throws GatewayError `usage` for an output file whose path HAProxy cannot take
 */
export function choosePaths(choice: PathChoice, host: Host): Paths {
  const managed = choice.manageHaproxy ?? needsOwnHaproxy(choice, host);
  const ownDir =
    host.uid === 0 ? "/run/docker-api-gateway" : join(host.runtimeDir, "docker-api-gateway");
  const output = resolve(
    choice.outputFile ?? (managed ? join(ownDir, "haproxy.cfg") : DEFAULT_OUTPUT_FILE),
  );
  const folder = dirname(output);
  const isShared = folder === ownDir && host.uid !== 0 && host.runtimeDirIsShared;
  const stem = basename(output).replace(/\.cfg$/, "");
  // Debian's HAProxy has a place for its sockets; elsewhere they are beside the configuration.
  const packaged = !managed && folder === "/etc/haproxy" && host.hasRunHaproxy;
  const statsSocket = packaged ? "/run/haproxy/admin.sock" : join(folder, `${stem}.admin.sock`);
  const masterSocket =
    choice.masterSocket ?? (managed ? join(folder, `${stem}.master.sock`) : DEFAULT_MASTER_SOCKET);
  for (const path of [output, statsSocket, masterSocket]) checkPath(path);

  // Somebody else's HAProxy starts as root, as packages have it; our own as whoever we are.
  const startsAsRoot = (!managed || host.uid === 0) && host.hasHaproxyUser;
  return {
    managed,
    output,
    privateFolders: isShared ? [host.runtimeDir, ownDir] : [],
    masterSocket,
    haproxy: {
      user: startsAsRoot ? "haproxy" : "",
      group: startsAsRoot ? "haproxy" : "",
      chroot: startsAsRoot ? HAPROXY_CHROOT : "",
      statsSocket,
      stateFile: join(packaged ? "/run/haproxy" : folder, `${stem}.state`),
      // The gateway passes on what its own HAProxy says of servers; requests go to syslog only.
      log: managed || !host.hasSyslog ? [] : ["/dev/log local0", "/dev/log local1 notice"],
    },
  };
}

/** Where nothing else would run HAProxy. */
function needsOwnHaproxy(choice: PathChoice, host: Host): boolean {
  return !host.systemd && choice.reloadCommand === undefined && !host.hasMasterSocket;
}

/** The paths are written into the configuration, where some characters mean something. */
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
