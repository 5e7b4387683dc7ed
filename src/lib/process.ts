// Runs another program to its end, within a time limit; finds processes, and sends them signals.

import { readdirSync, readFileSync } from "node:fs";
import { pause } from "./async.ts";
import { errorMessage, GatewayError, systemCode } from "./errors.ts";

export interface ProgramResult {
  readonly exitCode: number;
  /** The lines of standard output and standard error, without empty lines. */
  readonly lines: readonly string[];
  readonly timedOut: boolean;
}

/** The time to read the rest of the output after the program has ended, in milliseconds. */
const OUTPUT_GRACE = 200;

/**
 * Runs a program and waits for its end. After the limit it is killed with all its children.
 * @param words the program and its arguments
 * @param limit in milliseconds
 * @throws GatewayError `haproxy` if the program cannot be started
 */
export async function runProgram(words: readonly string[], limit: number): Promise<ProgramResult> {
  const child = spawn(words);
  const chunks: Uint8Array[] = [];
  const output = Promise.all([child.stdout, child.stderr].map((each) => collect(each, chunks)));
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child.pid);
  }, limit);
  try {
    const exitCode = await child.exited;
    // A grandchild that still runs in the background may hold the pipes open for ever.
    await Promise.race([output, Bun.sleep(OUTPUT_GRACE)]);
    const text = new TextDecoder().decode(Buffer.concat(chunks));
    const lines = text.split("\n").filter((line) => line.trim() !== "");
    return { exitCode, lines, timedOut };
  } finally {
    clearTimeout(timer);
  }
}

function spawn(words: readonly string[]): Bun.Subprocess<"ignore", "pipe", "pipe"> {
  try {
    return Bun.spawn([...words], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      // With a process group of its own, the program can be killed together with its children.
      detached: true,
    });
  } catch (error) {
    const state = systemCode(error) === "ENOENT" ? "there is no such program" : errorMessage(error);
    throw new GatewayError("haproxy", `Cannot run "${words[0]}": ${state}`, {
      hint: "give its full path, or install it",
      cause: error,
    });
  }
}

async function collect(stream: ReadableStream<Uint8Array>, chunks: Uint8Array[]): Promise<void> {
  for await (const chunk of stream) chunks.push(chunk);
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if (systemCode(error) !== "ESRCH") throw error;
  }
}

/** Sends a signal; 0 only asks. False if there is no such process. */
export function signalProcess(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if (systemCode(error) === "ESRCH") return false;
    throw error;
  }
}

/** How often it is checked that a process still runs, in milliseconds. */
const WATCH_EVERY = 500;

/** Waits for the end of a process that is not a child, or until the signal is aborted. */
export async function waitForEnd(pid: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && signalProcess(pid, 0)) await pause(WATCH_EVERY, signal);
}

/** The IDs of the processes of a unit of systemd. Source: cgroups(7), `/proc/PID/cgroup`. */
export function processesOfUnit(unit: string): number[] {
  const isOf = (line: string): boolean => line.endsWith(`/${unit}`);
  return processIds().filter((pid) =>
    readProcessFile(`/proc/${pid}/cgroup`).split("\n").some(isOf),
  );
}

/** The words of a process's command line. Empty if it ended. Source: proc_pid_cmdline(5). */
export function commandLineOf(pid: number): string[] {
  return readProcessFile(`/proc/${pid}/cmdline`).split("\0").slice(0, -1);
}

/** Of these processes, the first that is no child of another one of them. */
export function parentAmong(pids: readonly number[]): number | undefined {
  return pids.find((pid) => !pids.includes(parentOf(pid)));
}

/** The process IDs of the children of a process. */
export function childrenOf(pid: number): number[] {
  return processIds().filter((child) => parentOf(child) === pid);
}

/** 0 if there is no such process. Source: proc_pid_stat(5): the name in parentheses may have any text. */
function parentOf(pid: number): number {
  const stat = readProcessFile(`/proc/${pid}/stat`);
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1] ?? 0);
}

/** The IDs of all processes of this PID namespace. */
export function processIds(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** The text of a file of a process. Empty if the process ended. */
export function readProcessFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes(systemCode(error))) return "";
    throw error;
  }
}
