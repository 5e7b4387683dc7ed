// The completion script for bash.

import { choicesOf, namesOf, type Completed, type CompletedFlag } from "./words.ts";

/** Makes the script for bash. Its file must have the name of the program. */
export function forBash(program: string, commands: readonly Completed[]): string {
  const name = `_${program.replaceAll("-", "_")}`;
  const named = commands.filter((command) => command.name !== "");
  const own = commands.filter((command) => command.name === "");
  const flags = [
    ...new Map(commands.flatMap((each) => each.flags).map((flag) => [flag.name, flag])),
  ]
    .map(([, flag]) => flag)
    .filter(({ value }) => value !== undefined);
  return `# Completion for bash: source <(${program} completion bash)
${name}() {
  local IFS=$' \\t\\n' current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local command= flags= words= names= more= asked= assigned= line=\${COMP_LINE:0:COMP_POINT}
  local -a typed
  COMPREPLY=()
  # Bash takes \`:\` for the end of a word, and \`=\` for a word of its own: here only blanks count.
  read -ra typed <<<"$line"
  [[ $line == *[[:space:]] ]] && typed+=("")
  if [[ $current == = ]]; then
    assigned=yes current=
  elif [[ $previous == = ]]; then
    assigned=yes previous=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  # The command is the first word, or there is none.
  (( COMP_CWORD > 1 )) && command=\${COMP_WORDS[1]}
  case $command in
${[...named, ...own].map(commandCase).join("\n")}
  esac
  [[ $previous == -[a-z]* ]] && previous=-$previous
  case $previous in
${valueCases(flags).join("\n")}
    *)
      [[ -n $assigned ]] && return
      case $(( \${#typed[@]} - 1 )) in
        1) words="${named.map((command) => command.name).join(" ")}" ;;
        2) [[ $current == -* ]] || asked=$names ;;
        3) words=; [[ $current == -* ]] || asked=$more ;;
        *) words= ;;
      esac
      [[ $current == -* || -z $words ]] && words=$flags
      # One dash does, too.
      [[ $current == -[a-z]* ]] && words=\${words//--/-}
      ;;
  esac
  if [[ -n $asked ]]; then
    current=\${typed[-1]}
    [[ -n $assigned ]] && current=\${current#*=}
    words=$(${program} complete "--line=$line" $asked 2>/dev/null)
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  if [[ -n $asked && $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
    COMPREPLY=("\${COMPREPLY[@]#"\${current%:*}:"}")
  fi
}
complete -F ${name} ${program}
`;
}

/** The program itself must come last: its pattern matches everything. */
function commandCase({ name, flags, argument, more }: Completed): string {
  const words = argument?.choices ?? [];
  const choices = words.length === 0 ? "" : ` words="${words.join(" ")}"`;
  const names = argument?.names === undefined ? "" : ` names=${argument.names}`;
  const behind = more?.names === undefined ? "" : ` more=${more.names}`;
  const also = choices + names + behind;
  return `    ${name || "*"}) flags="${flags.map((flag) => `--${flag.name}`).join(" ")}"${also} ;;`;
}

function valueCases(flags: readonly CompletedFlag[]): string[] {
  const pattern = (wanted: CompletedFlag["value"]): string =>
    flags
      .filter(({ value }) => value === wanted)
      .flatMap(({ name, alias, letter }) =>
        [name, alias, letter].filter((each) => each !== undefined),
      )
      .map((name) => `--${name}`)
      .join("|");
  return [
    ...flags
      .filter((flag) => choicesOf(flag).length > 0)
      .map((flag) => `    --${flag.name}) words="${choicesOf(flag).join(" ")}" ;;`),
    ...flags
      .filter((flag) => namesOf(flag) !== undefined)
      .map((flag) => `    --${flag.name}) asked=${namesOf(flag)} ;;`),
    // Paths are left to readline, which knows quotes and `~`.
    `    ${pattern("file")}) compopt -o default; return ;;`,
    `    ${pattern("folder")}) compopt -o dirnames; return ;;`,
    `    ${pattern("anything")}) return ;;`,
  ];
}
