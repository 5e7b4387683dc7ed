// The completion script for zsh.

import { choicesOf, namesOf, type Completed, type CompletedFlag } from "./words.ts";

/** Makes the script for zsh. Its file must have the name of its function. */
export function forZsh(program: string, commands: readonly Completed[]): string {
  const name = `_${program}`;
  const named = commands.filter((command) => command.name !== "");
  const own = commands.filter((command) => command.name === "");
  const names = named.map(({ name: each, description }) => quote(`${each}:${escape(description)}`));
  return `#compdef ${program}
# Completion for zsh: put it into a folder of $fpath as ${name}
${name}_names() {
  local -a names=(\${(f)"$(${program} complete "--line=$BUFFER" $1 2>/dev/null)"})
  compadd "\${@:2}" -a names
}
${name}_served() { ${name}_names served "$@" }
${name}_hosts() { ${name}_names hosts "$@" }
${name}_networks() { ${name}_names networks "$@" }
${name}() {
  local -a subcommands=(
    ${names.join("\n    ")}
  )
  # Flags with one dash are offered only to who has begun one.
  local one='!'
  [[ $words[CURRENT] == -[a-z]* ]] && one=
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    _describe command subcommands
    return
  fi
  case $words[2] in
${named.map((command) => `    ${command.name}) shift words; (( CURRENT-- )); ${specifications(command, name)} ;;`).join("\n")}
${own.map((command) => `    *) ${specifications(command, name)} ;;`).join("\n")}
  esac
}
# Loaded by zsh itself it is the function; read by a user's file it says what it is for.
if [[ $funcstack[1] == ${name} ]]; then
  ${name} "$@"
else
  compdef ${name} ${program}
fi
`;
}

function specifications({ flags, argument, more }: Completed, prefix: string): string {
  const positional = [argument, more].flatMap((word, index) => {
    if (word === undefined) return [];
    const { name, names, choices } = word;
    const listed = choices.length === 0 ? " " : `(${choices.join(" ")})`;
    return [quote(`${index + 1}:${name}:${names === undefined ? listed : `${prefix}_${names}`}`)];
  });
  return [
    "_arguments",
    ...flags.flatMap((flag) => flagSpecifications(flag, prefix)),
    ...positional,
  ].join(" \\\n      ");
}

/** Describes each name of a flag for zsh's `_arguments`. Names with a `!` are not offered. */
function flagSpecifications(flag: CompletedFlag, prefix: string): string[] {
  const { name, letter, alias, description, repeated } = flag;
  const value = flag.value === undefined ? "" : `:${name}:${action(flag, prefix)}`;
  const behind = `${value === "" ? "" : "="}[${escape(description)}]${value}`;
  const star = repeated ? "*" : "";
  return [
    quote(`${star}--${name}${behind}`),
    `$one${quote(`${star}-${name}${behind}`)}`,
    ...(letter === undefined ? [] : [quote(`!-${letter}${value}`)]),
    ...(alias === undefined ? [] : ["--", "-"].map((dash) => quote(`!${dash}${alias}${behind}`))),
  ];
}

/** What completes a value. A blank if nothing does. */
function action(flag: CompletedFlag, prefix: string): string {
  if (flag.value === "file") return "_files";
  if (flag.value === "folder") return "_files -/";
  const names = namesOf(flag);
  if (names !== undefined) return `${prefix}_${names}`;
  const choices = choicesOf(flag);
  return choices.length === 0 ? " " : `(${choices.join(" ")})`;
}

/** Escapes text inside a specification. */
function escape(text: string): string {
  return text.replaceAll(/[[\]:\\]/g, String.raw`\$&`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
