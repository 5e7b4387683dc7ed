// `--help` of every command: as wide as its terminal, whole, and bold only where that is wanted.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { binary, cleanEnvironment, runToEnd } from "../e2e/program.ts";
import { inTerminal } from "./terminal.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { NAME } from "./tree.ts";

setDefaultTimeout(120_000);

/** A width that nothing but the terminal itself tells. */
const NARROW = 60;
const ESCAPE = "\u001b";

const commands = COMMANDS;

/** What a command prints into a terminal of that width. */
async function shownIn(
  columns: number,
  words: readonly string[],
  extra: Readonly<Record<string, string>> = {},
): Promise<string> {
  const env = cleanEnvironment(extra);
  // Some terminals have no width, such as a serial line.
  const script = `stty cols ${columns}; exec "$0" "$@"`;
  const terminal = inTerminal(["sh", "-c", script, await binary(), ...words], { env });
  expect(await terminal.exited).toBe(0);
  await terminal.close();
  return terminal.screen.replaceAll("\r\n", "\n");
}

describe.each(commands.map((command) => [command.name || "the program", command] as const))(
  "the help of %s",
  (_, { name, description, flags, argument, examples }) => {
    const words = name === "" ? ["--help"] : [name, "--help"];

    test("fits into 80 columns without a terminal, and has no escapes", async () => {
      const { status, stdout, stderr } = await runToEnd(words);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expectLines(stdout, 80);
    });

    test("fits into a terminal of 60 columns", async () => {
      const shown = await shownIn(NARROW, words);
      expect(shown).toContain(ESCAPE);
      expectLines(Bun.stripANSI(shown), NARROW);
      const { stdout } = await runToEnd(words, { COLUMNS: `${NARROW}` });
      expect(Bun.stripANSI(shown)).toBe(stdout);
    });

    test("tells all there is of it", async () => {
      // As wide as it gets: what is told is in lines as they are.
      const { stdout } = await runToEnd(words, { COLUMNS: "100" });
      const text = stdout.replaceAll(/\s+/g, " ");
      expect(text).toStartWith(`${description} (${NAME} `);
      if (argument !== undefined) expect(text).toContain(argument.description);
      for (const [flag, def] of Object.entries(flags)) {
        const dashes = def.alias?.length === 1 ? "-" : "--";
        const alias = def.alias === undefined ? "" : `; also ${dashes}${def.alias}`;
        const hint = def.type === "string" ? `=<${def.valueHint}>` : "";
        expect(text).toContain(` --${flag}${hint} ${def.description}${alias}`);
      }
      for (const [command, meaning] of examples) {
        expect(stdout).toContain(`\n  ${command}\n      ${meaning}\n`);
      }
      if (name !== "") return;
      for (const each of commands.filter((other) => other.name !== "")) {
        expect(text).toContain(` ${each.name} ${each.description}`);
      }
    });
  },
);

test("COLUMNS goes before the terminal's width, if it is one", async () => {
  const { stdout: usual } = await runToEnd(["--help"]);
  const { stdout: narrow } = await runToEnd(["--help"], { COLUMNS: `${NARROW}` });
  const plain = { NO_COLOR: "1" };
  expect(await shownIn(100, ["--help"], { ...plain, COLUMNS: "80" })).toBe(usual);
  expect(await shownIn(0, ["--help"], plain)).toBe(usual);
  for (const COLUMNS of ["", "0", "wide", "-3"]) {
    expect(await shownIn(NARROW, ["--help"], { ...plain, COLUMNS })).toBe(narrow);
  }
  // A line of more is hard to read, one of less is none.
  expect(await shownIn(300, ["--help"], plain)).toBe(await shownIn(100, ["--help"], plain));
  expect(await shownIn(5, ["--help"], plain)).toBe(await shownIn(40, ["--help"], plain));
});

test.each([{ NO_COLOR: "1" }, { TERM: "dumb" }])("nothing is bold with %p", async (env) => {
  expect(await shownIn(80, ["--help"])).toContain(`${ESCAPE}[1mOPTIONS`);
  expect(await shownIn(80, ["--help"], env)).not.toContain(ESCAPE);
});

function expectLines(text: string, width: number): void {
  expect(text).not.toContain(ESCAPE);
  expect(text).toEndWith("\n");
  const lines = text.split("\n");
  expect(lines.filter((line) => line.length > width || line !== line.trimEnd())).toEqual([]);
  // It is as wide as it may be.
  expect(Math.max(...lines.map((line) => line.length))).toBeGreaterThan(width - 25);
}
