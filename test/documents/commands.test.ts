// Each command line of the documents can be typed: the program's own are read as it reads them, the labels and
// variables of `docker run` are understood, and all others are named here, with what tries them.

import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { findCommand } from "../../src/cli/commands.ts";
import { normalise } from "../../src/cli/flags.ts";
import { GATEWAY_FLAGS } from "../../src/cli/gateway-flags.ts";
import { parseOptions, type RawOptions } from "../../src/cli/options.ts";
import { readWords } from "../../src/cli/words.ts";
import { commandsOf, programsOf } from "./command-line.ts";
import { problemsOf } from "./labels.ts";
import { blocksOf, proseOf, readPages, ROOT } from "./page.ts";

/** Programs that are not the gateway's: what tries such a line, or why nothing does. */
const OTHERS: Readonly<Record<string, string>> = {
  curl: "asks a gateway: test/e2e/documents, api and admin; install.sh: test/release/install",
  sh: "behind curl, for install.sh: test/release/install",
  grep: "behind curl, which test/e2e/admin asks",
  apt: "changes this machine; test/lab/setup installs the same",
  tar: "writes to the root of a machine: test/systemd/backup",
  export: "is the shell's",
};

const lines = blocksOf("console").flatMap((block) =>
  commandsOf(block).map(({ line }) => [block.place, line] as const),
);

describe("the documents' command lines", () => {
  test("are there", () => expect(lines.length).toBeGreaterThan(60));

  test.each(lines)("%s: %s", (_, line) => {
    for (const words of programsOf(line)) tryWords(words);
  });

  test("use all that is said to be tried elsewhere", () => {
    const used = new Set(lines.flatMap(([, line]) => programsOf(line).map(([program]) => program)));
    expect(Object.keys(OTHERS).filter((program) => !used.has(program))).toEqual([]);
  });
});

/** Of several commands at once, such as `completion bash|zsh|fish`. */
const SHORTHAND = /\||\.\.\./;

/** In a sentence or a table. What is in capitals there stands for something, and reads as any word. */
const spoken = readPages().flatMap((page) =>
  [...proseOf(page).matchAll(/(?<!`)`(docker-api-gateway [^`\n]+)`(?!`)/g)].map(
    ([, line = ""]) => [page.path, line.replaceAll("\\|", "|")] as const,
  ),
);

describe("the command lines in sentences", () => {
  test("are there", () => expect(spoken.length).toBeGreaterThan(10));

  test.each(spoken.filter(([, line]) => !SHORTHAND.test(line)))("%s: %s", (_, line) => {
    for (const words of programsOf(line)) tryWords(words);
  });
});

/** @throws Error if these words could not be typed so */
function tryWords([program = "", ...words]: readonly string[]): void {
  switch (program) {
    case "docker-api-gateway":
      return tryGateway(words);
    case "docker":
      return tryDocker(words);
    case "npm":
      return tryNpm(words);
    case "bun":
      return tryBun(words);
    case "ssh":
      return trySsh(words);
    default:
      if (!Object.hasOwn(OTHERS, program)) throw new Error(`nothing tries ${program}`);
  }
}

/** As `main.ts` reads them, but that it then runs the command. */
function tryGateway(words: readonly string[]): void {
  const { command, rest } = findCommand(normalise(words));
  const { values, argument } = readWords(command, rest, {});
  const choices = command.argument?.choices;
  if (choices !== undefined && argument !== undefined) expect(choices).toContain(argument);
  const given = Object.entries(values).filter(([name]) => Object.hasOwn(GATEWAY_FLAGS, name));
  const raw: RawOptions = Object.fromEntries(given);
  parseOptions(raw);
}

/** Reads the labels and variables of a container that is started. What deploys a stack has none. */
function tryDocker([verb, ...words]: readonly string[]): void {
  // test/swarm/stack deploys it.
  if (verb === "stack") return;
  expect(verb).toBe("run");
  const valuesOf = (...flags: readonly string[]): readonly string[] =>
    words.flatMap((word, index) => (flags.includes(word) ? [words[index + 1] ?? ""] : []));
  const [labels, variables] = [valuesOf("--label", "-l"), valuesOf("--env", "-e")];
  expect(problemsOf(labels, variables)).toEqual([]);
}

/** Has ssh read its words, without going anywhere. */
function trySsh(words: readonly string[]): void {
  expect(spawnSync("ssh", ["-G", ...words]).status).toBe(0);
}

function tryNpm([verb = "", ...words]: readonly string[]): void {
  const script = verb === "run" ? words[0] : verb;
  expect(Object.keys(manifest.scripts)).toContain(script ?? "");
}

function tryBun([verb = "", ...words]: readonly string[]): void {
  const files = verb === "test" ? words.filter((word) => word.startsWith("test")) : [verb];
  for (const file of files) expect(existsSync(join(ROOT, file))).toBe(true);
}

describe("what cannot be typed is found", () => {
  test.each([
    ["a flag that does not exist", "docker-api-gateway --no-such-flag"],
    ["a value that is wrong", "docker-api-gateway --hold=soon"],
    ["a flag of another command", "docker-api-gateway install --once"],
    ["a word too many", "docker-api-gateway routes /shop"],
    ["a word that is none of its", "docker-api-gateway template paths > my.hbs"],
    ["a label that does not exist", "docker run -d --label gateway.hots=a.example.com acme/shop"],
    ["a label's value that is wrong", "docker run -d -l gateway.port=x acme/shop"],
    ["a tunnel that leads nowhere", "ssh -L 8404:nonsense my-server"],
    ["a script that does not exist", "npm run nothing"],
    ["a program that nothing tries", "kubectl get pods"],
  ])("%s", (_, line) => {
    expect(() => programsOf(line).forEach(tryWords)).toThrow();
  });
});
