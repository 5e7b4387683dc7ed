// Takes the command lines of the documents apart, as a shell does.

import { parse } from "shell-quote";
import { blocksOf, readPage, type Block } from "./page.ts";

/** A command of a block, and what it is said to print. */
export interface Shown {
  readonly line: string;
  readonly output: string;
}

/** Behind it is a remark for the reader. */
const REMARK = /\s{2,}# .*$/;

/**
 * The commands of a block of `console`: a line that begins with `$` or, for root, with `#`, and goes on where it
 * ends in a backslash. The lines behind it are what it prints.
 */
export function commandsOf({ text }: Pick<Block, "text">): readonly Shown[] {
  return text
    .replaceAll("\\\n", " ")
    .split(/^[$#] (?=\S)/m)
    .filter((part) => part !== "")
    .map((part) => {
      const end = part.includes("\n") ? part.indexOf("\n") : part.length;
      return { line: part.slice(0, end).replace(REMARK, ""), output: part.slice(end + 1) };
    });
}

/**
 * The programs that a line runs, each with its words: several where there is a pipe. Where the output goes is none of
 * them.
 */
export function programsOf(line: string): readonly (readonly string[])[] {
  const programs: string[][] = [[]];
  const words = parse(line, (name) => `$${name}`);
  for (const [index, word] of words.entries()) {
    const before = words[index - 1];
    const isFile = typeof before === "object" && "op" in before && before.op === ">";
    if (isFile) continue;
    if (typeof word === "string") programs.at(-1)?.push(word);
    else if ("op" in word && word.op === "|") programs.push([]);
    else if ("op" in word && word.op === "glob") programs.at(-1)?.push(word.pattern);
    else if ("comment" in word) break;
    else if (!("op" in word) || word.op !== ">") {
      throw new Error(`${line}: a document shows no ${JSON.stringify(word)}`);
    }
  }
  return programs;
}

/** The commands under a heading of a page, and under those below it. @throws Error if there is no such heading */
export function shownUnder(path: string, title: string): readonly Shown[] {
  const page = readPage(path);
  const at = page.headings.findIndex((heading) => heading.title === title);
  const own = page.headings[at];
  if (own === undefined) throw new Error(`${path} has no heading "${title}"`);
  const rest = page.headings.slice(at + 1);
  const end = rest.findIndex(({ level }) => level <= own.level);
  const below = end === -1 ? rest : rest.slice(0, end);
  const anchors = [own, ...below].map(({ anchor }) => anchor);
  return blocksOf("console", [page])
    .filter(({ anchor }) => anchors.includes(anchor))
    .flatMap((block) => commandsOf(block));
}
