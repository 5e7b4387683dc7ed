// Makes the completion scripts of the shells from the command tree.

import type { Command } from "../command.ts";
import { forBash } from "./bash.ts";
import { forFish } from "./fish.ts";
import { completedFor } from "./words.ts";
import { forZsh } from "./zsh.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/**
 * Makes the completion script of a shell.
 * @param commands all commands; the one without a name is the program itself
 */
export function completionFor(shell: Shell, program: string, commands: readonly Command[]): string {
  const makers = { bash: forBash, zsh: forZsh, fish: forFish };
  return makers[shell](program, commands.map(completedFor));
}
