// The help of a command, made from what it is and laid out for a terminal's width.

import type { Command, Environment } from "./command.ts";
import type { FlagDef } from "./flags.ts";

/** What the help needs to know of the program. */
interface Program {
  readonly name: string;
  readonly version: string;
  /** The other commands, where the help is the program's own. */
  readonly commands: readonly Command[];
}

/** What the help is written to. */
interface Output {
  readonly env: Environment;
  readonly isTerminal: boolean;
  /** The terminal's width, where it tells. */
  readonly columns: number | undefined;
}

const USUAL_COLUMNS = 80;
/** Narrower is no text, and lines that are longer are hard to read. */
const COLUMNS = { least: 40, most: 100 };
const USAGE = "USAGE ";
const MARGIN = "  ";
/** Where a row's second part stands below its first. */
const BELOW = " ".repeat(6);

/** The first part of a row, such as a flag, and what it means. */
type Row = readonly [first: string, meaning: string];
type Paint = (text: string) => string;

/** The help of a command as text; with bold words only on a terminal that wants them. */
export function helpOf(command: Command, program: Program, output: Output): string {
  const { argument, description, examples, flags } = command;
  const columns = widthOf(output);
  const paint: Paint = wantsBold(output) ? (text) => `\u001b[1m${text}\u001b[22m` : (text) => text;
  const word = argument?.name.toUpperCase() ?? "";
  const hasFlags = Object.keys(flags).length > 0;
  const usage = [
    program.name,
    ...(command.name === "" ? [] : [command.name]),
    ...(hasFlags ? ["[OPTIONS]"] : []),
    ...(argument === undefined ? [] : [argument.required ? word : `[${word}]`]),
  ].join(" ");
  const variables = "Every flag is also read from GATEWAY_<NAME>, such as GATEWAY_LOG_LEVEL=debug.";
  const table = (title: string, rows: readonly Row[]): string[] =>
    section(title, rows, paint, (each) => rowsBeside(each, columns, paint));
  return `${[
    ...wrap(`${description} (${program.name} ${program.version})`, columns),
    "",
    ...wrap(usage, columns - USAGE.length).map(
      (line, index) => (index === 0 ? paint(USAGE) : " ".repeat(USAGE.length)) + line,
    ),
    ...table("ARGUMENTS", argument === undefined ? [] : [[word, argument.description]]),
    ...table("OPTIONS", Object.entries(flags).map(flagRow)),
    ...table(
      "COMMANDS",
      program.commands.map((each) => [each.name, each.description]),
    ),
    ...section("EXAMPLES", examples, paint, (each) => rowsBelow(each, columns, paint)),
    ...(hasFlags ? ["", ...wrap(variables, columns)] : []),
  ].join("\n")}\n`;
}

/** COLUMNS goes before the terminal's own, as with other programs. Source: environ(7). */
function widthOf({ env, columns }: Output): number {
  const wanted = Number(/^[1-9]\d*$/.exec(env["COLUMNS"] ?? "")?.[0] ?? (columns || USUAL_COLUMNS));
  return Math.min(Math.max(wanted, COLUMNS.least), COLUMNS.most);
}

/** Source: https://no-color.org. */
function wantsBold({ env, isTerminal }: Output): boolean {
  return isTerminal && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
}

function flagRow([name, def]: [string, FlagDef]): Row {
  if (def.type === "boolean") return [`--${name}`, def.description];
  const names = [name, ...(def.alias === undefined ? [] : [def.alias])];
  return [`${names.map((each) => `--${each}`).join(", ")} ${def.valueHint}`, def.description];
}

function section(
  title: string,
  rows: readonly Row[],
  paint: Paint,
  format: (rows: readonly Row[]) => string[],
): string[] {
  return rows.length === 0 ? [] : ["", paint(title), "", ...format(rows)];
}

/** Meanings beside what they are of, in a column of their own; below it where that is too long. */
function rowsBeside(rows: readonly Row[], columns: number, paint: Paint): string[] {
  const most = Math.floor(columns * 0.4);
  const lengths = rows.map(([first]) => first.length).filter((length) => length <= most);
  const width = Math.max(0, ...lengths);
  const indent = `${MARGIN}${" ".repeat(width)}${MARGIN}`;
  return rows.flatMap(([first, meaning]) => {
    const room = columns - indent.length;
    const fits = first.length <= width && longestWord(meaning) <= room;
    if (!fits) return rowsBelow([[first, meaning]], columns, paint);
    const [line = "", ...more] = wrap(meaning, room);
    const beside = `${MARGIN}${paint(first)}${" ".repeat(width - first.length)}${MARGIN}${line}`;
    return [beside, ...more.map((each) => indent + each)];
  });
}

/** Meanings below what they are of. */
function rowsBelow(rows: readonly Row[], columns: number, paint: Paint): string[] {
  return rows.flatMap(([first, meaning]) => [
    ...wrap(first, columns - MARGIN.length).map((line) => MARGIN + paint(line)),
    ...wrap(meaning, columns - BELOW.length).map((line) => BELOW + line),
  ]);
}

function longestWord(text: string): number {
  return Math.max(...text.split(" ").map((word) => word.length));
}

/** A text as lines that are not longer than that. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ").flatMap((each) => pieces(each, width))) {
    const last = lines.at(-1);
    if (last !== undefined && `${last} ${word}`.length <= width) {
      lines.splice(-1, 1, `${last} ${word}`);
    } else {
      lines.push(word);
    }
  }
  return lines;
}

/** A word that is longer than a line, cut behind a slash where it has one. */
function pieces(word: string, width: number): string[] {
  if (word.length <= width) return [word];
  const slash = word.lastIndexOf("/", width - 1);
  const end = slash > 0 ? slash + 1 : width;
  return [word.slice(0, end), ...pieces(word.slice(end), width)];
}
