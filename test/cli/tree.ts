// The command tree, as the sources have it: what completions, manual page and help must name.

import { Glob } from "bun";
import { join } from "node:path";
import type { Command } from "../../src/cli/command.ts";
import { tellingCommands } from "../../src/cli/completion/completion.ts";

export const NAME = "docker-api-gateway";

const FOLDER = join(import.meta.dir, "../../src/cli");

/** All commands; the one without a name is the program itself. */
export async function commandTree(): Promise<readonly Command[]> {
  const files = ["*.ts", "doctor/doctor.ts", "service/*.ts"].flatMap((pattern) => [
    ...new Glob(pattern).scanSync(FOLDER),
  ]);
  const modules = await Promise.all(
    files
      .toSorted()
      .map((file): Promise<Readonly<Record<string, unknown>>> => import(join(FOLDER, file))),
  );
  const own = modules.flatMap((each) => Object.values(each)).filter(isCommand);
  return [...own, ...tellingCommands({ name: NAME, version: "", description: "" }, own)];
}

/** The names of those that have one. */
export function namesOf(commands: readonly Command[]): string[] {
  return commands.map(({ name }) => name).filter((name) => name !== "");
}

/** The words that give a command's flags, with what every command has. */
export function flagsOf(command: Command, dashes = "--"): string[] {
  return [...Object.keys(command.flags), "help", "version"].map((flag) => `${dashes}${flag}`);
}

function isCommand(value: unknown): value is Command {
  return typeof value === "object" && value !== null && "run" in value && "examples" in value;
}
