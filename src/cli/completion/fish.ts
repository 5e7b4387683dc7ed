// The completion script for fish.

import { choicesOf, namesOf, type Completed, type CompletedFlag } from "./words.ts";

/** Makes the script for fish. Its file must have the name of the program. */
export function forFish(program: string, commands: readonly Completed[]): string {
  const name = `__${program.replaceAll("-", "_")}`;
  const named = commands.filter((command) => command.name !== "");
  const complete = `complete -c ${program}`;
  return `# Completion for fish: ${program} completion fish | source
# Whether that is the command that stands there; it is the first word, or there is none.
function ${name}_behind
  set -l words (commandline -opc)
  set -l command "$words[2]"
  contains -- "$command" ${named.map((command) => command.name).join(" ")}; or set command
  test "$command" = "$argv[1]"
end
# The same for a flag with one dash, which is offered only to who has begun one.
function ${name}_one_dash
  ${name}_behind $argv[1]; and test (commandline -ct) != -
end
# The same for the word behind the command.
function ${name}_argument
  ${name}_behind $argv[1]; and test (count (commandline -opc)) -eq 2
end
# And for the one behind that.
function ${name}_more
  ${name}_behind $argv[1]; and test (count (commandline -opc)) -eq 3
end

${complete} -e
${complete} -f
${named.map((command) => `${complete} -n 'test (count (commandline -opc)) -eq 1' -a ${command.name} -d ${quote(command.description)}`).join("\n")}
${commands.flatMap((command) => forCommand(command, program, name).map((words) => `${complete} ${words}`)).join("\n")}
`;
}

function forCommand(
  { name, flags, argument, more }: Completed,
  program: string,
  prefix: string,
): string[] {
  const condition = (kind: string): string => `-n ${quote(`${prefix}_${kind} ${name}`.trim())}`;
  const words = [
    ["argument", argument],
    ["more", more],
  ] as const;
  return [
    ...flags.flatMap((flag) => {
      const behind = `${value(flag, program)} -d ${quote(flag.description)}`;
      const letter = flag.letter === undefined ? "" : ` -s ${flag.letter}`;
      return [
        `${condition("behind")} -l ${flag.name}${letter}${behind}`,
        `${condition("one_dash")} -o ${flag.name}${behind}`,
      ];
    }),
    ...words.flatMap(([kind, word]) => [
      ...(word === undefined || word.choices.length === 0
        ? []
        : [`${condition(kind)} -a ${quote(word.choices.join(" "))}`]),
      ...(word?.names === undefined
        ? []
        : [`${condition(kind)} -a ${running(program, word.names)}`]),
    ]),
  ];
}

/** The command that fish runs for the names of what runs. */
function running(program: string, names: string): string {
  return quote(
    `(${program} complete --line=(commandline -cp | string collect) ${names} 2>/dev/null)`,
  );
}

function value(flag: CompletedFlag, program: string): string {
  if (flag.value === undefined) return "";
  if (flag.value === "file") return " -r -F";
  if (flag.value === "folder") return " -x -a '(__fish_complete_directories)'";
  const names = namesOf(flag);
  if (names !== undefined) return ` -x -a ${running(program, names)}`;
  const choices = choicesOf(flag);
  return choices.length === 0 ? " -x" : ` -x -a ${quote(choices.join(" "))}`;
}

function quote(text: string): string {
  return `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
}
