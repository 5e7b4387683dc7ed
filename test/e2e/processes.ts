// What the system says of a process, and HAProxy of its own.

import { readFileSync } from "node:fs";
import { cli } from "../lab/haproxy.ts";

/** Whether a process lives; one that has ended and that nobody has waited for does not. */
export function isAlive(pid: number): boolean {
  return !["", "Z"].includes(field(pid, "State").slice(0, 1));
}

/** The number of the user that it runs as. */
export function userOf(pid: number): number {
  return Number(field(pid, "Uid").split("\t")[1]);
}

/** A line of `/proc/PID/status`; empty where there is no such process. */
function field(pid: number, name: string): string {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return new RegExp(`^${name}:\\t(.*)$`, "m").exec(status)?.[1] ?? "";
  } catch {
    return "";
  }
}

/** A HAProxy's processes: the master and the newest worker. */
export interface Processes {
  master: number;
  worker: number;
}

/** Asks a master for its processes; it does not answer while it reloads. */
export async function showProcesses(masterSocket: string): Promise<Processes> {
  const text = await cli(masterSocket, "show proc");
  const [master, worker] = ["master", "worker"].map((kind) =>
    Number(new RegExp(String.raw`^(\d+)\s+${kind}\b`, "m").exec(text)?.[1]),
  );
  if (!master || !worker) throw new Error(`HAProxy's processes are "${text}"`);
  return { master, worker };
}
