// What is asked of this host: its addresses, its init system, who runs the gateway.

import { existsSync, lstatSync, mkdirSync, readFileSync } from "node:fs";
import { networkInterfaces, tmpdir, type NetworkInterfaceInfo } from "node:os";
import { GatewayError } from "../lib/errors.ts";
import type { Reach, Snapshot } from "../model.ts";

export interface Host {
  /** The numeric ID of the user that runs the gateway. */
  readonly uid: number;
  /** Whether systemd runs this host. Source: sd_booted(3). */
  readonly systemd: boolean;
  readonly hasMasterSocket: boolean;
  /** Whether the directory of Debian's HAProxy for its sockets is there. */
  readonly hasRunHaproxy: boolean;
  /** Whether there are a user, a group and a folder `haproxy` to run as and to be shut in. */
  readonly hasHaproxyUser: boolean;
  /** Whether something takes log lines at `/dev/log`. */
  readonly hasSyslog: boolean;
  /** The folder for an ordinary user's files that need not outlive a boot. */
  readonly runtimeDir: string;
  /** Whether that is a folder where everybody may make one: nobody gave this user a place. */
  readonly runtimeDirIsShared: boolean;
}

export const HAPROXY_CHROOT = "/var/lib/haproxy";

export function inspectHost(masterSocket: string, env: NodeJS.ProcessEnv): Host {
  const uid = process.getuid?.() ?? 0;
  return {
    uid,
    systemd: existsSync("/run/systemd/system"),
    hasMasterSocket: existsSync(masterSocket),
    hasRunHaproxy: existsSync("/run/haproxy"),
    hasHaproxyUser: hasEntry("/etc/passwd") && hasEntry("/etc/group") && existsSync(HAPROXY_CHROOT),
    hasSyslog: existsSync("/dev/log"),
    runtimeDir: env["XDG_RUNTIME_DIR"] || `${tmpdir()}/docker-api-gateway-${uid}`,
    runtimeDirIsShared: !env["XDG_RUNTIME_DIR"],
  };
}

/** The mode bits by which others than a folder's owner may change what is in it. */
const WRITABLE_BY_OTHERS = 0o022;

/** Makes a folder for nobody else. @throws GatewayError `config` where somebody else made it first */
export function makePrivate(path: string): void {
  if (!lstatSync(path, { throwIfNoEntry: false })) mkdirSync(path, { mode: 0o700 });
  requirePrivate(path);
}

/**
 * Makes sure of a folder that somebody else could make: what is in it decides what HAProxy does.
 * @throws GatewayError `config` where another user may change what is in it
 */
export function requirePrivate(path: string): void {
  const problem = whyNotPrivate(path, process.getuid?.() ?? 0);
  if (problem === "") return;
  throw new GatewayError("config", `Cannot use folder "${path}": ${problem}`, {
    hint: "set XDG_RUNTIME_DIR to a folder of this user's own, or name another --output-file",
  });
}

function whyNotPrivate(path: string, user: number): string {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return "";
  if (found.isSymbolicLink()) return "it is a symbolic link";
  if (!found.isDirectory()) return "it is not a folder";
  if (found.uid !== user) return `it belongs to user ${found.uid}, not to user ${user}`;
  if ((found.mode & WRITABLE_BY_OTHERS) === 0) return "";
  return `others may write there (mode ${(found.mode & 0o7777).toString(8)})`;
}

/** Which addresses HAProxy, who is where the gateway is, can reach now. */
export function currentReach(snapshot: Snapshot, remoteHost: string | undefined): Reach {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  // In a container, unless it shares the network of the host whose bridges these are.
  const addresses = [...own.map(({ address }) => address), ...localAddresses()];
  const onHost = addresses.some((address) => snapshot.gateways.includes(address));
  const inContainer = !onHost && (existsSync("/.dockerenv") || existsSync("/run/.containerenv"));
  return {
    interfaces: [...new Set(own.filter(isUsable).map(({ cidr }) => cidr ?? ""))].toSorted(),
    inContainer,
    local: remoteHost === undefined,
    hostAddress: remoteHost ?? (inContainer ? undefined : "127.0.0.1"),
  };
}

/**
 * Whether others can be reached through an address. Every container brings the host an interface
 * with an IPv6 address that is good for that link alone (RFC 4291, section 2.5.6): left out, so that
 * what this host reaches does not seem to change with each of them.
 */
function isUsable({ cidr, address }: NetworkInterfaceInfo): boolean {
  return cidr !== null && !/^fe[89ab]/i.test(address);
}

/**
 * This host's own IPv4 addresses, also those of bridges that no container is on now, which
 * `networkInterfaces` leaves out. Source: the kernel's routes that are its own (`host LOCAL`).
 */
function localAddresses(): string[] {
  const path = "/proc/net/fib_trie";
  if (!existsSync(path)) return [];
  const routes = readFileSync(path, "utf8").matchAll(/\|-- (\S+)\n +\/32 host LOCAL/g);
  return [...routes].map(([, address = ""]) => address);
}

function hasEntry(path: string): boolean {
  return existsSync(path) && /^haproxy:/m.test(readFileSync(path, "utf8"));
}
