// The real shells, asked what they complete: each line is typed, and all that they offer is read.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { eventually } from "../lab/http.ts";
import { labDir } from "../lab/leftovers.ts";
import { binary, cleanEnvironment } from "../e2e/program.ts";
import { inTerminal } from "./terminal.ts";

/** How a shell gets the script: from the program, or from a file where it looks for one itself. */
export type Way = "read" | "installed";

export interface Shell {
  /** The file where the shell looks for it, below a user's home. */
  readonly folder: string;
  /** The line that reads it from the program. */
  readonly read: string;
  /** Asks a shell that has just been started; answers each line with what was offered. */
  ask(lines: readonly string[], way: Way, place: Place): Promise<string[][]>;
}

interface Place {
  readonly env: Readonly<Record<string, string>>;
  /** With the files that can be completed. */
  readonly cwd: string;
}

/** Replaces the word that is typed by all that it could be; a key writes the line into a file. */
const BASH = `
PS1='$ '
bind -x '"\\C-g": printf "%s\\n" "$READLINE_LINE" >>"$ANSWERS"; READLINE_LINE='
`;
const ZSH = `
PROMPT='$ '
fpath=($HOME/zsh-functions $fpath)
autoload -Uz compinit
compinit -D -u
zstyle ':completion:*' completer _all_matches _complete
zstyle ':completion:*:all-matches:*' insert true
write-answer() {
  print -r -- "$BUFFER" >>$ANSWERS
  BUFFER=
}
zle -N write-answer
bindkey '^G' write-answer
`;
const INSERT_ALL = "\x1b*";
const TAB = "\t";
const WRITE = "\x07";
const END = "--end--";
/** A shell answers within some milliseconds. */
const POLL_MS = 4;

const bash: Shell = {
  folder: ".local/share/bash-completion/completions",
  read: "source <(docker-api-gateway completion bash)",
  ask(lines, way, place) {
    const file = join(place.env["HOME"] ?? "", ".bashrc");
    const loader = "source /usr/share/bash-completion/bash_completion";
    writeFileSync(file, `${BASH}${way === "read" ? bash.read : loader}\n`);
    return type(["bash", "--rcfile", file, "-i"], lines, INSERT_ALL + WRITE, place);
  },
};

const zsh: Shell = {
  folder: "zsh-functions",
  read: "source <(docker-api-gateway completion zsh)",
  ask(lines, way, place) {
    const file = join(place.env["HOME"] ?? "", ".zshrc");
    writeFileSync(file, `${ZSH}${way === "read" ? zsh.read : ""}\n`);
    // Without the distribution's own settings.
    return type(["zsh", "-d", "-i"], lines, TAB + WRITE, place);
  },
};

const fish: Shell = {
  folder: ".config/fish/completions",
  read: "docker-api-gateway completion fish | source",
  async ask(lines, way, { env, cwd }) {
    const asked = lines.map((line) => `complete -C'${line}'; echo ${END}`);
    const script = [...(way === "read" ? [fish.read] : []), ...asked].join("\n");
    const child = Bun.spawn(["fish", "-c", script], { env, cwd, stdout: "pipe", stderr: "pipe" });
    const [stdout, stderr] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    if (stderr !== "") throw new Error(`fish says: ${stderr}`);
    // A word, a tab, and what it means.
    return stdout
      .split(`${END}\n`)
      .slice(0, lines.length)
      .map((answer) => answer.split("\n").flatMap((row) => row.split("\t")[0] || []));
  },
};

export const SHELLS: Readonly<Record<string, Shell>> = { bash, zsh, fish };

/**
 * Asks a shell all these lines.
 * @param files where the release's completions are, by name
 * @param more further variables of its environment
 */
export async function ask(
  shell: Shell,
  way: Way,
  lines: readonly string[],
  files: Readonly<Record<string, string>>,
  more: Readonly<Record<string, string>> = {},
): Promise<Map<string, string[]>> {
  const home = labDir("shell");
  const cwd = join(home, "here");
  for (const name of ["a file.cfg", "folder/inner.cfg"]) {
    mkdirSync(dirname(join(cwd, name)), { recursive: true });
    writeFileSync(join(cwd, name), "");
  }
  mkdirSync(join(home, shell.folder), { recursive: true });
  if (way === "installed") {
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(home, shell.folder, name), text);
    }
  }
  const env = { ...(await shellEnvironment(home)), ANSWERS: join(home, "answers"), ...more };
  const answers = await shell.ask(lines, way, { env, cwd });
  return new Map(lines.map((line, index) => [line, answers[index] ?? []]));
}

/** An environment in which the program is on PATH. */
export async function shellEnvironment(home: string): Promise<Record<string, string>> {
  const env = cleanEnvironment({ HOME: home });
  return { ...env, PATH: `${dirname(await binary())}:${env["PATH"]}` };
}

/** Types the lines, each with these keys behind it, into a shell of a terminal. */
async function type(
  words: readonly string[],
  lines: readonly string[],
  keys: string,
  { env, cwd }: Place,
): Promise<string[][]> {
  const terminal = inTerminal(words, { env, cwd, columns: 200 });
  const answers: string[] = [];
  const answerAt = (index: number): string => {
    const written = readFileSync(env["ANSWERS"] ?? "", "utf8").split("\n");
    const answer = written[index];
    // Behind a line that is whole there is the next one, or nothing.
    if (answer !== undefined && written.length > index + 1) return answer;
    throw new Error(`no answer to "${lines[index]}": ${terminal.screen}`);
  };
  try {
    await eventually(() => {
      if (!terminal.screen.includes("$ ")) throw new Error(`no prompt: ${terminal.screen}`);
    });
    for (const [index, line] of lines.entries()) {
      terminal.write(line + keys);
      answers.push(await eventually(() => answerAt(index), { everyMs: POLL_MS }));
    }
  } finally {
    await terminal.close();
  }
  const complaint = /^.*(?:^bash|^zsh|_docker[-_]api[-_]gateway|_arguments|comp\w+):.*$/m.exec(
    terminal.screen,
  );
  if (complaint !== null) throw new Error(`${words[0]} says: ${complaint[0]}`);
  return answers.map((answer, index) => offered(lines[index] ?? "", answer));
}

/**
 * The words in the place of the last one of the line; none where it is still as it was typed. The
 * `=` that zsh puts behind a flag goes when a blank is typed.
 */
function offered(line: string, answer: string): string[] {
  if (answer.trimEnd() === line.trimEnd()) return [];
  const before = line.slice(0, line.search(/[^ =]*$/));
  if (!answer.startsWith(before)) throw new Error(`"${line}" became "${answer}"`);
  const words = answer.slice(before.length).match(/(?:\\.|\S)+/g) ?? [];
  return words.map((word) => word.replace(/(^-.*)=$/, "$1"));
}
