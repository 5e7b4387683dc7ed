// Runs another program to its end, within a time limit.

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
