// One gateway for each output file: two would undo each other's work.

import { FFIType, read as readMemory } from "bun:ffi";
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { pause } from "./async.ts";
import { errorMessage, GatewayError } from "./errors.ts";
import { openLibc } from "./libc.ts";

/** Who has a lock may just be ending, or about to write who it is: asked so often, this far apart. */
const TRIES = 5;
const PAUSE = 50;
/** Linux's numbers: flock(2), errno(3). */
const LOCK_EX_NB = 2 | 4;
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
/** No link is followed: in a folder for everybody it could lead to a file of the user's own. */
const OPEN_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;

/**
 * Takes the lock of an output file until the returned function is called, or the process ends. It
 * is the kernel's (flock(2)), so it holds between containers that share a folder too, and nothing is
 * left of it when its holder dies. Bun opens files so that no child has them (`O_CLOEXEC`), so a
 * HAProxy that lives on does not keep it. Whoever deletes the lock file takes the lock away.
 * @param warn called where the file system has no locks: the gateway goes on without one
 * @throws GatewayError `config` where another gateway has it
 */
export async function lockOutput(
  output: string,
  warn: (message: string) => void = () => undefined,
): Promise<() => void> {
  const path = join(dirname(output), `.${basename(output)}.lock`);
  try {
    for (let tries = 1; ; tries++) {
      const fd = openSync(path, OPEN_FLAGS, 0o644);
      const outcome = lockFile(fd);
      // A holder that ends removes its file: a lock on that one would keep nobody out.
      if (outcome !== "held" && isAt(path, fd)) {
        if (outcome !== "locked") {
          warn(`${output} cannot be locked: a second gateway would not be noticed (${outcome})`);
        }
        ftruncateSync(fd);
        writeSync(fd, [process.pid, ...here()].join(" "), 0);
        return () => {
          if (isAt(path, fd)) rmSync(path, { force: true });
          closeSync(fd);
        };
      }
      const holder = readFileSync(fd, "utf8");
      closeSync(fd);
      if (tries === TRIES) throw refusal(output, holder);
      await pause(PAUSE);
    }
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    throw new GatewayError("config", `Cannot lock "${output}": ${errorMessage(error)}`, {
      hint: "run the gateway as a user that may write there, or name another --output-file",
      cause: error,
    });
  }
}

/** Locks an open file, without waiting; says why where locks are not to be had. */
function lockFile(fd: number): string {
  try {
    const { flock, __errno_location: errno } = openLibc(FUNCTIONS);
    if (flock(fd, LOCK_EX_NB) === 0) return "locked";
    const at = errno();
    // In doubt somebody has it.
    return (at === null ? undefined : UNSUPPORTED[readMemory.i32(at)]) ?? "held";
  } catch (error) {
    return errorMessage(error);
  }
}

function refusal(output: string, holder: string): GatewayError {
  const [pid = "", ...where] = holder.split(" ");
  // A process number means something only in the container or on the host that gave it.
  const isHere = where.join(" ") === here().join(" ");
  const who = isHere ? `process ${pid}` : `in the container or on the host "${where[1] ?? "?"}"`;
  return new GatewayError("config", `Cannot use "${output}": another gateway (${who}) writes it`, {
    hint: `end that one${isHere ? ` (kill ${pid})` : ""}, or name another --output-file`,
  });
}

/** Where process numbers are those of this one: the kernel's name for it, and the host's name. */
function here(): [string, string] {
  return [readlinkSync("/proc/self/ns/pid"), hostname()];
}

/** Whether an open file is still the one at a path. */
function isAt(path: string, fd: number): boolean {
  const there = statSync(path, { throwIfNoEntry: false });
  const own = fstatSync(fd);
  return there?.ino === own.ino && there.dev === own.dev;
}
