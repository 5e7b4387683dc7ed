// Makes the help of a command from the command tree, and fits it to the width of the terminal.

import type { Command, Environment } from "./command.ts";
import { wantsColour } from "./colour.ts";
import { dashed, type FlagDef } from "./flags.ts";

/** What the help says about the program. */
interface Program {
  readonly name: string;
  readonly version: string;
  /** All named commands if this is the help of the program itself, else none. */
  readonly commands: readonly Command[];
}

/** What the help is written to. */
interface Output {
  readonly env: Environment;
  readonly isTerminal: boolean;
  /** The width of the terminal. Undefined if it is not known. */
  readonly columns: number | undefined;
}

/** The usual width of a terminal, in characters. Taken if its width is not known. */
const USUAL_COLUMNS = 80;
/** Narrower text cannot be read, and longer lines are hard to read. In characters. */
const COLUMNS = { least: 40, most: 100 };
const MARGIN = "  ";
/** Indents a meaning that stands below the first part of its row. */
const BELOW = " ".repeat(6);

/** The first part of a row, such as a flag, and what it means. */
type Row = readonly [first: string, meaning: string];
type Paint = (text: string) => string;

/** The help of a command as text. It has bold words only if the terminal may show them. */
export function helpOf(command: Command, program: Program, output: Output): string {
  const { argument, more, description, examples, flags } = command;
  const columns = widthOf(output);
  const paint: Paint = wantsColour(output)
    ? (text) => `\u001b[1m${text}\u001b[22m`
    : (text) => text;
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
    ...section("ARGUMENTS", rowsBeside([argument, more].flatMap(argumentRows), columns, paint)),
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

function usageLine(name: string, { argument, more, flags }: Command): string {
  const isBare = argument === undefined && Object.keys(flags).length === 0;
  const places = [argument, more].map((each) => {
    const word = each?.name.toUpperCase();
    return word === undefined ? "" : each?.required ? `<${word}>` : `[${word}]`;
  });
  return ["USAGE", name, isBare ? "" : "[OPTIONS]", ...places].filter(Boolean).join(" ");
}

function argumentRows(argument: Command["argument"]): Row[] {
  if (argument === undefined) return [];
  const { name, description, required } = argument;
  return [[name.toUpperCase(), required ? `${description} (Required)` : description]];
}

function usageOf(flag: string, def: FlagDef): string {
  return def.type === "boolean" ? `--${flag}` : `--${flag}=<${def.valueHint}>`;
}

function meaningOf({ alias, description }: FlagDef): string {
  return alias === undefined ? description : `${description}; also ${dashed(alias)}`;
}

/** COLUMNS counts more than the width of the terminal, as in other programs. Source: environ(7). */
function widthOf({ env, columns }: Output): number {
  const wanted = Number(/^[1-9]\d*$/.exec(env["COLUMNS"] ?? "")?.[0] ?? (columns || USUAL_COLUMNS));
  return Math.min(Math.max(wanted, COLUMNS.least), COLUMNS.most);
}

/** Puts meanings into a column beside the first parts, or below a first part that is too long. */
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

/** Breaks a text into lines of at most this width. Cuts a longer word after a slash, if it can. */
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
