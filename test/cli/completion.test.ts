// The completions in bash, zsh and fish themselves, read from the program and installed as files.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { documents } from "../../.ci/release/documents.ts";
import type { Command } from "../../src/cli/command.ts";
import { PARTIALS, TEMPLATES } from "../../src/template/built-in.ts";
import { labDir } from "../lab/leftovers.ts";
import { PlayedEngine } from "../lab/played-engine.ts";
import { openDir, run } from "../release/commands.ts";
import { binary } from "../e2e/program.ts";
import { ask, shellEnvironment, SHELLS, type Way } from "./shells.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { flagsOf, NAME, namesOf } from "./tree.ts";

setDefaultTimeout(120_000);

const commands = COMMANDS;
const LEVELS = ["debug", "info", "warn", "error"];
const TEMPLATE_NAMES = [...Object.keys(TEMPLATES), ...Object.keys(PARTIALS)];

/** What is typed behind the program's name, and all that must be offered for its last word. */
const CASES: readonly (readonly [string, readonly string[]])[] = [
  ["", namesOf(commands)],
  ["ro", ["routes"]],
  ["un", ["uninstall"]],
  ["--", flagsOf(find(""))],
  ["routes --", flagsOf(find("routes"))],
  ["install --", flagsOf(find("install"))],
  ["uninstall --re", ["--restore-haproxy"]],
  [
    "--template path --l",
    [
      "--listen",
      "--listen-https",
      "--label-prefix",
      "--label-files",
      "--log-level",
      "--log-format",
    ],
  ],
  ["routes --listen 127.0.0.1:80 --j", ["--json"]],
  // The command comes first.
  ["--once ro", []],
  ["routes ro", []],
  ["--template ", ["path", "host"]],
  ["routes --template ", ["path", "host"]],
  ["--template h", ["host"]],
  ["--log-level ", LEVELS],
  ["render --log-level w", ["warn"]],
  ["--log-format ", ["text", "json"]],
  // What no shell can know.
  ["--domain ", []],
  ["--reload-command ", []],
  ["completion ", ["bash", "zsh", "fish"]],
  ["certs ", ["renew"]],
  ["completion zsh ba", []],
  ["template ", TEMPLATE_NAMES],
  ["template pa", ["path"]],
  // One dash does as well.
  ["-log", ["-log-level", "-log-format"]],
  ["routes -js", ["-json"]],
  ["-log-format ", ["text", "json"]],
];

/** The same where the value is behind `=`; fish repeats the flag. */
const ASSIGNED: readonly (readonly [string, string, readonly string[]])[] = [
  ["", "--template=", ["path", "host"]],
  ["explain ", "--log-level=d", ["debug"]],
  ["", "-log-format=j", ["json"]],
  ["", "--network=br", ["bridge"]],
  ["routes ", "--network=", ["bridge"]],
];

/** In a folder with "a file.cfg" and "folder/". */
const FILES: readonly (readonly [string, readonly string[]])[] = [
  ["--output-file ", ["a file.cfg", "folder"]],
  ["--output-file a", ["a file.cfg"]],
  ["-output-file fo", ["folder"]],
  ["--template-file folder/", ["folder/inner.cfg"]],
  ["install --bin-dir ", ["folder"]],
];

/** With three containers running, of which one has a host. */
const NAMES: readonly (readonly [string, readonly string[]])[] = [
  [
    "explain ",
    [
      "/acme/shop",
      "/db",
      "acme/shop:1.2",
      "acme/wiki:1",
      "db",
      "http://wiki.example.com/",
      "shop-1",
      "wiki",
    ],
  ],
  ["certs renew ", ["wiki.example.com"]],
  ["certs renew s", []],
  ["explain s", ["shop-1"]],
  ["explain acme/shop:", ["acme/shop:1.2"]],
  ["explain /a", ["/acme/shop"]],
  ["--network ", ["bridge"]],
  ["routes --network br", ["bridge"]],
  // Whose Engine is named on the line is asked there.
  ["--docker-host unix:///none --network ", []],
];

const WAYS: readonly Way[] = ["read", "installed"];

/** Shells that take offence at everything. */
const STRICT: Readonly<Record<string, readonly string[]>> = {
  bash: ["bash", "-euc"],
  zsh: ["zsh", "-feuc"],
  fish: ["fish", "-c"],
};

