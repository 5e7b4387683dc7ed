// What the documents' tables say is so: flags, labels, helpers and exit statuses are all there, and no other ones.

import { describe, expect, test } from "bun:test";
import { COMMANDS } from "../../src/cli/commands.ts";
import { flagNames } from "../../src/cli/flags.ts";
import { GATEWAY_FLAGS } from "../../src/cli/gateway-flags.ts";
import { EXIT_STATUS } from "../../src/lib/errors.ts";
import { LABEL_PREFIX, LABELS } from "../../src/routing/labels.ts";
import { otherProtocolAt } from "../../src/routing/other-protocols.ts";
import { PARTIALS, TEMPLATES } from "../../src/template/built-in.ts";
import { HELPERS } from "../../src/template/helpers.ts";
import { problemsOf } from "./labels.ts";
import { proseOf, readPage, readPages, type Page } from "./page.ts";

/** The cells of the rows of a page's tables, without titles. */
function rowsOf({ text }: Page): readonly (readonly string[])[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("| ") || line.startsWith("| |"))
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/** The texts in backquotes. */
function spansOf(text: string): readonly string[] {
  return [...text.matchAll(/(?<!`)`([^`\n]+)`(?!`)/g)].map(([, span = ""]) => span);
}

/** What is in backquotes in the first cells of a page's rows. */
function namesIn(page: Page): readonly string[] {
  return rowsOf(page).flatMap(([first = ""]) => spansOf(first));
}

describe("docs/options.md", () => {
  const page = readPage("docs/options.md");

  test("has each flag of the gateway, and no other", () => {
    const flags = [...page.text.matchAll(/^\| `--([a-z0-9-]+)/gm)].map(([, flag = ""]) => flag);
    expect(flags.toSorted()).toEqual(Object.keys(GATEWAY_FLAGS).toSorted());
  });

  test("has each exit status", () => {
    const rows = rowsOf(page).map(([first = ""]) => first);
    for (const status of Object.values(EXIT_STATUS)) expect(rows).toContain(`${status}`);
  });
});

test("docs/templates.md has each helper", () => {
  const names = namesIn(readPage("docs/templates.md"));
  const own = ["map", "mapPath", "file", "filePath", "script", "scriptPath"];
  for (const helper of [...Object.keys(HELPERS), ...own]) expect(names).toContain(helper);
});

describe("docs/labels.md", () => {
  /** The first cell may go on with `.path`, for `gateway.route.NAME.path`. */
  const written = rowsOf(readPage("docs/labels.md")).flatMap(([first = ""]) => {
    const [start = "", ...more] = spansOf(first);
    if (!start.startsWith(LABEL_PREFIX)) return [];
    const stem = start.slice(0, start.lastIndexOf("."));
    return [start, ...more.map((each) => (each.startsWith(".") ? `${stem}${each}` : each))];
  });
  const names = written.map((name) => name.slice(LABEL_PREFIX.length));

  test("has each label", () => {
    expect(LABELS.filter((label) => !names.includes(label))).toEqual([]);
  });

  test("has no label that does not exist", () => {
    expect(names.flatMap((name) => unknown(`${LABEL_PREFIX}${name}`))).toEqual([]);
  });
});

test("docs/routing.md names ports that are left out, and others that are not", () => {
  const { text } = readPage("docs/routing.md");
  const [, table = ""] = /The third leaves out ports[^]*?\n\n([^]*?)\n\n/.exec(text) ?? [];
  const http = [...table.matchAll(/\b(\d+) is HTTP/g)].map(([, port]) => Number(port));
  const all = [...table.matchAll(/\b\d+\b/g)].map(Number);
  expect(all.length).toBeGreaterThan(50);
  const left = all.filter((port) => otherProtocolAt(port, [port]) !== undefined);
  expect(left).toEqual(all.filter((port) => !http.includes(port)));
});

test("docs/operating.md explains each answer of the gateway itself", () => {
  const { text } = readPage("docs/operating.md");
  const [, section = ""] = text.split("\n## What an answer means\n");
  const [own = ""] = section.split("\n## ");
  const explained = spansOf(own).filter((span) => /^[A-Z].*\.$/.test(span));
  const all = Object.values({ ...TEMPLATES, ...PARTIALS }).join("\n");
  const said = [...all.matchAll(/(?:\btext=|text\/plain string )"([^"{]+?)(?:\\n)?"/g)];
  expect(explained.toSorted()).toEqual([
    ...new Set(said.map(([, answer = ""]) => answer).toSorted()),
  ]);
});

/** What is said of a label that does not exist; nothing, if it does. */
function unknown(label: string): readonly string[] {
  return problemsOf([`${label}=`]).filter((problem) =>
    / is unknown|nothing: pages are for /.test(problem),
  );
}

/** Beginnings of labels, which are none by themselves. */
const BEGINNINGS = ["gateway.headers.request", "gateway.route.NAME"];
/** There, what begins so is a field of an answer. */
const API = "docs/api.md";

describe.each(readPages().map((page) => [page.path, page] as const))("%s", (path, page) => {
  const spans = spansOf(proseOf(page));

  test("names no label that does not exist", () => {
    const labels = spans
      .map((span) => /^gateway\.[A-Za-z0-9._-]*[A-Za-z0-9-](?=$|[=:])/.exec(span)?.[0] ?? "")
      .filter((label) => label !== "" && !BEGINNINGS.includes(label));
    if (path !== API) expect(labels.flatMap(unknown)).toEqual([]);
  });

  test("names no flag that does not exist", () => {
    // The other pages are about flags of Docker's and of npm's, too.
    const flags = spans.flatMap((span) => /^--([a-z0-9-]+)/.exec(span)?.slice(1) ?? []);
    expect(flags.filter((flag) => !FLAGS.has(flag) && !OTHERS_FLAGS.includes(flag))).toEqual([]);
  });
});

/** The flags of all commands. */
const FLAGS = new Set([
  "help",
  "version",
  ...COMMANDS.flatMap(({ flags }) =>
    Object.entries(flags).flatMap(([name, def]) => flagNames(name, def)),
  ),
]);

/** Flags of other programs that documents name: of docker, Vite, Jupyter and this repository's benchmark. */
const OTHERS_FLAGS = ["pid", "container-label", "base", "prefix", "ServerApp", "quick", "json"];
