// Who listens on a TCP address of this machine, and whether it is free.

import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { BlockList, createServer } from "node:net";
import { systemCode } from "./errors.ts";

/** A program that listens; its number is undefined where only root may know it. */
export interface Listener {
  readonly pid: number | undefined;
  /** Its number as it knows itself: another one in a container. Source: proc_pid_status(5), NSpid. */
  readonly ownPid: number | undefined;
  readonly program: string;
}

/** The state of a listening socket. Source: proc_pid_net(5), `/proc/net/tcp`. */
const LISTEN = "0A";
const TABLES = ["/proc/net/tcp", "/proc/net/tcp6"];

/**
 * The programs that keep others from listening on an address, as `--listen` has it; undefined where
 * this system does not tell.
 */
export function listenersOn(address: string): Listener[] | undefined {
  if (!TABLES.some((path) => existsSync(path))) return undefined;
  const inodes = TABLES.flatMap((path) => inodesOn(path, address));
  if (inodes.length === 0) return [];
  const holders = holdersOf(new Set(inodes));
  return holders.length > 0
    ? holders
    : [{ pid: undefined, ownPid: undefined, program: "another user's program" }];
}

/** Why an address cannot be listened on, and what to do about it. */
export interface NotFree {
  readonly problem: string;
  readonly hint: string;
}

/**
 * Tries to listen on an address for a moment.
 * @param address as `host:port`
 * @param isOurs whether a program that listens there already may go on
 * @returns undefined where the address can be used
 */
export async function whyNotFree(
  address: string,
  isOurs: (listener: Listener) => boolean,
): Promise<NotFree | undefined> {
  const code = await listenOnce(address);
  if (code === "EADDRNOTAVAIL") {
    return {
      problem: "this machine has no such address",
      hint: "ip address lists what it has; see --listen",
    };
  }
  if (code !== "EADDRINUSE") return undefined;
  const holders = listenersOn(address) ?? [];
  if (holders.some(isOurs)) return undefined;
  const names = holders.map(
    ({ program, pid }) => program + (pid === undefined ? "" : ` (process ${pid})`),
  );
  const who = names.length === 0 ? "another program" : names.join(", ");
  return { problem: `${who} has it`, hint: "end that program, or use another --listen" };
}

/** Listens for a moment; gives the system's code where that fails, or "". */
async function listenOnce(address: string): Promise<string> {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const server = createServer();
  server.once("error", (error) => resolve(systemCode(error)));
  server.once("listening", () => {
    server.close((error) => (error === undefined ? resolve("") : reject(error)));
  });
  server.listen({ host: host === "*" ? "0.0.0.0" : host, port: Number(address.slice(colon + 1)) });
  return promise;
}

function inodesOn(path: string, wanted: string): string[] {
  return readIfAllowed(path)
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = "", , state]) => state === LISTEN && isInTheWay(toAddress(local), wanted))
    .map((fields) => fields[9] ?? "");
}

/** Whether two listening addresses exclude each other: the same port, of one interface or of all. */
function isInTheWay(held: string, wanted: string): boolean {
  const [hostA, portA] = takeApart(held);
  const [hostB, portB] = takeApart(wanted);
  if (portA !== portB) return false;
  const [familyA, familyB] = [hostA, hostB].map((host) => (host.includes(":") ? "ipv6" : "ipv4"));
  // All of IPv6 are those of IPv4 too, unless the program asked otherwise; see ipv6(7).
  if (isAny(hostA) && (familyA === "ipv6" || familyB === "ipv4")) return true;
  if (isAny(hostB) && (familyB === "ipv6" || familyA === "ipv4")) return true;
  const list = new BlockList();
  list.addAddress(hostA, familyA);
  return list.check(hostB, familyB);
}

function takeApart(address: string): [host: string, port: string] {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  return [host === "*" ? "0.0.0.0" : host, address.slice(colon + 1)];
}

function isAny(host: string): boolean {
  return /^[0:.]+$/.test(host);
}

/** `127.0.0.1:80` of `0100007F:0050`: words of 32 bits, each with its last byte first. */
function toAddress(text: string): string {
  const [hex = "", port = ""] = text.split(":");
  const words = (hex.match(/.{8}/g) ?? []).map((word) => (word.match(/../g) ?? []).toReversed());
  const host =
    words.length === 1
      ? (words[0] ?? []).map((byte) => Number.parseInt(byte, 16)).join(".")
      : `[${(words.flat().join("").match(/.{4}/g) ?? []).join(":")}]`;
  return `${host}:${Number.parseInt(port, 16)}`;
}

function holdersOf(inodes: ReadonlySet<string>): Listener[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids
    .filter((pid) => socketsOf(pid).some((inode) => inodes.has(inode)))
    .map((pid) => ({
      pid: Number(pid),
      ownPid: ownPid(pid),
      program: readIfAllowed(`/proc/${pid}/comm`).trim(),
    }));
}

function ownPid(pid: string): number {
  const [, own] = /^NSpid:.*\s(\d+)$/m.exec(readIfAllowed(`/proc/${pid}/status`)) ?? [];
  return Number(own ?? pid);
}

function socketsOf(pid: string): string[] {
  return allowed(() => readdirSync(`/proc/${pid}/fd`), []).flatMap((fd) => {
    const target = allowed(() => readlinkSync(`/proc/${pid}/fd/${fd}`), "");
    return /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? [];
  });
}

function readIfAllowed(path: string): string {
  return allowed(() => readFileSync(path, "utf8"), "");
}

/** Processes end while they are looked at, and not every one may be looked at. */
function allowed<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}
