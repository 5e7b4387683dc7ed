// The command tree: what completions, manual page and help must name.

import type { Command } from "../../src/cli/command.ts";

export const NAME = "docker-api-gateway";

/** The names of those that have one. */
export function namesOf(commands: readonly Command[]): string[] {
  return commands.map(({ name }) => name).filter((name) => name !== "");
}

/** The words that give a command's flags, with what every command has. */
export function flagsOf(command: Command, dashes = "--"): string[] {
  return [...Object.keys(command.flags), "help", "version"].map((flag) => `${dashes}${flag}`);
}
