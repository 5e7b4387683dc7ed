// What a process costs: its CPU time and its memory, as the kernel counts them.

import { dlopen, FFIType, ptr } from "bun:ffi";
import { readFileSync } from "node:fs";

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

/** The resident memory of a process, in megabytes. */
export function residentMemory(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
}
