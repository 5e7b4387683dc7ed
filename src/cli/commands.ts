// src/cli is what a person types and reads: the options, the help, and a file for each command. It may
// import every other folder; only main.ts may import it. This file has the command tree, from which
// help, completions and manual page are made.

import manifest from "../../package.json" with { type: "json" };
import { certsCommand } from "./certs.ts";
import type { Command } from "./command.ts";
import { completionCommands } from "./completion/completion.ts";
import { doctorCommand } from "./doctor/doctor.ts";
import { explainCommand } from "./explain.ts";
import { fenceCommand } from "./fence.ts";
import { flagNames } from "./flags.ts";
import { gatewayCommand } from "./gateway.ts";
import { logsCommand } from "./logs.ts";
import { manualCommand } from "./manual.ts";
import { renderCommand } from "./render.ts";
import { routesCommand } from "./routes.ts";
import { installCommand } from "./service/install.ts";
import { uninstallCommand } from "./service/uninstall.ts";
import { upgradeCommand } from "./service/upgrade.ts";
import { templateCommand } from "./template.ts";
import { topCommand } from "./top/top.ts";

const { name, version, description } = manifest;

/** The program, as its help and its manual page describe it. */
export const PROGRAM = { name, version, description };

/** Completion scripts run `namesCommand`. It is not listed, as no person types it. */
const [completionCommand, namesCommand] = completionCommands(name, () => COMMANDS);

/** All commands that a person types. The one without a name is the gateway itself. */
export const COMMANDS: readonly Command[] = [
  gatewayCommand,
  routesCommand,
  explainCommand,
  certsCommand,
  topCommand,
  logsCommand,
  doctorCommand,
  renderCommand,
  templateCommand,
  installCommand,
  uninstallCommand,
  upgradeCommand,
  fenceCommand,
  completionCommand,
  manualCommand(PROGRAM, () => COMMANDS),
];

/**
 * Finds the command in the words after the program's name. Flags of the command may stand before
 * its name.
 * @param words normalised words
 * @returns the command and the other words; without a command's name, the gateway itself
 */
export function findCommand(words: readonly string[]): {
  readonly command: Command;
  readonly rest: readonly string[];
} {
  const commands = [...COMMANDS, namesCommand];
  const at = firstWord(words);
  const command = commands.find(({ name: own }) => own !== "" && own === words[at]);
  return command === undefined
    ? { command: gatewayCommand, rest: words }
    : { command, rest: words.toSpliced(at, 1) };
}

/** The index of the first word that is neither a flag nor a flag's value; -1 if there is none. */
function firstWord(words: readonly string[]): number {
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    if (word === "--") return -1;
    if (!word.startsWith("--")) return index;
    const takesValue = VALUED.has(word.slice(2)) && words[index + 1]?.startsWith("--") === false;
    if (takesValue) index++;
  }
  return -1;
}

/** The names of all flags that take a value. */
const VALUED: ReadonlySet<string> = new Set(
  COMMANDS.flatMap(({ flags }) =>
    Object.entries(flags).flatMap(([flag, def]) =>
      def.type === "boolean" ? [] : flagNames(flag, def),
    ),
  ),
);
