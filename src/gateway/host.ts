// Finds out about this host: its addresses, its init system, the user that runs the gateway.

import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { networkInterfaces, tmpdir, type NetworkInterfaceInfo } from "node:os";
import { GatewayError } from "../lib/errors.ts";
import { differingItems } from "../lib/lists.ts";
import type { Container, Reach, Snapshot } from "../model.ts";

export interface Host {
  /** The numeric ID of the user that runs the gateway. */
  readonly uid: number;
  /** Whether systemd runs this host. Source: sd_booted(3). */
  readonly systemd: boolean;
  readonly hasMasterSocket: boolean;
  /** Whether the folder exists that Debian's HAProxy has for its sockets. */
  readonly hasRunHaproxy: boolean;
  /** Whether there are a user and a group `haproxy`, and the folder for its chroot. */
  readonly hasHaproxyUser: boolean;
  /** Whether there is a syslog socket at `/dev/log`. */
  readonly hasSyslog: boolean;
  /** The folder for an ordinary user's files that may go at a reboot. */
  readonly runtimeDir: string;
  /** Whether it is in a folder for all users, where others could make it first. */
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
    hasHaproxyUser:
      hasHaproxyEntry("/etc/passwd") && hasHaproxyEntry("/etc/group") && existsSync(HAPROXY_CHROOT),
    hasSyslog: existsSync("/dev/log"),
    runtimeDir: env["XDG_RUNTIME_DIR"] || `${tmpdir()}/docker-api-gateway-${uid}`,
    runtimeDirIsShared: !env["XDG_RUNTIME_DIR"],
  };
}

/** The mode bits that let others than its owner change a folder's content. */
const WRITABLE_BY_OTHERS = 0o022;

/** Makes a folder for this user only. @throws GatewayError `config` if somebody else made it first */
export function makePrivate(path: string): void {
  if (!lstatSync(path, { throwIfNoEntry: false })) mkdirSync(path, { mode: 0o700 });
  requirePrivate(path);
}

/**
 * Makes sure that only this user can change a folder's content, which decides what HAProxy does.
 * @throws GatewayError `config` if another user can change it
 */
export function requirePrivate(path: string): void {
  const problem = whyNotPrivate(path, process.getuid?.() ?? 0);
  if (problem === "") return;
  throw new GatewayError("config", `Cannot use folder "${path}": ${problem}`, {
    hint: "set XDG_RUNTIME_DIR to a folder of this user's own, or name another --output-file",
  });
}

/** Why others could change a folder's content; empty if they cannot or there is no such folder. */
function whyNotPrivate(path: string, user: number): string {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return "";
  if (found.isSymbolicLink()) return "it is a symbolic link";
  if (!found.isDirectory()) return "it is not a folder";
  if (found.uid !== user) return `it belongs to user ${found.uid}, not to user ${user}`;
  if ((found.mode & WRITABLE_BY_OTHERS) === 0) return "";
  return `others may write there (mode ${(found.mode & 0o7777).toString(8)})`;
}

/** Finds out which addresses HAProxy can reach now. It runs where the gateway runs. */
export function currentReach(snapshot: Snapshot, remoteHost: string | undefined): Reach {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const ipv6 = ipv6Cidrs(readProc("net/if_inet6"));
  const cidrs = [
    ...own
      .filter(({ family }) => family === "IPv4" || ipv6.length === 0)
      .filter(reachesBeyondLink)
      .map(({ cidr }) => cidr ?? ""),
    ...ipv4Cidrs(readProc("net/fib_trie"), readProc("net/route")),
    ...ipv6,
  ];
  // A container that shares the network of the Engine's host counts as that host: it has its bridges.
  const addresses = [...own.map(({ address }) => address), ...cidrs.map(withoutPrefix)];
  const onHost =
    snapshot.gateways.length === 0
      ? hasBridge()
      : addresses.some((address) => snapshot.gateways.includes(address));
  const inContainer = !onHost && (existsSync("/.dockerenv") || existsSync("/run/.containerenv"));
  return {
    interfaces: [...new Set(cidrs)].toSorted(),
    inContainer,
    local: remoteHost === undefined,
    hostAddress: remoteHost ?? (inContainer ? undefined : "127.0.0.1"),
    overlays: onHost ? [] : overlaysNow(snapshot, addresses),
  };
}

/** The address of the gateway's own container in each overlay network in which it was found. */
const ownAddresses = new Map<string, string>();
/** Among which containers it was looked for. */
let searched: { readonly for: string; readonly containers: readonly Container[] } | undefined;

