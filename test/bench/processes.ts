// What a process costs: its CPU time and its memory, as the kernel counts them.

import { dlopen, FFIType, ptr } from "bun:ffi";
import { readdirSync, readFileSync } from "node:fs";

const NANOSECONDS = 1e9;
/** The kernel's clock ticks in /proc; 100 on every Linux there is. */
const TICK_MS = 10;

const libc = dlopen("libc.so.6", {
  clock_gettime: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
});

/**
 * The CPU time of a process so far, user and system, in milliseconds. /proc has the same in steps
 * of 10 ms, which is more than many a change costs.
 */
export function cpuTime(pid: number): number {
  const time = new BigInt64Array(2);
  // The clock of another process. Source: clock_getcpuclockid(3), linux/posix-timers.h.
  const clock = (~pid << 3) | 2;
  if (libc.symbols.clock_gettime(clock, ptr(time)) !== 0) {
    throw new Error(`Cannot read the CPU time of process ${pid}: it is gone`);
  }
  const [seconds = 0n, nanoseconds = 0n] = time;
  return (Number(seconds) + Number(nanoseconds) / NANOSECONDS) * 1000;
}

/** The CPU time of a process's children that have ended, in milliseconds. */
export function childrenTime(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // The second field may have blanks in it. Source: proc(5); cutime and cstime are 16 and 17.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[13]) + Number(fields[14])) * TICK_MS;
}

/** These processes, and all that descend from them. */
export function withDescendants(pids: readonly number[]): readonly number[] {
  const parents = new Map(
    readdirSync("/proc")
      .map(Number)
      .filter(Number.isInteger)
      .map((pid) => [pid, parentOf(pid)]),
  );
  const found = new Set(pids);
  // A process may have a lower number than its parent: as long as there are more, looks again.
  for (let before = 0; before < found.size;) {
    before = found.size;
    for (const [pid, parent] of parents) {
      if (parent !== undefined && found.has(parent)) found.add(pid);
    }
  }
  return [...found];
}

/** The memory that is a process's own, in megabytes: what it shares with its file is not. */
export function ownMemory(pid: number): number {
  // Source: proc(5), `RssAnon`.
  return kilobytes(`/proc/${pid}/status`, "RssAnon") / 1024;
}

/** The memory of processes, in megabytes: a page that several of them have counts once. */
export function jointMemory(pids: readonly number[]): number {
  const sizes = pids.map((pid) => kilobytes(`/proc/${pid}/smaps_rollup`, "Pss"));
  return sizes.reduce((sum, size) => sum + size, 0) / 1024;
}

function kilobytes(file: string, field: string): number {
  const text = readFileSync(file, "latin1");
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(text)?.[1]);
}

/** Undefined if the process has ended meanwhile. */
function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}
