// The command tree; the only place with the console and with exit codes.

import { fstatSync } from "node:fs";
import { defineCommand, renderUsage, type ArgsDef, type CommandDef } from "citty";
import manifest from "../package.json" with { type: "json" };
import { GATEWAY_FLAGS } from "./commands/flags.ts";
import { render } from "./commands/render.ts";
import { runGateway } from "./commands/run.ts";
import { showTemplate } from "./commands/template.ts";
import { describeError, EXIT_STATUS, GatewayError } from "./errors.ts";
import { nearest, normalise, readFlags, toArgs, type FlagDefs } from "./flags.ts";
import { createLogger, type Logger } from "./log.ts";
import { parseOptions, type Options } from "./options.ts";
import { isJournal } from "./setup.ts";

/** The exit status of `render --diff` where something would change. */
const DIFFERS = 3;

interface Command {
  readonly def: CommandDef;
  readonly flags: FlagDefs;
  readonly positionals: number;
  readonly examples: readonly string[];
  run(words: Words): Promise<number> | number;
}

type Words = ReturnType<typeof readFlags>;

const NAME = manifest.name;
const TEMPLATE_ARGS: ArgsDef = {
  name: { type: "positional", required: false, description: "which one to print" },
};

const COMMANDS: Readonly<Record<string, Command>> = {
  "": {
    def: defineCommand({
      meta: { name: NAME, version: version(), description: manifest.description },
      args: toArgs(GATEWAY_FLAGS),
    }),
    flags: GATEWAY_FLAGS,
    positionals: 0,
    examples: [
      `${NAME}                                  serve every container at http://HOST/<image name>/`,
      `${NAME} --manage-haproxy --listen '*:8080'  the same with a HAProxy of its own`,
      `${NAME} --domain api.example.com         at http://<image name>.api.example.com/`,
    ],
    async run({ values }) {
      const options = parseOptions(values);
      await runGateway(options, process.env, makeLogger(options), signals());
      return 0;
    },
  },
  render: {
    def: defineCommand({
      meta: { name: `${NAME} render`, description: "Print the configuration for what runs now" },
      args: toArgs({
        diff: {
          type: "boolean",
          description: "print what would change; exit status 3 if anything",
        },
        ...GATEWAY_FLAGS,
      }),
    }),
    flags: { diff: { type: "boolean", description: "" }, ...GATEWAY_FLAGS },
    positionals: 0,
    examples: [`${NAME} render`, `${NAME} render --diff && echo HAProxy is up to date`],
    async run({ values }) {
      const { diff = false, ...raw } = values;
      const options = parseOptions(raw);
      const log = makeLogger({ ...options, logLevel: "warn" });
      const { text, differs } = await render(options, process.env, log, diff === true);
      process.stdout.write(text);
      return diff === true && differs ? DIFFERS : 0;
    },
  },
  template: {
    def: defineCommand({
      meta: { name: `${NAME} template`, description: "List the built-in templates, or print one" },
      args: TEMPLATE_ARGS,
    }),
    flags: {},
    positionals: 1,
    examples: [`${NAME} template`, `${NAME} template path > my.hbs`],
    run({ positionals }) {
      process.stdout.write(showTemplate(positionals[0]));
      return 0;
    },
  },
};

declare const GATEWAY_COMMIT: string | undefined;

/** The package's version, and the commit that a built binary was made from. */
function version(): string {
  const commit = typeof GATEWAY_COMMIT === "string" ? GATEWAY_COMMIT : "not built";
  return `${manifest.version} (${commit})`;
}

function makeLogger(options: Pick<Options, "logLevel" | "logFormat">): Logger {
  return createLogger({
    level: options.logLevel,
    format: options.logFormat,
    journal: isJournal(process.env, fstatSync(2)),
    write: (line) => process.stderr.write(`${line}\n`),
    now: () => new Date(),
  });
}

/** The process's signals, as the gateway understands them. */
function signals(): Parameters<typeof runGateway>[3] {
  const end = new AbortController();
  const insist = new Set<() => void>();
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      if (end.signal.aborted) for (const callback of insist) callback();
      end.abort();
    });
  }
  return {
    end: end.signal,
    onReread: (callback) => void process.on("SIGHUP", callback),
    onInsist: (callback) => void insist.add(callback),
  };
}

/** The command that the words name; the first word that is no flag and no flag's value. */
function findCommand(words: readonly string[]): { command: Command; rest: readonly string[] } {
  const [root] = Object.values(COMMANDS);
  if (root === undefined) throw new GatewayError("bug", "Cannot find any command");
  const [first = "", ...rest] = words;
  const named = first === "" || first.startsWith("-") ? undefined : COMMANDS[first];
  if (named !== undefined) return { command: named, rest };
  return { command: root, rest: words };
}

async function usage({ def, examples, flags }: Command): Promise<string> {
  const text = await renderUsage(def);
  const commands = Object.entries(COMMANDS)
    .filter(([name]) => name !== "" && def === COMMANDS[""]?.def)
    .map(([name, { def: sub }]) => `  ${name.padEnd(10)} ${describe(sub)}`);
  const sections = [
    text.trimEnd(),
    ...(commands.length > 0 ? ["", "COMMANDS", "", ...commands] : []),
    "",
    "EXAMPLES",
    "",
    ...examples.map((example) => `  ${example}`),
    ...(Object.keys(flags).length > 0
      ? ["", "Every flag is also read from GATEWAY_<NAME>, such as GATEWAY_LOG_LEVEL=debug."]
      : []),
  ];
  const help = `${sections.join("\n")}\n`;
  return process.stdout.isTTY ? help : Bun.stripANSI(help);
}

function describe(def: CommandDef): string {
  const meta = def.meta;
  return typeof meta === "object" && "description" in meta ? (meta.description ?? "") : "";
}

async function main(argv: readonly string[]): Promise<number> {
  const words = normalise(argv);
  const { command, rest } = findCommand(words);
  const flagsEnd = rest.indexOf("--");
  const flags = flagsEnd < 0 ? rest : rest.slice(0, flagsEnd);
  if (flags.includes("--help")) {
    process.stdout.write(await usage(command));
    return 0;
  }
  if (flags.includes("--version")) {
    process.stdout.write(`${NAME} ${version()}\n`);
    return 0;
  }
  const read = readFlags(rest, command.flags, process.env);
  const extra = read.positionals[command.positionals];
  if (extra !== undefined) {
    const meant = nearest(extra, Object.keys(COMMANDS).filter(Boolean));
    throw new GatewayError("usage", `Cannot understand "${extra}": there is no such command`, {
      hint: meant === undefined ? "--help lists them" : `did you mean ${meant}?`,
    });
  }
  return command.run(read);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  for (const line of describeError(error)) process.stderr.write(`${line}\n`);
  if (!(error instanceof GatewayError)) console.error(error);
  process.exitCode = EXIT_STATUS[error instanceof GatewayError ? error.code : "bug"];
}
// A watch that still waits must not keep a finished program alive.
process.exit();
