// Completions for shells, made from the command tree.

import type { Command } from "./command.ts";
import type { FlagDef } from "./flags.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/**
 * The completion script of a shell.
 * @param commands all commands; the one without a name is the program itself
 */
export function completionFor(shell: Shell, program: string, commands: readonly Command[]): string {
  const makers = { bash: forBash, zsh: forZsh, fish: forFish };
  return makers[shell](program, commands);
}

/** The values that a flag can have, where it says so (`path|host`). */
function choicesOf(flag: FlagDef): readonly string[] {
  if (flag.type === "boolean" || !/^[a-z]+(\|[a-z]+)+$/.test(flag.valueHint)) return [];
  return flag.valueHint.split("|");
}

/** Whether a flag's value is a file. */
function isFile(flag: FlagDef): boolean {
  return flag.type === "string" && ["FILE", "SOCKET", "PROGRAM", "DIR"].includes(flag.valueHint);
}

function forBash(program: string, commands: readonly Command[]): string {
  const name = `_${program.replaceAll("-", "_")}`;
  const words = commands.map((command) => {
    const flags = Object.keys(command.flags).map((flag) => `--${flag}`);
    const more =
      command.name === "" ? commands.map((each) => each.name) : (command.argument?.choices ?? []);
    return `    ${command.name === "" ? "*" : command.name}) words="${[...flags, "--help", ...more].filter(Boolean).join(" ")}" ;;`;
  });
  // The program itself comes last: its pattern takes everything.
  const ordered = [...words.slice(1), ...words.slice(0, 1)];
  const flags = allFlags(commands);
  const values = flags.flatMap(([flag, def]) => {
    const choices = choicesOf(def);
    return choices.length === 0
      ? []
      : [
          `    --${flag}) COMPREPLY=($(compgen -W "${choices.join(" ")}" -- "$current")); return ;;`,
        ];
  });
  const files = flags.filter(([, def]) => isFile(def)).map(([flag]) => `--${flag}`);
  return `# Completion for bash: source <(${program} completion bash)
${name}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} words
  # Bash takes \`=\` for a word of its own.
  [[ $current == = ]] && current=
  [[ $previous == = ]] && previous=\${COMP_WORDS[COMP_CWORD-2]}
  case $previous in
${values.join("\n")}
    ${files.join("|")}) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  case \${COMP_WORDS[1]} in
${ordered.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F ${name} ${program}
`;
}

function forZsh(program: string, commands: readonly Command[]): string {
  const name = `_${program.replaceAll("-", "_")}`;
  const lists = commands.map((command) => {
    const flags = Object.entries(command.flags).map(zshFlag);
    const choices = command.argument?.choices;
    const argument =
      command.argument === undefined
        ? []
        : [`'1:${command.argument.name}:${choices ? `(${choices.join(" ")})` : ""}'`];
    const args = [...flags, "'--help[show the help]'", ...argument].join(" \\\n      ");
    return { name: command.name, args };
  });
  const root = lists.find((each) => each.name === "");
  const others = lists.filter((each) => each.name !== "");
  const names = commands
    .filter((command) => command.name !== "")
    .map((command) => `'${command.name}:${zshText(command.description)}'`);
  return `#compdef ${program}
# Completion for zsh: put it into a folder of $fpath as ${name}
${name}() {
  local -a commands=(${names.join("\n    ")})
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    _describe command commands
    return
  fi
  local command=$words[2]
  case $command in
${others.map((each) => `    ${each.name}) shift words; (( CURRENT-- )); _arguments \\\n      ${each.args} ;;`).join("\n")}
    *) _arguments \\\n      ${root?.args ?? ""} ;;
  esac
}
[[ $funcstack[1] == ${name} ]] && ${name} "$@" || compdef ${name} ${program}
`;
}

/** A flag as `_arguments` wants it. */
function zshFlag([flag, def]: [string, FlagDef]): string {
  const value =
    def.type === "boolean"
      ? ""
      : `=:${def.valueHint.replaceAll(/[^A-Za-z]/g, " ").trim()}:${zshValues(def)}`;
  const repeated = def.type === "string" && def.multiple === true ? "*" : "";
  return `'${repeated}--${flag}${def.type === "boolean" ? "" : "="}[${zshText(def.description)}]${value.slice(1)}'`;
}

/** A text inside a quoted specification of `_arguments`. */
function zshText(text: string): string {
  return text.replaceAll("'", `'\\''`).replaceAll(/[[\]:]/g, String.raw`\$&`);
}

function zshValues(flag: FlagDef): string {
  const choices = choicesOf(flag);
  if (choices.length > 0) return `(${choices.join(" ")})`;
  return isFile(flag) ? "_files" : "";
}

function forFish(program: string, commands: readonly Command[]): string {
  const named = commands.filter(({ name }) => name !== "");
  const lines = [
    `# Completion for fish: ${program} completion fish | source`,
    `complete -c ${program} -f`,
  ];
  for (const { name, description } of named) {
    lines.push(
      `complete -c ${program} -n __fish_use_subcommand -a ${name} -d ${fishWord(description)}`,
    );
  }
  for (const command of commands) {
    const condition =
      command.name === ""
        ? "__fish_use_subcommand"
        : `'__fish_seen_subcommand_from ${command.name}'`;
    for (const [flag, def] of Object.entries(command.flags)) {
      const choices = choicesOf(def);
      const value =
        def.type === "boolean"
          ? ""
          : choices.length > 0
            ? ` -x -a ${fishWord(choices.join(" "))}`
            : isFile(def)
              ? " -r -F"
              : " -x";
      lines.push(
        `complete -c ${program} -n ${condition} -l ${flag}${value} -d ${fishWord(def.description)}`,
      );
    }
    const choices = command.argument?.choices ?? [];
    if (choices.length > 0)
      lines.push(`complete -c ${program} -n ${condition} -a ${fishWord(choices.join(" "))}`);
  }
  return `${lines.join("\n")}\n`;
}

function fishWord(text: string): string {
  return `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
}

function allFlags(commands: readonly Command[]): [string, FlagDef][] {
  return [...new Map(commands.flatMap(({ flags }) => Object.entries(flags)))];
}
