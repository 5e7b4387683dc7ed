// Finds the programs that listen on a TCP address of this machine, and tells whether it is free.

import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { BlockList, createServer } from "node:net";
import { systemCode } from "./errors.ts";

/** A program that listens. */
export interface Listener {
  /** Its process number; undefined if only root may see it. */
  readonly pid: number | undefined;
  /**
   * Its process number in its own PID namespace, which is a different one in a container.
   * Source: proc_pid_status(5), NSpid.
   */
  readonly ownPid: number | undefined;
  readonly program: string;
  /** The numeric ID of the user whose socket it is. */
  readonly user: number;
}

/** The state of a listening socket. Source: proc_pid_net(5), `/proc/net/tcp`. */
const LISTEN = "0A";
const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];

/**
 * The programs that keep others from listening on an address.
 * @param address in the form of `--listen`
 * @returns undefined if this system has no list of listening sockets
 */
export function listenersOn(address: string): Listener[] | undefined {
  if (!TABLES.some((path) => existsSync(path))) return undefined;
  const sockets = new Map(TABLES.flatMap((path) => listeningSockets(path, address)));
  const [[, user] = []] = sockets;
  if (user === undefined) return [];
  const owners = ownersOf(sockets);
  if (owners.length > 0) return owners;
  // A program with more rights than this one hides what it has open, even from its own user.
  const whose =
    user === process.getuid?.() ? "a program with more rights" : "another user's program";
  return [{ pid: undefined, ownPid: undefined, program: whose, user }];
}

/** Why the gateway cannot listen on an address, and what to do about it. */
export interface NotFree {
  readonly problem: string;
  readonly hint: string;
}

/**
 * Tries to listen on an address for a moment.
 * @param address as `host:port`
 * @param isOurs whether a program that listens there already belongs to the gateway
 * @param hasOurRights whether HAProxy may listen at no more ports than this process
 * @returns undefined if the address can be used
 */
export async function whyNotFree(
  address: string,
  isOurs: (listener: Listener) => boolean,
  hasOurRights = false,
): Promise<NotFree | undefined> {
  const code = await listenOnce(address);
  if (code === "EADDRNOTAVAIL") {
    return {
      problem: "this machine has no such address",
      hint: "ip address lists what it has; see --listen",
    };
  }
  if (code === "EACCES" && hasOurRights) {
    return {
      problem: "ports below 1024 are root's",
      hint: "run as root, or give it the capability CAP_NET_BIND_SERVICE",
    };
  }
  if (code !== "EADDRINUSE") return undefined;
  const listeners = listenersOn(address) ?? [];
  if (listeners.some(isOurs)) return undefined;
  const names = listeners.map(
    ({ program, pid }) => program + (pid === undefined ? "" : ` (process ${pid})`),
  );
  const who = names.length === 0 ? "another program" : names.join(", ");
  return { problem: `${who} has it`, hint: "end that program, or use another --listen" };
}

/** The capability to listen at ports below 1024, as a bit. Source: capabilities(7), `CAP_NET_BIND_SERVICE`. */
const NET_BIND_SERVICE = 1n << 10n;

/** Whether a process may listen at ports below 1024; undefined if that is not known. */
export function mayListenLow(pid: number): boolean | undefined {
  const [, bits] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readText(`/proc/${pid}/status`)) ?? [];
  return bits === undefined ? undefined : (BigInt(`0x${bits}`) & NET_BIND_SERVICE) !== 0n;
}

/** Listens for a moment. Gives the system's code if that fails, or an empty text. */
async function listenOnce(address: string): Promise<string> {
  const [host, port] = splitAddress(address);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const server = createServer();
  server.once("error", (error) => resolve(systemCode(error)));
  server.once("listening", () => {
    server.close((error) => (error === undefined ? resolve("") : reject(error)));
  });
  server.listen({ host, port: Number(port) });
  return promise;
}

/** The sockets in a table that keep others from listening on an address: their inodes and users. */
function listeningSockets(path: string, address: string): [inode: string, user: number][] {
  return readText(path)
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, local = "", , state]) => state === LISTEN && conflicts(decodeAddress(local), address),
    )
    .map(({ 7: user, 9: inode = "" }) => [inode, Number(user)]);
}

/** Whether only one program can listen: on the same port, with the same host or one for all. */
function conflicts(a: string, b: string): boolean {
  const [hostA, portA] = splitAddress(a);
  const [hostB, portB] = splitAddress(b);
  if (portA !== portB) return false;
  const [familyA, familyB] = [hostA, hostB].map((host) => (host.includes(":") ? "ipv6" : "ipv4"));
  // All IPv6 addresses include all IPv4 addresses, unless the program chose otherwise: ipv6(7).
  if (isAny(hostA) && (familyA === "ipv6" || familyB === "ipv4")) return true;
  if (isAny(hostB) && (familyB === "ipv6" || familyA === "ipv4")) return true;
  const list = new BlockList();
  list.addAddress(hostA, familyA);
  return list.check(hostB, familyB);
}

function splitAddress(address: string): [host: string, port: string] {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  return [host === "*" ? "0.0.0.0" : host, address.slice(colon + 1)];
}

function isAny(host: string): boolean {
  return /^[0:.]+$/.test(host);
}

/** `127.0.0.1:80` for `0100007F:0050`: words of 32 bits, each with its last byte first. */
function decodeAddress(text: string): string {
  const [hex = "", port = ""] = text.split(":");
  const words = (hex.match(/.{8}/g) ?? []).map((word) => (word.match(/../g) ?? []).toReversed());
  const host =
    words.length === 1
      ? (words[0] ?? []).map((byte) => Number.parseInt(byte, 16)).join(".")
      : `[${(words.flat().join("").match(/.{4}/g) ?? []).join(":")}]`;
  return `${host}:${Number.parseInt(port, 16)}`;
}

/** The programs that have one of these sockets open. @param sockets their inodes and users */
function ownersOf(sockets: ReadonlyMap<string, number>): Listener[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    const user = sockets.get(socketsOf(pid).find((inode) => sockets.has(inode)) ?? "");
    if (user === undefined) return [];
    const program = readText(`/proc/${pid}/comm`).trim();
    return [{ pid: Number(pid), ownPid: ownPidOf(pid), program, user }];
  });
}

function ownPidOf(pid: string): number {
  const [, own] = /^NSpid:.*\s(\d+)$/m.exec(readText(`/proc/${pid}/status`)) ?? [];
  return Number(own ?? pid);
}

function socketsOf(pid: string): string[] {
  return readOr([], () => readdirSync(`/proc/${pid}/fd`)).flatMap((fd) => {
    const target = readOr("", () => readlinkSync(`/proc/${pid}/fd/${fd}`));
    return /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? [];
  });
}

function readText(path: string): string {
  return readOr("", () => readFileSync(path, "utf8"));
}

/** A process may end while it is read, or belong to another user. Then `fallback` is the result. */
function readOr<T>(fallback: T, read: () => T): T {
  try {
    return read();
  } catch {
    return fallback;
  }
}
