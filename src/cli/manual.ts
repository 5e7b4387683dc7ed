// Makes the manual page from the command tree. Source of the form: man-pages(7), man(7).

import type { Command } from "./command.ts";
import { EXIT_STATUS, type ErrorCode } from "../lib/errors.ts";
import { dashed, flagNames, variableName, type FlagDef, type FlagDefs } from "./flags.ts";

interface Program {
  readonly name: string;
  readonly version: string;
  readonly description: string;
}

/** Makes the command that prints the manual page of all commands. */
export function manualCommand(program: Program, all: () => readonly Command[]): Command {
  return {
    name: "man",
    description: "Print the manual page",
    flags: {},
    examples: [
      ["docker-api-gateway man | man -l -", "read it"],
      ["docker-api-gateway man > /usr/local/share/man/man8/docker-api-gateway.8", "keep it"],
    ],
    run(_, io) {
      io.write(manualPage(program, all()));
      return 0;
    },
  };
}

/** The manual page in roff. @param commands the one without a name is the program itself */
function manualPage({ name, version, description }: Program, commands: readonly Command[]): string {
  const shared = commands.find((command) => command.name === "")?.flags ?? {};
  const lines = [
    `.TH ${name.toUpperCase()} 8 "" "${roff(version)}"`,
    // No hyphens and no filling: readers copy flags and commands from the page.
    ".nh",
    ".ad l",
    ".SH NAME",
    `${roff(name)} \\- ${roff(description)}`,
    ".SH SYNOPSIS",
    ...commands
      .map((command) => synopsis(name, command, shared))
      .flatMap((line, index) => [...(index === 0 ? [] : [".br"]), line]),
    ".SH COMMANDS",
    ...commands.filter((command) => command.name !== "").flatMap((each) => about(each, shared)),
    ".SH OPTIONS",
    "One dash or two, and the value behind a blank or =.",
    "Each is also read from the environment variable that is named with it.",
    ...commands.flatMap((command) => exceptions(command, shared)),
    ...Object.entries(shared).flatMap(([flag, def]) => option(flag, def, variableName(flag))),
    ...COMMON.flatMap(([flag, meaning]) => [".TP", bold(flag), meaning]),
    ".SH EXIT STATUS",
    ...exitStatuses().flatMap(([status, meaning]) => [".TP", bold(String(status)), roff(meaning)]),
    ".SH EXAMPLES",
    ...commands
      .flatMap(({ examples }) => examples)
      .flatMap(([command, meaning], index) => [
        ...(index === 0 ? [] : [".PP"]),
        bold(command),
        ".RS",
        roff(meaning),
        ".RE",
      ]),
    ".SH SEE ALSO",
    ".BR haproxy (1),",
    ".BR docker (1)",
  ];
  return `${lines.join("\n")}\n`;
}

/** Every command has these flags. */
const COMMON = [
  ["--help", "show the help of the program, or of the command before it"],
  ["--version", "show the version"],
] as const;

const MEANINGS: Readonly<Record<ErrorCode, string>> = {
  bug: "a bug; doctor: something is missing",
  usage: "wrong flags",
  docker: "Docker cannot be reached or refuses",
  template: "the template does not parse or render",
  config: "the configuration cannot be written, is refused, or is another gateway's",
  haproxy: "HAProxy is missing, does not start, or does not reload",
  release: "a release cannot be fetched or is not what it should be",
  gateway: "the running gateway cannot be asked, or refuses",
};

function exitStatuses(): [number, string][] {
  const failures = Object.entries(MEANINGS) as [ErrorCode, string][];
  const rows: [number, string][] = [
    [0, "it was told to end, and did"],
    [3, "render --diff: something would change; upgrade --check: there is a newer release"],
    ...failures.map(([code, meaning]): [number, string] => [EXIT_STATUS[code], meaning]),
  ];
  return rows.toSorted(([one], [other]) => one - other);
}

/** How a command is typed. It lists the flags of its own; one word stands for the gateway's. */
function synopsis(program: string, command: Command, shared: FlagDefs): string {
  const { flags } = command;
  const own = Object.entries(flags).filter(([flag]) => !(flag in shared));
  return [
    bold([program, command.name].filter(Boolean).join(" ")),
    ...own.map(([flag, def]) => `[${bold(`--${flag}`)}${value(def)}]`),
    ...(own.length < Object.keys(flags).length ? [`[${italic("OPTION")}]...`] : []),
    ...argumentOf(command),
  ].join(" ");
}

function argumentOf({ argument, more }: Command): string[] {
  return [argument, more].flatMap((each) => {
    if (each === undefined) return [];
    const name = italic(each.name.toUpperCase());
    return [each.required ? name : `[${name}]`];
  });
}

function about(command: Command, shared: FlagDefs): string[] {
  const { name, description, argument, more } = command;
  const own = Object.entries(command.flags).filter(([flag]) => !(flag in shared));
  const details = [
    ...[argument, more].flatMap((each) =>
      each === undefined ? [] : [".TP", italic(each.name.toUpperCase()), roff(each.description)],
    ),
    ...own.flatMap(([flag, def]) => option(flag, def)),
  ];
  return [
    ".TP",
    [bold(name), ...argumentOf(command)].join(" "),
    roff(`${description}.`),
    ...(details.length === 0 ? [] : [".RS", ...details, ".RE"]),
  ];
}

/** Tells which flags of the gateway a command lacks, if it takes any of them. */
function exceptions({ name, flags }: Command, shared: FlagDefs): string[] {
  const names = Object.keys(shared);
  const missing = names.filter((flag) => !(flag in flags));
  if (missing.length === 0 || missing.length === names.length) return [];
  return [`${bold(name)} does not take ${missing.map((flag) => bold(`--${flag}`)).join(", ")}.`];
}

function option(flag: string, def: FlagDef, variable?: string): string[] {
  const names = flagNames(flag, def)
    .map((name) => bold(dashed(name)))
    .join(", ");
  const also = variable === undefined ? "" : ` (${variable})`;
  return [".TP", `${names}${value(def)}`, roff(`${def.description}${also}`)];
}

function value(def: FlagDef): string {
  return def.type === "string" ? ` ${italic(def.valueHint)}` : "";
}

function bold(text: string): string {
  return `\\fB${roff(text)}\\fR`;
}

function italic(text: string): string {
  return `\\fI${roff(text)}\\fR`;
}

/** Longer words may be broken after their slashes. In characters. */
const LONGEST_WORD = 65;
/** roff shows these as other characters. Source: groff_char(7), "Special character escapes". */
const CHARACTERS: Readonly<Record<string, string>> = {
  "\\": String.raw`\(rs`,
  "-": String.raw`\-`,
  "'": String.raw`\(aq`,
  "`": String.raw`\(ga`,
  "^": String.raw`\(ha`,
  "~": String.raw`\(ti`,
};

/** Escapes text for roff: it shows each character as it is, and takes no line for a request. */
function roff(text: string): string {
  const escaped = text
    .split(" ")
    .map((word) => {
      const own = word.replaceAll(/[\\\-'`^~]/g, (char) => CHARACTERS[char] ?? char);
      return word.length > LONGEST_WORD ? own.replaceAll(/\/(?=\w)/g, String.raw`/\:`) : own;
    })
    .join(" ");
  return escaped.startsWith(".") ? `\\&${escaped}` : escaped;
}
