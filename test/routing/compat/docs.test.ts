// What the pages in `docs/` say of other proxies' labels is what is made of them: each row of their
// tables is translated.

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { translate } from "../../../src/routing/compat/compat.ts";
import { isInVocabulary } from "../../../src/routing/compat/vocabulary.ts";
import { BCRYPT, EVERYBODY, type Texts } from "./read.ts";

/** How a page writes a hash, which nobody could read. */
const HASH = "$2y$...";

interface Row {
  /** What stands before all labels of the table. */
  readonly prefix: string;
  /** What each of the labels or variables in the row says, by its name. */
  readonly theirs: Texts;
  readonly ours: Texts;
  readonly text: string;
}

/** The rows of all tables of a page whose left side has labels with values. */
function rowsOf(page: string): readonly Row[] {
  const text = readFileSync(join(import.meta.dir, "../../../docs", page), "utf8");
  const rows: Row[] = [];
  let prefix = "";
  for (const line of text.split("\n")) {
    if (!line.startsWith("|") || line.startsWith("|---")) continue;
    const [, left = "", right = ""] = line
      .split(/(?<!\\)\|/)
      .map((cell) => cell.replaceAll("\\|", "|"));
    if (right.trim() === "ours") {
      prefix = spans(left)[0] ?? "";
      continue;
    }
    // Of "this or that", each is a row.
    for (const part of left.split(" or ")) {
      const theirs = toTexts(spans(part));
      if (Object.keys(theirs).length === 0) continue;
      rows.push({ prefix, theirs, ours: toTexts(spans(right), "gateway."), text: right });
    }
  }
  return rows;
}

/** The texts in backquotes. With two of them, a text may have one. */
function spans(cell: string): readonly string[] {
  return [...cell.matchAll(/(`+)(.+?)\1(?!`)/g)].map(([, , text = ""]) => text);
}

function toTexts(assignments: readonly string[], start = ""): Texts {
  const pairs = assignments
    .filter((text) => text.includes("=") && text.startsWith(start))
    .map((text) => {
      const value = text.slice(text.indexOf("=") + 1);
      return [text.slice(start.length, text.indexOf("=")), value.replace(HASH, BCRYPT)];
    });
  return Object.fromEntries(pairs);
}

const RULE = "Host(`a.example.com`)";

/** The labels and variables of a row, with what it needs to be served. */
function complete({ prefix, theirs }: Row, page: string): { labels: Texts; environment: Texts } {
  if (page === "nginx-proxy.md") {
    return { labels: {}, environment: { VIRTUAL_HOST: "a.example.com", ...theirs } };
  }
  const named = Object.entries(theirs).map(([name, value]) => [
    `${prefix.replace("NAME", "web")}${name}`,
    value,
  ]);
  const labels: Texts = Object.fromEntries(named);
  if (page === "caddy.md") {
    const isGlobal = "caddy.email" in labels;
    const makes = ["caddy.reverse_proxy", "caddy.php_fastcgi", "caddy.redir"].some(
      (name) => name in labels,
    );
    const proxy = makes ? {} : { "caddy.reverse_proxy": "{{upstreams}}" };
    return {
      labels: isGlobal ? labels : { caddy: "a.example.com", ...proxy, ...labels },
      environment: {},
    };
  }
  const isTcp = prefix === "traefik.tcp.";
  const isMiddleware = prefix.startsWith("traefik.http.middlewares.");
  return {
    labels: {
      ...(isTcp ? {} : { "traefik.http.routers.web.rule": RULE }),
      ...(isMiddleware ? { "traefik.http.routers.web.middlewares": "web" } : {}),
      ...labels,
    },
    environment: {},
  };
}

/** Rows that tell of several cases, or of names that stand for any other. */
const NOT_ALONE = [
  "chain.middlewares=other",
  "service=other",
  "stripprefix.prefixes=/x",
  "replacepath.path=/x",
];

describe.each(["nginx-proxy.md", "traefik.md", "caddy.md"])("docs/%s", (page) => {
  const rows = rowsOf(page);

  test("has rows", () => {
    expect(rows.length).toBeGreaterThan(20);
  });

  test.each(rows.map((row) => [JSON.stringify(row.theirs), row] as const))("%s", (_, row) => {
    const [first = ["", ""]] = Object.entries(row.theirs);
    if (NOT_ALONE.includes(first.join("="))) return;
    const { labels, environment } = complete(row, page);
    const read = translate({ name: "web", labels, environment }, "all");
    const ours = Object.fromEntries(
      Object.entries(row.ours).map(([name, value]) => [name.replace("NAME", "web"), value]),
    );
    expect(read?.labels).toMatchObject(ours);
    for (const name of Object.keys(ours)) expect(isInVocabulary(name)).toBe(true);
    // Such a label does keep working: the page says if it does not.
    const isWarned = row.text.includes("a warning");
    expect(read?.warnings.length === 0).toBe(!isWarned);
    if (row.text.includes("nobody gets in")) {
      expect(Object.values(read?.labels ?? {})).toContain(EVERYBODY);
    }
    if (row.text.includes("not served")) expect(read?.labels).toEqual({ enable: "false" });
  });
});
