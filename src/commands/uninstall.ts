// `docker-api-gateway uninstall`: takes away what `install` made.

import { existsSync, readdirSync, statSync } from "node:fs";
import { readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pause } from "../async.ts";
import type { Command, CommandIo } from "../command.ts";
import { GatewayError } from "../errors.ts";
import { readFlags } from "../flags.ts";
import { checkConfig } from "../haproxy/check.ts";
import { readIfThere, syncDirectory, writeDurably } from "../haproxy/disk.ts";
import { ExternalHaproxy } from "../haproxy/reload.ts";
import type { Layout } from "../layout.ts";
import { DEFAULT_RELOAD_COMMAND, parseOptions, type Options } from "../options.ts";
import { oldFile } from "../program-file.ts";
import { isOwnConfig } from "../render.ts";
import { commandOf, SERVICE_USER, UNIT } from "../unit.ts";
import { SERVICE_FLAGS, serviceLayout } from "./service.ts";
import {
  carryOut,
  commandStep,
  readUnit,
  removeUser,
  requireSystemd,
  runCommand,
  UNIT_FILE,
  type Step,
} from "./systemd.ts";

/** What the gateway keeps beside the configuration to work with. */
const WORKING_FILE = /\.(new|check|last-good|unconfirmed|lock(\.\d+)?)$/;
const RUN_DIR = `/run/${SERVICE_USER}`;
/** What is killed is gone within milliseconds; after five seconds userdel tells that it is not. */
const END_TRIES = 100;
const END_PAUSE = 50;

export const uninstallCommand: Command = {
  name: "uninstall",
  description: "Take away what install made",
  flags: {
    "restore-haproxy": {
      type: "boolean",
      description: "give HAProxy back the configuration that it had before the gateway",
    },
  },
  examples: [
    ["docker-api-gateway uninstall", "HAProxy serves on what it serves"],
    ["docker-api-gateway uninstall --restore-haproxy", "as if it had never been there"],
  ],
  async run({ values }, io) {
    const restore = values["restore-haproxy"] === true;
    const own = restore ? ["--restore-haproxy"] : [];
    requireSystemd({ command: "uninstall", own, flags: [], variables: [] });
    const installed = await findInstalled(io);
    if (installed === undefined) {
      io.write(`There is no ${UNIT_FILE}: nothing is installed.\n`);
      return 0;
    }
    if (restore) await requireFormer(installed);
    await carryOut(makeSteps(installed, restore), io);
    if (!restore) tellOfHaproxy(installed, io);
    if (existsSync(`${UNIT_FILE}.d`)) io.write(`${UNIT_FILE}.d is yours, and is there still.\n`);
    return 0;
  },
};

interface Installed {
  readonly program: string;
  readonly options: Options;
  readonly layout: Layout;
  /** HAProxy's configuration, where the gateway wrote it; empty otherwise. */
  readonly config: string;
  /** Where the one before it is kept. */
  readonly former: string | undefined;
}

/** What the unit says is installed; undefined without a unit. */
async function findInstalled(io: CommandIo): Promise<Installed | undefined> {
  const [program, ...flags] = commandOf(await readUnit());
  if (program === undefined) return undefined;
  const options = parseOptions(readFlags(flags, SERVICE_FLAGS, {}).values);
  const layout = serviceLayout(options, io.env);
  const config = (await readIfThere(layout.output)) ?? "";
  return {
    program,
    options,
    layout,
    config: isOwnConfig(config) ? config : "",
    former: newestCopy(layout.output),
  };
}

/** The last configuration that was not the gateway's: later copies have higher numbers. */
function newestCopy(output: string): string | undefined {
  const copy = `${output}.before-docker-api-gateway`;
  if (!existsSync(copy)) return undefined;
  let newest = copy;
  for (let count = 1; existsSync(`${copy}.${count}`); count++) newest = `${copy}.${count}`;
  return newest;
}

