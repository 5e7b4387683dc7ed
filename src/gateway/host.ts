// What is asked of this host: its addresses, its init system, who runs the gateway.

import { existsSync, readFileSync } from "node:fs";
import { networkInterfaces, tmpdir, type NetworkInterfaceInfo } from "node:os";
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
  };
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
