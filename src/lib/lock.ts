// Locks what only one gateway may write, such as the output file. Two would undo each other's work.

import { FFIType, read as readMemory } from "bun:ffi";
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { pause } from "./async.ts";
import { errorMessage, GatewayError, systemCode } from "./errors.ts";
import { openLibc } from "./libc.ts";
import { processIds } from "./process.ts";

/** The holder may be about to end, or to write its process number. So the lock is tried again. */
const TRIES = 5;
/** The time between two tries, in milliseconds. */
const PAUSE = 50;
/** Linux's flags for an exclusive lock, without waiting. Source: flock(2). */
const LOCK_EX_NB = 2 | 4;
/** The errors of a file system that has no locks, by their number on Linux. Source: errno(3). */
const UNSUPPORTED: Readonly<Record<number, string>> = {
  22: "EINVAL",
  37: "ENOLCK",
  38: "ENOSYS",
  95: "EOPNOTSUPP",
};
const FUNCTIONS = {
  flock: { args: [FFIType.int, FFIType.int], returns: FFIType.int },
  __errno_location: { args: [], returns: FFIType.ptr },
} as const;
/** Links are not followed. In a public folder, one could lead to another file of this user. */
const OPEN_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;

/** Another gateway has the lock. */
export class OutputLocked extends GatewayError {}

/** What is locked, and the flag that names it. */
interface Locked {
  readonly output: string;
  readonly flag: string;
}

/** A lock that is held. Called, it is released. */
export interface Lock {
  (): void;
  /** The path of the lock file. */
  readonly path: string;
  /**
   * Makes the lock file again if somebody removed it. Returns whether it did.
   * @throws OutputLocked if another gateway has the lock, or GatewayError `config` now
   */
  readonly renew: () => Promise<boolean>;
}

/**
 * Takes the lock of a file or a folder, by a file beside it, until the returned function is called or the process ends. The
 * kernel has the lock (flock(2)). So it also holds between containers that share a folder, and it
 * ends when its holder dies. Bun opens files with `O_CLOEXEC`: no child inherits them, so a HAProxy
 * that lives on does not keep the lock. If somebody removes the lock file, its holder still has it
 * open, which others of this user can see; `renew` makes it again for all the others.
 * @param warn called if the file system has no locks; the gateway then goes on without one
 * @param flag the one that names it
 * @throws OutputLocked if another gateway has the lock, or GatewayError `config`
 */
export async function lockOutput(
  output: string,
  warn: (message: string) => void = () => undefined,
  flag = "--output-file",
): Promise<Lock> {
  const path = join(dirname(output), `.${basename(output)}.lock`);
  let fd = await takeLock(path, { output, flag }, warn);
  const release = (): void => {
    if (isAt(path, fd)) rmSync(path, { force: true });
    closeSync(fd);
  };
  const renew = async (): Promise<boolean> => {
    if (isAt(path, fd)) return false;
    const next = await takeLock(path, { output, flag }, warn);
    closeSync(fd);
    fd = next;
    return true;
  };
  return Object.assign(release, { path, renew });
}

