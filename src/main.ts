// The start of the program: runs the command that the user typed. Only this file uses the console
// and sets the exit status.

import { fstatSync } from "node:fs";
import type { CommandIo, Signals } from "./cli/command.ts";
import { COMMANDS, findCommand, PROGRAM } from "./cli/commands.ts";
import { describeError, EXIT_STATUS, GatewayError, systemCode } from "./lib/errors.ts";
import { normalise } from "./cli/flags.ts";
import { helpOf } from "./cli/help.ts";
import { createLogger } from "./lib/log.ts";
import { isJournal } from "./cli/setup.ts";
import { readWords } from "./cli/words.ts";

/** The commit that the program was built from. .ci/build.ts sets it. */
declare const GATEWAY_COMMIT: string | undefined;
const COMMIT = typeof GATEWAY_COMMIT === "string" ? GATEWAY_COMMIT : "not built";
const VERSION = `${PROGRAM.version} (${COMMIT})`;

/** Taken if the size of the terminal is not known, in characters. */
const [USUAL_COLUMNS, USUAL_ROWS] = [100, 24];

const io: CommandIo = {
  env: process.env,
  write: (text) => void process.stdout.write(text),
  note: (line) => void process.stderr.write(`${line}\n`),
  isTerminal: process.stdout.isTTY,
  screen: () => ({
    columns: process.stdout.columns || USUAL_COLUMNS,
    rows: process.stdout.rows || USUAL_ROWS,
  }),
  logger: (options) =>
    createLogger({
      ...options,
      journal: isJournal(process.env, fstatSync(2)),
      write: (line) => process.stderr.write(`${line}\n`),
      now: () => new Date(),
    }),
  keyboard: listenToKeyboard,
  signals: listenToSignals,
};

function listenToKeyboard(pressed: (key: string) => void, resized: () => void): () => void {
  const { stdin, stdout } = process;
  const listen = (bytes: Buffer): void => pressed(bytes.toString());
  if (stdin.isTTY) stdin.setRawMode(true).on("data", listen).resume();
  stdout.on("resize", resized);
  return () => {
    stdout.off("resize", resized);
    if (stdin.isTTY) stdin.setRawMode(false).off("data", listen).pause();
  };
}

function listenToSignals(): Signals {
  const end = new AbortController();
  const insistCallbacks = new Set<() => void>();
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      if (end.signal.aborted) for (const callback of insistCallbacks) callback();
      end.abort();
    });
  }
  return {
    end: end.signal,
    onReread: (callback) => void process.on("SIGHUP", callback),
    onInsist: (callback) => void insistCallbacks.add(callback),
  };
}

async function main(argv: readonly string[]): Promise<number> {
  const { command, rest } = findCommand(normalise(argv));
  const asked = rest.includes("--") ? rest.slice(0, rest.indexOf("--")) : rest;
  if (asked.includes("--help")) {
    const commands = command.name === "" ? COMMANDS.filter(({ name }) => name !== "") : [];
    const { columns } = process.stdout;
    const program = { name: PROGRAM.name, version: VERSION, commands };
    io.write(helpOf(command, program, { ...io, columns }));
    return 0;
  }
  if (asked.includes("--version")) {
    io.write(`${PROGRAM.name} ${VERSION}\n`);
    return 0;
  }
  return command.run(readWords(command, rest, process.env), io);
}

// A reader such as `| head` closes the pipe when it has enough. That is not a failure.
process.stdout.on("error", (error) => process.exit(systemCode(error) === "EPIPE" ? 0 : 1));
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  for (const line of describeError(error)) process.stderr.write(`${line}\n`);
  if (!(error instanceof GatewayError)) console.error(error);
  process.exitCode = EXIT_STATUS[error instanceof GatewayError ? error.code : "bug"];
}
// A pipe takes 64 KiB at once. The rest of a long output waits for its reader.
await new Promise<void>((resolve) => void process.stdout.end(resolve));
// A watch that still waits must not keep a finished program alive.
process.exit();
