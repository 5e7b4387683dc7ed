// The help of a command, made from the command tree and laid out for the terminal's width.

import type { Command, Environment } from "./command.ts";
import type { FlagDef } from "./flags.ts";

/** What the help needs to know of the program. */
interface Program {
  readonly name: string;
  readonly version: string;
  /** The other commands, if the help is the program's own. */
  readonly commands: readonly Command[];
}

/** What the help is written to. */
interface Output {
  readonly env: Environment;
  readonly isTerminal: boolean;
  /** The terminal's width, if it is known. */
  readonly columns: number | undefined;
}

const USUAL_COLUMNS = 80;
/** Narrower text cannot be read, and longer lines are hard to read. */
const COLUMNS = { least: 40, most: 100 };
const MARGIN = "  ";
/** The indentation of a meaning that stands below its row's first part. */
const BELOW = " ".repeat(6);

/** The first part of a row, such as a flag, and what it means. */
type Row = readonly [first: string, meaning: string];
type Paint = (text: string) => string;

/** The help of a command as text. Words are bold only on a terminal that wants them so. */
export function helpOf(command: Command, program: Program, output: Output): string {
  const { argument, description, examples, flags } = command;
  const columns = widthOf(output);
  const paint: Paint = wantsBold(output) ? (text) => `\u001b[1m${text}\u001b[22m` : (text) => text;
  const name = [program.name, command.name].filter(Boolean).join(" ");
  const options = Object.entries(flags).map(([flag, def]): Row => [
    usageOf(flag, def),
    meaningOf(def),
  ]);
  const section = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : ["", paint(title), "", ...lines];
  return `${[
    ...wrap(`${description} (${name} v${program.version})`, columns),
    "",
    ...wrap(usageLine(name, command), columns),
    ...section("ARGUMENTS", rowsBeside(argumentRows(argument), columns, paint)),
    ...section("OPTIONS", rowsBeside(options, columns, paint)),
    ...section(
      "COMMANDS",
      rowsBeside(
        program.commands.map((each) => [each.name, each.description]),
        columns,
        paint,
      ),
    ),
    ...section("EXAMPLES", rowsBelow(examples, columns, paint)),
    ...(options.length > 0 ? ["", ...wrap(VARIABLES, columns)] : []),
  ].join("\n")}\n`;
}

const VARIABLES = "Every flag is also read from GATEWAY_<NAME>, such as GATEWAY_LOG_LEVEL=debug.";

function usageLine(name: string, { argument, flags }: Command): string {
  const isBare = argument === undefined && Object.keys(flags).length === 0;
  const word = argument?.name.toUpperCase();
  const place = word === undefined ? "" : argument?.required ? `<${word}>` : `[${word}]`;
  return ["USAGE", name, isBare ? "" : "[OPTIONS]", place].filter(Boolean).join(" ");
}

function argumentRows(argument: Command["argument"]): Row[] {
  if (argument === undefined) return [];
  const { name, description, required } = argument;
  return [[name.toUpperCase(), required ? `${description} (Required)` : description]];
}

function usageOf(flag: string, def: FlagDef): string {
  return def.type === "boolean" ? `--${flag}` : `--${flag}=<${def.valueHint}>`;
}

function meaningOf(def: FlagDef): string {
  const alias = def.type === "string" ? def.alias : undefined;
  return alias === undefined ? def.description : `${def.description}; also --${alias}`;
}

/** COLUMNS wins over the terminal's own width, as with other programs. Source: environ(7). */
function widthOf({ env, columns }: Output): number {
  const wanted = Number(/^[1-9]\d*$/.exec(env["COLUMNS"] ?? "")?.[0] ?? (columns || USUAL_COLUMNS));
  return Math.min(Math.max(wanted, COLUMNS.least), COLUMNS.most);
}

/** Source: https://no-color.org. */
function wantsBold({ env, isTerminal }: Output): boolean {
  return isTerminal && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
}

/** Meanings stand beside the first parts, in a column of their own, or below those that are too long. */
function rowsBeside(rows: readonly Row[], columns: number, paint: Paint): string[] {
  const most = Math.floor(columns * 0.4);
  const widths = rows.map(([first]) => Bun.stringWidth(first)).filter((width) => width <= most);
  const width = Math.max(0, ...widths);
  const indent = `${MARGIN}${" ".repeat(width)}${MARGIN}`;
  return rows.flatMap(([first, meaning]) => {
    const room = columns - indent.length;
    const longestWord = Math.max(...meaning.split(" ").map((word) => Bun.stringWidth(word)));
    const fits = Bun.stringWidth(first) <= width && longestWord <= room;
    if (!fits) return rowsBelow([[first, meaning]], columns, paint);
    const [line = "", ...more] = wrap(meaning, room);
    const gap = " ".repeat(width - Bun.stringWidth(first));
    const beside = `${MARGIN}${paint(first)}${gap}${MARGIN}${line}`;
    return [beside, ...more.map((each) => indent + each)];
  });
}

function rowsBelow(rows: readonly Row[], columns: number, paint: Paint): string[] {
  return rows.flatMap(([first, meaning]) => [
    ...wrap(first, columns - MARGIN.length).map((line) => MARGIN + paint(line)),
    ...wrap(meaning, columns - BELOW.length).map((line) => BELOW + line),
  ]);
}

/** A text as lines of that width at the most. A longer word is cut behind a slash, if it has one. */
function wrap(text: string, width: number): string[] {
  const words = text.split(" ").flatMap((word) => cut(word, width));
  return Bun.wrapAnsi(words.join(" "), width, { hard: true }).split("\n");
}

function cut(word: string, width: number): string[] {
  if (Bun.stringWidth(word) <= width) return [word];
  const slash = word.lastIndexOf("/", width - 1);
  const end = slash > 0 ? slash + 1 : width;
  return [word.slice(0, end), ...cut(word.slice(end), width)];
}