/** Opens and locks a lock file. Returns its descriptor. */
async function takeLock(
  path: string,
  locked: Locked,
  warn: (message: string) => void,
): Promise<number> {
  const { output, flag } = locked;
  try {
    for (let tries = 1; ; tries++) {
      const { fd, isWritable } = openLock(path);
      const outcome = lockFile(fd);
      if (outcome === "locked" && !isWritable && isAt(path, fd)) {
        // Its holder died without removing it. Whoever may write in the folder may do so.
        rmSync(path);
        closeSync(fd);
        continue;
      }
      // A holder that ends removes its lock file. A lock on a removed file would keep nobody out.
      if (outcome !== "held" && isAt(path, fd)) {
        const other = holderOfRemoved(path);
        if (other !== undefined) {
          // It is about to end, or it will make its lock file again.
          rmSync(path);
          closeSync(fd);
          if (tries >= TRIES) throw lockedBy([other, ...pidScope()].join(" "), locked);
          await pause(PAUSE);
          continue;
        }
        if (outcome !== "locked") {
          warn(`${output} cannot be locked: a second gateway would not be noticed (${outcome})`);
        }
        ftruncateSync(fd);
        writeSync(fd, [process.pid, ...pidScope()].join(" "), 0);
        return fd;
      }
      const holder = readFileSync(fd, "utf8");
      closeSync(fd);
      if (tries >= TRIES) throw lockedBy(holder, locked);
      await pause(PAUSE);
    }
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    throw new GatewayError("config", `Cannot lock "${output}": ${errorMessage(error)}`, {
      hint: `run the gateway as a user that may write there, or name another ${flag}`,
      cause: error,
    });
  }
}

/**
 * Another process that has a lock file open which was removed: its lock holds on. Undefined if there
 * is none, or none that this user may see. Source: proc_pid_fd(5).
 */
function holderOfRemoved(path: string): number | undefined {
  const removed = `${realFolder(path)} (deleted)`;
  return processIds().find((pid) => pid !== process.pid && openFiles(pid).includes(removed));
}

/** The path as the kernel has it, without links in the names of folders. */
function realFolder(path: string): string {
  return join(realpathSync(dirname(path)), basename(path));
}

/** What a process has open. Empty if it ended or is another user's. */
function openFiles(pid: number): string[] {
  try {
    const folder = `/proc/${pid}/fd`;
    return readdirSync(folder).map((fd) => readLink(`${folder}/${fd}`));
  } catch (error) {
    if (["ENOENT", "EACCES", "ESRCH"].includes(systemCode(error))) return [];
    throw error;
  }
}

/** Where a link leads. Empty if it is gone. */
function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return "";
    throw error;
  }
}

/** Opens a lock file, and makes it if there is none. That of another user is only read. */
function openLock(path: string): { readonly fd: number; readonly isWritable: boolean } {
  try {
    return { fd: openSync(path, OPEN_FLAGS, 0o644), isWritable: true };
  } catch (error) {
    if (systemCode(error) !== "EACCES") throw error;
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    return { fd, isWritable: false };
  }
}

/**
 * Tries to lock an open file, without waiting.
 * @returns `locked`, or `held` by another process, or else why there are no locks
 */
function lockFile(fd: number): string {
  try {
    const { flock, __errno_location: errno } = openLibc(FUNCTIONS);
    if (flock(fd, LOCK_EX_NB) === 0) return "locked";
    const at = errno();
    // Any other error counts as held by another process.
    return (at === null ? undefined : UNSUPPORTED[readMemory.i32(at)]) ?? "held";
  } catch (error) {
    return errorMessage(error);
  }
}

/** @param holder the content of the lock file */
function lockedBy(holder: string, { output, flag }: Locked): OutputLocked {
  const [pid = "", ...scope] = holder.split(" ");
  // A process number is valid only in the container or on the host that it comes from.
  const isHere = scope.join(" ") === pidScope().join(" ");
  const who = isHere ? `process ${pid}` : `in the container or on the host "${scope[1] ?? "?"}"`;
  return new OutputLocked("config", `Cannot use "${output}": another gateway (${who}) writes it`, {
    hint: `end that one${isHere ? ` (kill ${pid})` : ""}, or name another ${flag}`,
  });
}

/** Where the number of this process is valid: its PID namespace in the kernel, and the host name. */
function pidScope(): [namespace: string, host: string] {
  return [readlinkSync("/proc/self/ns/pid"), hostname()];
}

/** Whether an open file is still the one at a path. */
function isAt(path: string, fd: number): boolean {
  const atPath = statSync(path, { throwIfNoEntry: false });
  const opened = fstatSync(fd);
  return atPath?.ino === opened.ino && atPath.dev === opened.dev;
}
