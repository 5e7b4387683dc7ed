// The command tree; the only place with the console and with exit codes.

import { fstatSync } from "node:fs";
import manifest from "../package.json" with { type: "json" };
import type { Command, CommandIo, Signals } from "./cli/command.ts";
import { tellingCommands } from "./cli/completion/completion.ts";
import { doctorCommand } from "./cli/doctor/doctor.ts";
import { explainCommand } from "./cli/explain.ts";
import { gatewayCommand } from "./cli/gateway.ts";
import { installCommand } from "./cli/service/install.ts";
import { renderCommand } from "./cli/render.ts";
import { routesCommand } from "./cli/routes.ts";
import { templateCommand } from "./cli/template.ts";
import { uninstallCommand } from "./cli/service/uninstall.ts";
import { upgradeCommand } from "./cli/service/upgrade.ts";
import { describeError, EXIT_STATUS, GatewayError, systemCode } from "./lib/errors.ts";
import { nearest, normalise, readFlags } from "./cli/flags.ts";
import { helpOf } from "./cli/help.ts";
import { createLogger } from "./lib/log.ts";
import { isJournal } from "./cli/setup.ts";

const NAME = manifest.name;
const OWN_COMMANDS: readonly Command[] = [
  routesCommand,
  explainCommand,
  doctorCommand,
  renderCommand,
  templateCommand,
  installCommand,
  uninstallCommand,
  upgradeCommand,
];

/** The commit that a built binary was made from. */
declare const GATEWAY_COMMIT: string | undefined;
const VERSION = `${manifest.version} (${typeof GATEWAY_COMMIT === "string" ? GATEWAY_COMMIT : "not built"})`;

/** The commands with a name; without one it is the gateway that runs. */
const COMMANDS: readonly Command[] = [
  ...OWN_COMMANDS,
  ...tellingCommands({ name: NAME, version: manifest.version, description: manifest.description }, [
    gatewayCommand,
    ...OWN_COMMANDS,
  ]),
];
/** The size of a terminal that does not tell. */
const [USUAL_COLUMNS, USUAL_ROWS] = [100, 24];

const io: CommandIo = {
  env: process.env,
  write: (text) => void process.stdout.write(text),
  isTerminal: process.stdout.isTTY,
  screen: () => ({
    columns: process.stdout.columns || USUAL_COLUMNS,
    rows: process.stdout.rows || USUAL_ROWS,
  }),
  logger: (options) =>
    createLogger({
      ...options,
      journal: isJournal(process.env, fstatSync(2)),
      write: (line) => process.stderr.write(`${line}\n`),
      now: () => new Date(),
    }),
  signals: listenToSignals,
};

function listenToSignals(): Signals {
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

async function main(argv: readonly string[]): Promise<number> {
  const words = normalise(argv);
  const named = COMMANDS.find(({ name }) => name === words[0]);
  const command = named ?? gatewayCommand;
  const rest = named === undefined ? words : words.slice(1);
  const asked = rest.includes("--") ? rest.slice(0, rest.indexOf("--")) : rest;
  if (asked.includes("--help")) {
    const commands = named === undefined ? COMMANDS : [];
    const { columns } = process.stdout;
    io.write(await helpOf(command, { name: NAME, version: VERSION, commands }, { ...io, columns }));
    return 0;
  }
  if (asked.includes("--version")) {
    io.write(`${NAME} ${VERSION}\n`);
    return 0;
  }
  const { values, positionals } = readFlags(rest, command.flags, process.env);
  const [argument, extra] =
    command.argument === undefined ? [undefined, ...positionals] : positionals;
  if (extra !== undefined) throw unknownWord(extra, named);
  if (argument === undefined && command.argument?.required) {
    const what = command.argument.name.toUpperCase();
    throw new GatewayError("usage", `Cannot run ${command.name}: ${what} is missing`, {
      hint: `such as: ${command.examples[0]?.[0]}`,
    });
  }
  return command.run({ values, argument }, io);
}

function unknownWord(word: string, command: Command | undefined): GatewayError {
  const meant =
    command === undefined
      ? nearest(
          word,
          COMMANDS.map(({ name }) => name),
        )
      : undefined;
  const state = command === undefined ? "there is no such command" : "it is one word too many";
  return new GatewayError("usage", `Cannot understand "${word}": ${state}`, {
    hint: meant === undefined ? "--help lists what there is" : `did you mean ${meant}?`,
  });
}

// Who reads only the beginning (`| head`) has had enough.
process.stdout.on("error", (error) => process.exit(systemCode(error) === "EPIPE" ? 0 : 1));
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  for (const line of describeError(error)) process.stderr.write(`${line}\n`);
  if (!(error instanceof GatewayError)) console.error(error);
  process.exitCode = EXIT_STATUS[error instanceof GatewayError ? error.code : "bug"];
}
// A watch that still waits must not keep a finished program alive.
process.exit();
