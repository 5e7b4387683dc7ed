// Processes of this machine: what tells one from any other, and when it ends.

import { FFIType, ptr } from "bun:ffi";
import { closeSync, readFileSync } from "node:fs";
import { openLibc } from "./libc.ts";

/** A process. No other one on this machine has the same, until the next boot. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in clock ticks since the boot. Source: proc_pid_stat(5), field 22. */
  readonly started: string;
}

/** The ID of this machine's current boot. Source: random(4), `/proc/sys/kernel/random`. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** When a process started, in clock ticks since the boot. Undefined if there is none, or it is dead. */
export function startTime(pid: number): string | undefined {
  const stat = readProcess(pid, "stat");
  // The second field is the program's name in parentheses, which may hold any character.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state] = fields ?? [];
  // A zombie and a dead process answer nobody. They only wait until their parent has noticed.
  return state === "Z" || state === "X" ? undefined : fields?.[19];
}

/** Whether a process is still there. */
export function isAlive({ pid, started }: ProcessIdentity): boolean {
  return startTime(pid) === started;
}

/** The control groups of a process, as text. Empty if there is no such process. */
export function controlGroups(pid: number): string {
  return readProcess(pid, "cgroup") ?? "";
}

function readProcess(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    // It is gone, or somebody hides it: it cannot be told apart from others then.
    return undefined;
  }
}

/** The number of the system call `pidfd_open`, the same on all architectures. Source: pidfd_open(2). */
const PIDFD_OPEN = 434;
/** Source: poll(2). */
const POLLIN = 1;
/** The size of a `struct pollfd`, in 32-bit words: a descriptor, and two masks of 16 bits. */
const POLLFD_WORDS = 2;
const FUNCTIONS = {
  syscall: { args: [FFIType.i64, FFIType.i64, FFIType.i64], returns: FFIType.i64 },
  poll: { args: [FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
} as const;

/** A process, and the descriptor by which the kernel knows it. */
interface Watched {
  readonly process: ProcessIdentity;
  readonly fd: number;
}

/**
 * Tells which processes have ended since it began. The kernel knows them by descriptors (pidfds), so
 * a number that is used again for another process deceives nobody.
 */
export class ProcessWatch {
  readonly #libc = openLibc(FUNCTIONS);
  #watched: readonly Watched[] = [];
  /** Those for which the kernel gave no descriptor. They are looked up each time. */
  #others: readonly ProcessIdentity[] = [];
  #table = new Int32Array(0);

  /** @param processes those that have ended already count as ended too */
  constructor(processes: readonly ProcessIdentity[]) {
    const opened = processes.map((process) => ({ process, fd: this.#open(process) }));
    this.#others = opened.filter(({ fd }) => fd === undefined).map(({ process }) => process);
    this.#watch(opened.flatMap(({ process, fd }) => (fd === undefined ? [] : { process, fd })));
  }

  /** The processes that have ended and were not told of yet. One system call for all of them. */
  ended(): ProcessIdentity[] {
    const gone = this.#others.filter((process) => !isAlive(process));
    if (gone.length > 0) this.#others = this.#others.filter((process) => !gone.includes(process));
    if (this.#watched.length === 0) return gone;
    if (this.#libc.poll(ptr(this.#table), this.#watched.length, 0) <= 0) return gone;
    const byOutcome = Map.groupBy(this.#watched, (_, index) =>
      hasEvent(this.#table, index) ? "ended" : "alive",
    );
    const ended = byOutcome.get("ended") ?? [];
    for (const { fd } of ended) closeSync(fd);
    this.#watch(byOutcome.get("alive") ?? []);
    return [...gone, ...ended.map(({ process }) => process)];
  }

  /** Closes the descriptors. */
  close(): void {
    for (const { fd } of this.#watched) closeSync(fd);
    this.#watched = [];
    this.#others = [];
  }

  /** Undefined if it has ended, or if the kernel gives no descriptor. */
  #open(process: ProcessIdentity): number | undefined {
    const fd = Number(this.#libc.syscall(PIDFD_OPEN, process.pid, 0));
    if (fd < 0) return undefined;
    // The number may have been another process's already.
    if (isAlive(process)) return fd;
    closeSync(fd);
    return undefined;
  }

  #watch(watched: readonly Watched[]): void {
    this.#watched = watched;
    this.#table = Int32Array.from(watched.flatMap(({ fd }) => [fd, POLLIN]));
  }
}

/** Whether `poll` noted an event. The mask for that is the upper half of an entry's second word. */
function hasEvent(table: Int32Array, index: number): boolean {
  return (table[index * POLLFD_WORDS + 1] ?? 0) >>> 16 !== 0;
}
