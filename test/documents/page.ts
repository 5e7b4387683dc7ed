// Reads the documents: their blocks of code, their headings and their links.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dir, "../..");

/** A document in Markdown. */
export interface Page {
  /** From the root of the repository, such as `docs/labels.md`. */
  readonly path: string;
  readonly text: string;
  readonly headings: readonly Heading[];
  readonly blocks: readonly Block[];
}

export interface Heading {
  readonly title: string;
  readonly level: number;
  /** What stands behind the `#` of a link to it. */
  readonly anchor: string;
  /** The number of its line, from 0. */
  readonly line: number;
}

/** A block of code. */
export interface Block {
  /** Where it is, such as `docs/labels.md:12`. */
  readonly place: string;
  /** What stands behind the three backquotes; empty if nothing does. */
  readonly language: string;
  readonly text: string;
  /** The anchor of the heading that it stands under; empty if there is none. */
  readonly anchor: string;
}

/** All documents: those of the root, and those in `docs`. */
export function readPages(): readonly Page[] {
  return [...pathsIn("."), ...pathsIn("docs")].toSorted().map(readPage);
}

function pathsIn(folder: string): readonly string[] {
  return readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(folder, name));
}

/** @param path from the root of the repository */
export function readPage(path: string): Page {
  const text = readFileSync(join(ROOT, path), "utf8");
  const headings: Heading[] = [];
  const blocks: Block[] = [];
  let open: { language: string; from: number } | undefined;
  const lines = text.split("\n");
  for (const [line, content] of lines.entries()) {
    const fence = /^\s*```(.*)$/.exec(content);
    if (fence !== null && open === undefined) {
      open = { language: fence[1]?.trim() ?? "", from: line + 1 };
    } else if (fence !== null && open !== undefined) {
      const { language, from } = open;
      blocks.push({
        place: `${path}:${from + 1}`,
        language,
        text: lines.slice(from, line).join("\n"),
        anchor: headings.at(-1)?.anchor ?? "",
      });
      open = undefined;
    } else if (open === undefined) {
      const [, marks, title] = /^(#+) (.*)$/.exec(content) ?? [];
      if (marks === undefined || title === undefined) continue;
      headings.push({ title, level: marks.length, anchor: anchorOf(title, headings), line });
    }
  }
  if (open !== undefined) throw new Error(`${path}: the block in line ${open.from} has no end`);
  return { path, text, headings, blocks };
}

/** As GitHub makes it: a second one of the same title gets a number. */
function anchorOf(title: string, before: readonly Heading[]): string {
  const anchor = title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
  const same = before.filter((each) => each.anchor.replace(/-\d+$/, "") === anchor).length;
  return same === 0 ? anchor : `${anchor}-${same}`;
}

/** A page without its blocks of code, in which nothing is a link. */
export function proseOf({ text }: Page): string {
  return text.replaceAll(/^\s*```[^]*?^\s*```$/gm, "");
}

/** The blocks of a language, of all pages or of one. */
export function blocksOf(language: string, pages: readonly Page[] = readPages()): readonly Block[] {
  return pages.flatMap(({ blocks }) => blocks.filter((block) => block.language === language));
}
