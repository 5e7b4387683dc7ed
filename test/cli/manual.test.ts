// The manual page, as man(1) shows it: without a warning, whole, and with every character as it is.

import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { variableName } from "../../src/cli/flags.ts";
import { EXIT_STATUS } from "../../src/lib/errors.ts";
import { runToEnd } from "../e2e/program.ts";
import { openDir, run } from "../release/commands.ts";
import { shellEnvironment } from "./shells.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { NAME, namesOf } from "./tree.ts";

setDefaultTimeout(120_000);

const WIDTH = 80;

const commands = COMMANDS;
let source: string;
/** What a reader sees. */
let page: string;
/** The same in one line, as words that did not fit are in the next one. */
let words: string;

beforeAll(async () => {
  source = (await runToEnd(["man"])).stdout;
  // As the command's own example has it.
  const line = `${NAME} man | man --warnings -l -`;
  const env = { ...(await shellEnvironment(openDir("man"))), MANWIDTH: `${WIDTH}` };
  const shown = await run(["sh", "-c", line], { env: { ...env, LC_ALL: "C.UTF-8" } });
  expect(shown).toMatchObject({ status: 0, stderr: "" });
  page = shown.stdout;
  words = page.replaceAll(/\s+/g, " ");
});

test("mandoc finds nothing but that it has a version instead of a date", async () => {
  const { stdout } = await run(["mandoc", "-Tlint", "-W", "warning"], { input: source });
  const found = stdout.split("\n").filter((line) => line !== "");
  expect(found).toEqual([expect.stringContaining("WARNING: missing date")]);
});

test("it fits into its width, and nothing in it is escaped", () => {
  expect(page.split("\n").filter((line) => line.length > WIDTH)).toEqual([]);
  expect(page).toContain(`${NAME} - Keeps HAProxy in step`);
  expect(page).not.toMatch(/\\|\p{Cc}(?<!\n)/u);
});

test.each(namesOf(commands))("it tells of the command %s", (name) => {
  const section = sectionOf("COMMANDS");
  expect(section).toMatch(new RegExp(`^ {7}${name}( |$)`, "m"));
  const command = commands.find((each) => each.name === name);
  expect(section.replaceAll(/\s+/g, " ")).toContain(` ${command?.description}.`);
  expect(sectionOf("SYNOPSIS")).toContain(` ${NAME} ${name}`);
});

test("it tells of every flag, with the variable of each of the gateway's", () => {
  const [gateway] = commands.filter(({ name }) => name === "");
  expect(Object.keys(gateway?.flags ?? {}).length).toBeGreaterThan(10);
  for (const { flags } of commands) {
    for (const [flag, def] of Object.entries(flags)) {
      const shared = flag in (gateway?.flags ?? {});
      const section = sectionOf(shared ? "OPTIONS" : "COMMANDS");
      const hint = def.type === "string" ? ` ${def.valueHint.replaceAll("|", "\\|")}` : "";
      const dashes = def.alias?.length === 1 ? "-" : "--";
      const alias = def.alias === undefined ? "" : `, ${dashes}${def.alias}`;
      expect(section).toMatch(new RegExp(`^ +--${flag}${alias}${hint}( |$)`, "m"));
      if (shared) expect(section).toContain(`(${variableName(flag)})`);
    }
  }
  for (const flag of ["--help", "--version"]) {
    expect(sectionOf("OPTIONS")).toMatch(new RegExp(`^ {7}${flag}\\b`, "m"));
  }
  expect(words).toContain(" install does not take --once. ");
});

test("it tells of every exit status, as docs/options.md does", () => {
  const statuses = [...sectionOf("EXIT STATUS").matchAll(/^ {7}(\d+) /gm)].map(([, n]) =>
    Number(n),
  );
  const own = [0, 3, ...Object.values(EXIT_STATUS)];
  expect(statuses).toEqual(own.toSorted((one, other) => one - other));
  const options = readFileSync(join(import.meta.dir, "../../docs/options.md"), "utf8");
  const [, table = ""] = options.split("| exit status | |");
  const rows = [...table.matchAll(/^\| (\d+) \| /gm)].map(([, n]) => Number(n));
  expect(rows).toEqual(statuses);
});

test("its examples can be copied", () => {
  const examples = commands.flatMap((command) => command.examples);
  expect(examples.length).toBeGreaterThan(10);
  for (const [command, meaning] of examples) expect(words).toContain(` ${command} ${meaning} `);
  expect(words).toContain("--listen '*:8080'");
});

/** A section of the page, without its title. */
function sectionOf(title: string): string {
  const [, text] = new RegExp(`^${title}\n([^]*?)^(?=\\S)`, "m").exec(page) ?? [];
  if (text === undefined) throw new Error(`no section ${title} in ${page}`);
  return text;
}
