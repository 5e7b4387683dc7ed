// The help of a command, made from what it is and laid out for a terminal's width.

import { defineCommand, renderUsage, type ArgsDef } from "citty";
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
const MARGIN = "  ";
/** Where a row's second part stands below its first. */
const BELOW = " ".repeat(6);
/** A row as citty writes it: a flag, behind blanks, and what it means. */
const CITTY_ROW = /^ {2,}(\S.*?)(?: {4,}(\S.*))?$/;
const CITTY_TITLE = /^[A-Z]+$/;

/** The first part of a row, such as a flag, and what it means. */
type Row = readonly [first: string, meaning: string];
type Paint = (text: string) => string;

/** The help of a command as text; with bold words only on a terminal that wants them. */
export async function helpOf(command: Command, program: Program, output: Output): Promise<string> {
  const { argument, description, examples, flags } = command;
  const columns = widthOf(output);
  const paint: Paint = wantsBold(output) ? (text) => `\u001b[1m${text}\u001b[22m` : (text) => text;
  const name = [program.name, command.name].filter(Boolean).join(" ");
  const usage = await renderUsage(
    defineCommand({
      meta: { name, version: program.version, description },
      args: {
        ...argumentOf(argument),
        ...Object.fromEntries(Object.entries(flags).map(([flag, def]) => [flag, optionOf(def)])),
      },
    }),
  );
  const variables = "Every flag is also read from GATEWAY_<NAME>, such as GATEWAY_LOG_LEVEL=debug.";
  return `${[
    ...layOut(Bun.stripANSI(usage).trim().split("\n"), columns, paint),
    ...section(
      "COMMANDS",
      rowsBeside(
        program.commands.map((each) => [each.name, each.description]),
        columns,
        paint,
      ),
      paint,
    ),
    ...section("EXAMPLES", rowsBelow(examples, columns, paint), paint),
    ...(Object.keys(flags).length > 0 ? ["", ...wrap(variables, columns)] : []),
  ].join("\n")}\n`;
}

function argumentOf(argument: Command["argument"]): ArgsDef {
  if (argument === undefined) return {};
  const { name, description, required } = argument;
  return { [name]: { type: "positional", description, required } };
}

/** A flag as citty wants it. It would write another name of it with one dash. */
function optionOf(def: FlagDef): ArgsDef[string] {
  if (def.type === "boolean") return def;
  const { type, valueHint, description, alias } = def;
  return {
    type,
    valueHint,
    description: alias === undefined ? description : `${description}; also --${alias}`,
  };
}

/** What citty wrote, as wide as it may be. */
function layOut(lines: readonly string[], columns: number, paint: Paint): string[] {
  const laid: string[] = [];
  let rows: Row[] = [];
  for (const line of [...lines.map((each) => each.trimEnd()), ""]) {
    const [row, first = "", meaning = ""] = CITTY_ROW.exec(line) ?? [];
    if (row !== undefined) {
      rows.push([first, meaning]);
      continue;
    }
    laid.push(...rowsBeside(rows, columns, paint));
    rows = [];
    laid.push(...(CITTY_TITLE.test(line) ? [paint(line)] : wrap(line, columns)));
  }
  return laid.slice(0, laid.findLastIndex((line) => line !== "") + 1);
}

function section(title: string, lines: readonly string[], paint: Paint): string[] {
  return lines.length === 0 ? [] : ["", paint(title), "", ...lines];
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
