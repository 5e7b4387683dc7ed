// A command line split as a shell splits it, quotes included, without a shell.

import { parse } from "shell-quote";
import { GatewayError } from "./errors.ts";

/** What is escaped or in quotes, its quotes included. */
const QUOTED = /\\.|'[^']*'|"(?:\\.|[^"\\])*"/gs;

/**
 * Splits a command into the program and its arguments.
 * @param flag the flag it came from, for the error
 * @throws GatewayError `usage` for an empty one, and for what only a shell could do
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

/** A backtick that a shell would obey; the parser takes it, escaped or not, for a letter. */
function findBacktick(command: string): object | undefined {
  const obeyed = command.replaceAll(QUOTED, (quoted) => (quoted.startsWith('"') ? quoted : ""));
  return obeyed.includes("`") ? { op: "`" } : undefined;
}

function describe(word: object): string {
  if ("variable" in word) return `$${String(word.variable)}`;
  if ("pattern" in word) return String(word.pattern);
  if ("op" in word) return String(word.op);
  return "a comment";
}