/** @throws GatewayError where there is nothing to restore, or HAProxy would refuse it */
async function requireFormer({ config, former, layout, options }: Installed): Promise<void> {
  const refuse = (state: string): GatewayError =>
    new GatewayError("config", `Cannot restore "${layout.output}": ${state}`, {
      hint: "nothing was changed; leave --restore-haproxy out",
    });
  if (layout.managed) throw refuse("HAProxy is the gateway's own");
  if (config === "") throw refuse("it is not the gateway's");
  if (former === undefined) throw refuse("there was none before");
  await checkConfig(options.haproxy, former, former);
}

function makeSteps(installed: Installed, restore: boolean): readonly Step[] {
  const { program, layout } = installed;
  const files = [program, oldFile(program)].filter((path) => existsSync(path));
  return [
    commandStep("systemctl", "--quiet", "disable", "--now", UNIT),
    ...(layout.managed ? [END_HAPROXY] : []),
    ...(restore ? restoreSteps(installed) : []),
    ...(layout.managed ? [] : [removal(() => workingFiles(layout.output))]),
    ...removeUser(),
    ...files.map((path) => removal(() => [path], path)),
    // The last of all, as it tells what else there is.
    removal(() => [UNIT_FILE], UNIT_FILE),
    commandStep("systemctl", "daemon-reload"),
  ];
}

/** The gateway ends its HAProxy; one whose gateway was killed a moment before is there still. */
const END_HAPROXY: Step = {
  what: "end HAProxy",
  async run() {
    if (!existsSync(RUN_DIR)) return "it has ended";
    const { uid } = await stat(RUN_DIR);
    await runCommand("systemctl", "kill", "--signal=SIGKILL", UNIT);
    // A user that has processes cannot be removed.
    for (let tries = 0; tries < END_TRIES && hasProcesses(uid); tries++) await pause(END_PAUSE);
    await rm(RUN_DIR, { recursive: true });
  },
};

function hasProcesses(uid: number): boolean {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.some((pid) => statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid === uid);
}

function restoreSteps({ config, former = "", layout, options }: Installed): readonly Step[] {
  const { output, masterSocket, haproxy } = layout;
  const external = new ExternalHaproxy({
    command: options.reloadCommand,
    defaultCommand: DEFAULT_RELOAD_COMMAND,
    masterSocket,
  });
  return [
    {
      what: `put ${former} back as ${output}`,
      async run() {
        const staged = join(dirname(output), `.${basename(output)}.new`);
        await writeDurably(staged, await readFile(former), former);
        await rename(staged, output);
        await syncDirectory(dirname(output));
      },
    },
    { what: "reload HAProxy", run: () => external.reload() },
    removal(async () => {
      const text = await readFile(output, "utf8");
      const stem = join(dirname(output), basename(output).replace(/\.cfg$/, "."));
      const maps = [...config.matchAll(/[^\s"'(),]+\.map\b/g)].map(([path]) => path);
      // The configuration that is in force again may have maps of its own.
      const ours = maps.filter((path) => path.startsWith(stem) && !text.includes(path));
      return [...new Set([...ours, haproxy.stateFile, former])];
    }, "the gateway's maps and the copy"),
  ];
}

function workingFiles(output: string): string[] {
  const folder = dirname(output);
  const stem = `.${basename(output).replace(/\.cfg$/, "")}.`;
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.startsWith(stem) && WORKING_FILE.test(name))
    .map((name) => join(folder, name));
}

function removal(
  find: () => readonly string[] | Promise<readonly string[]>,
  what = "the gateway's working files",
): Step {
  return {
    what: `remove ${what}`,
    async run() {
      for (const path of await find()) await rm(path, { force: true });
    },
  };
}

function tellOfHaproxy({ config, former, layout }: Installed, io: CommandIo): void {
  if (layout.managed || config === "") return;
  io.write(`HAProxy goes on with ${layout.output} as the gateway left it.\n`);
  if (former === undefined) return;
  io.write(
    `The one before is ${former}. To have it back:\n` +
      `  cp -p ${former} ${layout.output} && systemctl reload haproxy\n`,
  );
}