/** The overlay networks on which the gateway's own container is. Of thousands, only new ones are looked at. */
function overlaysNow(snapshot: Snapshot, addresses: readonly string[]): readonly string[] {
  const { containers, drivers } = snapshot;
  const wanted = JSON.stringify([addresses, drivers]);
  const last = searched?.for === wanted ? searched.containers : [];
  searched = { for: wanted, containers };
  const { current } = differingItems(last, containers);
  return overlaysOf({ ...snapshot, containers: current }, addresses, ownAddresses);
}

/**
 * The overlay networks on which one of these addresses is a container's: that container is the gateway's own.
 * A subnet is not enough, as a network of this host may have the same one. What was found counts as long as
 * the address is there: a swarm may take the gateway's own node for lost.
 * @param found what was found before, by network; what is found now is added
 */
export function overlaysOf(
  { containers, drivers }: Snapshot,
  addresses: readonly string[],
  found: Map<string, string>,
): readonly string[] {
  const own = new Set(addresses);
  for (const [network, address] of found) if (!own.has(address)) found.delete(network);
  for (const { attachments } of containers) {
    for (const { network, ipv4, ipv6 } of attachments) {
      const address = own.has(ipv4) ? ipv4 : ipv6;
      if (own.has(address) && drivers[network] === "overlay") found.set(network, address);
    }
  }
  return [...found.keys()].toSorted();
}

/**
 * Whether an address can reach others than its own link. Every container gives the host an interface
 * with a link-local IPv6 address (RFC 4291, section 2.5.6). These are left out: otherwise what this
 * host reaches would seem to change with every container.
 */
function reachesBeyondLink({ cidr, address }: NetworkInterfaceInfo): boolean {
  return cidr !== null && !/^fe[89ab]/i.test(address);
}

/**
 * This host's own IPv4 addresses, such as `172.17.0.1/16`. `networkInterfaces` leaves out those of
 * bridges that have no container now. The last one would seem unreachable as soon as it ends.
 * @param fibTrie the kernel's routes to itself (`host LOCAL`), from `/proc/net/fib_trie`
 * @param route the kernel's other routes, from `/proc/net/route`, with the lengths of the prefixes
 */
export function ipv4Cidrs(fibTrie: string, route: string): string[] {
  const local = fibTrie.matchAll(/\|-- (\S+)\n +\/32 host LOCAL/g);
  const direct = route
    .split("\n")
    .map((line) => line.split(/\s+/))
    .filter(([, , gateway]) => gateway === "00000000")
    .map(([, destination = "", , , , , , mask = ""]) => [toNumber(destination), toNumber(mask)])
    .filter(([, mask]) => mask !== 0);
  return [...local].flatMap(([, address = ""]) => {
    const number = address.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
    const fits = direct.filter(
      ([destination = 0, mask = 0]) => (number & mask) >>> 0 === destination,
    );
    return fits.map(([, mask = 0]) => `${address}/${mask.toString(2).replaceAll("0", "").length}`);
  });
}

/** @param hex four bytes in the order of the machine: x64 and arm64 have the last one first */
function toNumber(hex: string): number {
  return Buffer.from(hex, "hex").readUInt32LE();
}

/**
 * This host's own IPv6 addresses, as `ipv4Cidrs` has the others.
 * @param addresses the content of `/proc/net/if_inet6`
 */
export function ipv6Cidrs(addresses: string): string[] {
  return [...addresses.matchAll(/^([0-9a-f]{32}) \S+ (\S+) /gm)]
    .filter(([, address = ""]) => !/^fe[89ab]/.test(address))
    .map(([, address = "", prefix = ""]) => {
      const groups = address.match(/.{4}/g) ?? [];
      return `${groups.join(":")}/${parseInt(prefix, 16)}`;
    });
}

/** Empty where there is no such file, as in a container that hides it. */
function readProc(name: string): string {
  const path = `/proc/${name}`;
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

function withoutPrefix(cidr: string): string {
  return cidr.replace(/\/.*$/, "");
}

/** Whether a bridge is here. A container has none of its own, but in the host's network it sees it. */
function hasBridge(): boolean {
  const path = "/sys/class/net";
  return existsSync(path) && readdirSync(path).some((name) => existsSync(`${path}/${name}/bridge`));
}

/** Whether a file such as `/etc/passwd` has an entry `haproxy`. */
function hasHaproxyEntry(path: string): boolean {
  return existsSync(path) && /^haproxy:/m.test(readFileSync(path, "utf8"));
}
