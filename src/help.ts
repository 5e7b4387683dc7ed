// The help of a command, made from what it is.

import { defineCommand, renderUsage, type ArgsDef } from "citty";
import type { Command } from "./command.ts";
import { toArgs } from "./flags.ts";

/** What the help needs to know of the program. */
interface Program {
  readonly name: string;
  readonly version: string;
  /** The other commands, where the help is the program's own. */
  readonly commands: readonly Command[];
}

/** The help of a command as text, in colours. */
export async function helpOf(command: Command, program: Program): Promise<string> {
  const { argument, examples, flags } = command;
  const positional: ArgsDef =
    argument === undefined
      ? {}
      : {
          [argument.name]: {
            type: "positional",
            description: argument.description,
            required: argument.required,
          },
        };
  const usage = await renderUsage(
    defineCommand({
      meta: {
        name: [program.name, command.name].filter(Boolean).join(" "),
        version: program.version,
        description: command.description,
      },
      args: { ...positional, ...toArgs(flags) },
    }),
  );
  const lines = usage.split("\n").map((line) => line.trimEnd());
  return `${[
    lines.join("\n").trimEnd(),
    ...section(
      "COMMANDS",
      program.commands.map(({ name, description }) => [name, description]),
    ),
    ...section("EXAMPLES", examples),
    ...(Object.keys(flags).length > 0
      ? ["", "Every flag is also read from GATEWAY_<NAME>, such as GATEWAY_LOG_LEVEL=debug."]
      : []),
  ].join("\n")}\n`;
}

function section(title: string, rows: readonly (readonly [string, string])[]): string[] {
  if (rows.length === 0) return [];
  const width = Math.max(...rows.map(([first]) => first.length));
  return ["", title, "", ...rows.map(([first, rest]) => `  ${first.padEnd(width)}  ${rest}`)];
}
