// Splits a command line as a shell does, with quotes, but without running a shell.

import { parse } from "shell-quote";
import { GatewayError } from "./errors.ts";

/** An escaped character, or text in quotes together with the quotes. */
const QUOTED = /\\.|'[^']*'|"(?:\\.|[^"\\])*"/gs;

/**
 * Splits a command into the program and its arguments.
 * @param flag the flag that the command was given with, for the error message
 * @throws GatewayError `usage` if the command is empty, or if only a shell could run it
 */
export function splitCommand(command: string, flag: string): readonly string[] {
  if (/["']/.test(command.replaceAll(QUOTED, ""))) {
    throw new GatewayError("usage", `Cannot use ${flag} "${command}": a quote is not closed`);
  }
  const words = parse(command, (name) => ({ variable: name }));
  const shellOnly = words.find((word) => typeof word !== "string") ?? findBacktick(command);
  if (words.length === 0) throw new GatewayError("usage", `Cannot use ${flag}: it is empty`);
  if (shellOnly === undefined) return words.filter((word) => typeof word === "string");
  throw new GatewayError(
    "usage",
    `Cannot use ${flag} "${command}": ${describe(shellOnly)} needs a shell, and it is run without one`,
    { hint: `put it in quotes, or run a shell: ${flag} "sh -c '...'"` },
  );
}

/** A backtick that a shell would act on. The parser takes every backtick for an ordinary letter. */
function findBacktick(command: string): object | undefined {
  const active = command.replaceAll(QUOTED, (quoted) => (quoted.startsWith('"') ? quoted : ""));
  return active.includes("`") ? { op: "`" } : undefined;
}

function describe(word: object): string {
  if ("variable" in word) return `$${String(word.variable)}`;
  if ("pattern" in word) return String(word.pattern);
  if ("op" in word) return String(word.op);
  return "a comment";
}
