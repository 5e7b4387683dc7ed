// No link of a document leads nowhere, and each page can be found from the README.

import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { proseOf, readPages, ROOT } from "./page.ts";

const pages = readPages();

/** The targets of all links in a text, but those to other machines. */
function linksOf(text: string): string[] {
  // What stands in backquotes is no link.
  const bare = text.replaceAll(/(`+)[^`]*?\1(?!`)/g, "");
  return [...bare.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = ""]) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
}

/** Why a link leads nowhere; undefined: it leads somewhere. */
function whyDead(from: string, target: string): string | undefined {
  const [path = "", anchor] = target.split("#");
  const file = path === "" ? from : relative(ROOT, join(ROOT, dirname(from), path));
  if (!existsSync(join(ROOT, file))) return `there is no ${file}`;
  if (anchor === undefined) return undefined;
  const page = pages.find((each) => each.path === file);
  if (page === undefined) return `${file} has no headings`;
  const has = page.headings.some((heading) => heading.anchor === anchor);
  return has ? undefined : `${file} has no heading #${anchor}`;
}

describe.each(pages.map((page) => [page.path, page] as const))("%s", (path, page) => {
  test("its links lead to a file and a heading", () => {
    const dead = linksOf(proseOf(page)).flatMap((target) => {
      const why = whyDead(path, target);
      return why === undefined ? [] : [`${target}: ${why}`];
    });
    expect(dead).toEqual([]);
  });

  test("its tests are there", () => {
    const named = [...page.text.matchAll(/`(test\/[\w./-]+?)(?:\.test\.ts)?`/g)];
    const lacking = named
      .map(([, name = ""]) => name)
      .filter((name) => ![name, `${name}.test.ts`, `${name}.ts`].some(isThere));
    expect(lacking).toEqual([]);
  });
});

function isThere(path: string): boolean {
  return existsSync(join(ROOT, path));
}

const documents = pages.filter(({ path }) => path.startsWith("docs/"));

test.each(documents.map(({ path }) => path))("the README leads to %s", (path) => {
  const readme = pages.find((page) => page.path === "README.md");
  expect(linksOf(readme?.text ?? "").map((target) => target.split("#")[0])).toContain(path);
});

test.each(documents.map((page) => [page.path, page] as const))(
  "%s opens with what it is for",
  (_, { text }) => {
    const [title = "", blank, first = ""] = text.split("\n");
    expect(title).toMatch(/^# \S/);
    expect(blank).toBe("");
    expect(first).toMatch(/^[A-Z`]/);
  },
);

test("a link that leads nowhere is found", () => {
  expect(linksOf("[a](b.md#c) and `[d](e)` and [f](https://g.example.com)")).toEqual(["b.md#c"]);
  expect(whyDead("README.md", "docs/labels.md#php")).toBeUndefined();
  expect(whyDead("docs/api.md", "labels.md#php")).toBeUndefined();
  expect(whyDead("docs/api.md", "docs/labels.md")).toBe("there is no docs/docs/labels.md");
  expect(whyDead("README.md", "#nowhere")).toBe("README.md has no heading #nowhere");
});