const engine = new PlayedEngine(join(labDir("engine"), "docker.sock"));
for (const [name, image] of [
  ["shop-1", "acme/shop:1.2"],
  ["db", "db"],
] as const) {
  engine.add({ id: name.repeat(8), name, image, ip: "127.0.0.1", port: 8000 });
}
engine.add({
  id: "wiki".repeat(8),
  name: "wiki",
  image: "acme/wiki:1",
  ip: "127.0.0.1",
  port: 8000,
  labels: { "gateway.host": "wiki.example.com" },
});
afterAll(() => engine.stop());

let documented: Promise<Record<string, string>>;
beforeAll(() => {
  documented = completionFiles();
});

describe.each(Object.keys(SHELLS))("%s", (name) => {
  const shell = SHELLS[name];
  if (shell === undefined) throw new Error(`no shell ${name}`);

  test("reads the script without a word", async () => {
    const prepare = name === "zsh" ? "autoload -Uz compinit; compinit -D -u; " : "";
    const [program = "", ...options] = STRICT[name] ?? [];
    const words = [program, ...options, prepare + shell.read];
    expect(await run(words, { env: await shellEnvironment(openDir("read")) })).toEqual({
      status: 0,
      stdout: "",
      stderr: "",
    });
  });

  describe.each(WAYS)("with the script %s", (way) => {
    let answers: Map<string, string[]>;

    beforeAll(async () => {
      const typed = [...CASES, ...NAMES, ...FILES].map(([line]) => line);
      const lines = [...typed, ...ASSIGNED.map(([before, word]) => before + word)];
      const asked = lines.map((line) => `${NAME} ${line}`);
      const { dockerHost } = engine;
      answers = await ask(shell, way, asked, await documented, { DOCKER_HOST: dockerHost });
    });

    const offers = (line: string): string[] | undefined => answers.get(`${NAME} ${line}`);

    test.each(CASES)("offers for %j what can stand there", (line, words) => {
      expect(offers(line)?.toSorted()).toEqual([...words].toSorted());
    });

    test.each(ASSIGNED)("offers for %j%s the values", (before, word, values) => {
      const flag = word.replace(/[^=]*$/, "");
      const found = offers(before + word)?.map((each) => each.replace(flag, ""));
      expect(found?.toSorted()).toEqual([...values].toSorted());
    });

    test.each(NAMES)("offers for %j the names of what runs", (line, names) => {
      expect(offers(line)?.toSorted()).toEqual([...names].toSorted());
    });

    test.each(FILES)("offers for %j the files", (line, files) => {
      // In bash and zsh with what keeps a blank in its word; a folder may have a slash.
      const found = offers(line)?.map((file) => file.replaceAll("\\", "").replace(/\/$/, ""));
      expect(found?.toSorted()).toEqual([...files].toSorted());
    });
  });
});

function find(name: string): Command {
  const command = commands.find((each) => each.name === name);
  if (command === undefined) throw new Error(`no command ${name}`);
  return command;
}

/** The release's files, by the names that they have in its archive. */
async function completionFiles(): Promise<Record<string, string>> {
  const all = await documents(join(import.meta.dir, "../.."));
  return Object.fromEntries(
    Object.entries(all)
      .filter(([name]) => name.startsWith("completions/"))
      .map(([name, text]) => [basename(name), text]),
  );
}

describe("an Engine that gives no names", () => {
  const silent = Bun.serve({
    unix: join(labDir("engine"), "silent.sock"),
    fetch: () => new Promise<Response>(() => undefined),
  });
  afterAll(() => silent.stop(true));

  test.each([
    ["unix:///none"],
    [`unix://${silent.url.pathname}`],
    ["ssh://nobody@none.invalid"],
    ["nonsense"],
  ])("at %s costs no word and hardly any time, and leaves nothing", async (host) => {
    const folder = labDir("tmp");
    const begun = performance.now();
    const words = [await binary(), "complete", "--line=explain ", "served"];
    expect(await run(words, { env: { DOCKER_HOST: host, TMPDIR: folder } })).toEqual({
      status: 0,
      stdout: "",
      stderr: "",
    });
    expect(performance.now() - begun).toBeLessThan(3_000);
    expect(readdirSync(folder)).toEqual([]);
  });
});
