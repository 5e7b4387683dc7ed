// Who listens on a TCP port of this machine.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** A program that listens; its number is undefined where only root may know it. */
export interface Listener {
  readonly pid: number | undefined;
  readonly program: string;
}

/** The state of a listening socket. Source: proc_pid_net(5), `/proc/net/tcp`. */
const LISTEN = "0A";

/** The programs that listen on a port, on any address. */
export function listenersOn(port: number): Listener[] {
  const inodes = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((path) => inodesOn(path, port));
  if (inodes.length === 0) return [];
  const holders = holdersOf(new Set(inodes));
  return holders.length > 0 ? holders : [{ pid: undefined, program: "another user's program" }];
}

function inodesOn(path: string, port: number): string[] {
  return readIfAllowed(path)
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = "", , state]) => state === LISTEN && portOf(local) === port)
    .map((fields) => fields[9] ?? "");
}

function portOf(address: string): number {
  return Number.parseInt(address.slice(address.lastIndexOf(":") + 1), 16);
}

function holdersOf(inodes: ReadonlySet<string>): Listener[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids
    .filter((pid) => socketsOf(pid).some((inode) => inodes.has(inode)))
    .map((pid) => ({ pid: Number(pid), program: readIfAllowed(`/proc/${pid}/comm`).trim() }));
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
