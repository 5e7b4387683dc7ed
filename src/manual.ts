// The manual page, made from the command tree. Source of the form: man-pages(7), man(7).

import type { Command } from "./command.ts";
import { EXIT_STATUS } from "./errors.ts";
import { variableName, type FlagDef } from "./flags.ts";

interface Program {
  readonly name: string;
  readonly version: string;
  readonly description: string;
}

/** The manual page in roff. @param commands the one without a name is the program itself */
export function manualPage(
  { name, version, description }: Program,
  commands: readonly Command[],
): string {
  const root = commands.find((command) => command.name === "");
  const shared = new Set(Object.keys(root?.flags ?? {}));
  const lines = [
    `.TH ${name.toUpperCase()} 8 "" "${roff(version)}"`,
    ".SH NAME",
    `${roff(name)} \\- ${roff(description)}`,
    ".SH SYNOPSIS",
    ...commands.flatMap((command) => [
      ".B " + roff([name, command.name].filter(Boolean).join(" ")),
      synopsis(command),
      ".br",
    ]),
    ".SH COMMANDS",
    ...commands
      .filter(({ name: own }) => own !== "")
      .flatMap((command) => [
        ".TP",
        `.B ${roff(command.name)}`,
        roff(`${command.description}.`),
        ...Object.entries(command.flags)
          .filter(([flag]) => !shared.has(flag))
          .flatMap(([flag, def]) => [".RS", ...option(flag, def, false), ".RE"]),
      ]),
    ".SH OPTIONS",
    "One dash or two. Each is also read from the environment variable that is named with it.",
    ...Object.entries(root?.flags ?? {}).flatMap(([flag, def]) => option(flag, def, true)),
    ".SH EXIT STATUS",
    ...[
      ["0", "it was told to end, and did"],
      ["3", "render \\-\\-diff: something would change"],
    ].flatMap(([status, meaning]) => [".TP", `.B ${status}`, meaning ?? ""]),
    ...Object.entries(EXIT_STATUS).flatMap(([code, status]) => [
      ".TP",
      `.B ${status}`,
      roff(MEANINGS[code] ?? code),
    ]),
    ".SH EXAMPLES",
    ...commands.flatMap(({ examples }) =>
      examples.flatMap(([command, meaning]) => [".TP", `.B ${roff(command)}`, roff(meaning)]),
    ),
    ".SH SEE ALSO",
    ".BR haproxy (1), docker (1)",
  ];
  return `${lines.filter((line) => line !== "").join("\n")}\n`;
}

const MEANINGS: Readonly<Record<string, string>> = {
  bug: "a bug",
  usage: "wrong flags",
  docker: "Docker cannot be reached or refuses",
  template: "the template does not parse or render",
  config: "the configuration cannot be written, is refused, or is another gateway's",
  haproxy: "HAProxy is missing, does not start, or does not reload",
};

function synopsis({ argument, flags }: Command): string {
  const options = Object.keys(flags).length > 0 ? "[\\fIOPTIONS\\fR]" : "";
  const name = argument === undefined ? "" : `\\fI${roff(argument.name.toUpperCase())}\\fR`;
  return [options, argument?.required === false ? `[${name}]` : name].filter(Boolean).join(" ");
}

function option(flag: string, def: FlagDef, hasVariable: boolean): string[] {
  const value = def.type === "string" ? ` \\fI${roff(def.valueHint)}\\fR` : "";
  const variable = hasVariable ? ` (${variableName(flag)})` : "";
  return [".TP", `\\fB\\-\\-${roff(flag)}\\fR${value}`, roff(`${def.description}${variable}`)];
}

/** Text as roff takes it: a minus as a minus, no line that begins with a control character. */
function roff(text: string): string {
  const escaped = text.replaceAll("\\", "\\e").replaceAll("-", "\\-");
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}
