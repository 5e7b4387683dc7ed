// One gateway for each output file: two would undo each other's work.

import { existsSync, readFileSync, rmSync } from "node:fs";
import { link, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pause } from "./async.ts";
import { errorMessage, GatewayError, systemCode } from "./errors.ts";

/** Two that take over a dead one's lock in the same moment are told apart after so long, in ms. */
const SETTLE = 50;

/**
 * Takes the lock of an output file until the returned function is called, or the process ends.
 * @throws GatewayError `config` where another gateway has it
 */
export async function lockOutput(output: string): Promise<() => void> {
  const path = join(dirname(output), `.${basename(output)}.lock`);
  const mine = `${process.pid} ${startTime(process.pid)}`;
  const own = `${path}.${process.pid}`;
  try {
    await writeFile(own, mine);
    try {
      await link(own, path);
      await rm(own);
    } catch (error) {
      if (systemCode(error) !== "EEXIST") throw error;
      refuseLiving(output, read(path));
      await rename(own, path);
      await pause(SETTLE);
      refuseLiving(output, read(path));
    }
  } catch (error) {
    // Asked first: where the folder is a file, Bun's forced removal fails all the same.
    if (existsSync(own)) rmSync(own);
    if (error instanceof GatewayError) throw error;
    throw new GatewayError("config", `Cannot lock "${output}": ${errorMessage(error)}`, {
      hint: "run the gateway as a user that may write there, or name another --output-file",
      cause: error,
    });
  }
  return () => {
    if (read(path) === mine) rmSync(path, { force: true });
  };

  function refuseLiving(file: string, holder: string): void {
    const [pid = "", started = ""] = holder.split(" ");
    if (holder === mine || started === "" || startTime(Number(pid)) !== started) return;
    throw new GatewayError(
      "config",
      `Cannot use "${file}": another gateway (process ${pid}) writes it`,
      { hint: `end that one (kill ${pid}), or name another --output-file` },
    );
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    if (systemCode(error) === "ENOENT") return "";
    throw error;
  }
}

/**
 * When a process started, in clock ticks since boot: a number used again is told from the first
 * user's. Empty where there is no such process. Source: proc(5), /proc/pid/stat, field 22.
 */
function startTime(pid: number): string {
  const stat = read(`/proc/${pid}/stat`);
  // The second field is the program's name in parentheses, and may hold anything.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}
