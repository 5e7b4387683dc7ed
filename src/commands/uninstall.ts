// `docker-api-gateway uninstall`: takes away what `install` made.

import { existsSync, readdirSync, statSync } from "node:fs";
import { readFile, rename, rm } from "node:fs/promises";
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
  serviceUid,
  UNIT_FILE,
  type Step,
} from "./systemd.ts";

/** What the gateway keeps beside the configuration to work with. */
const WORKING_FILE = /\.(new|check|last-good|unconfirmed|lock(\.\d+)?)$/;
const RUN_DIR = `/run/${SERVICE_USER}`;
/** A worker's last moments, and how long it may take until what was killed is gone. */
const ENDING_MS = 1_000;
const KILLED_MS = 5_000;
const POLL = 50;

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
    await tellOfHaproxy(installed, io);
    if (existsSync(`${UNIT_FILE}.d`)) io.write(`${UNIT_FILE}.d is yours, and is there still.\n`);
    return 0;
  },
};

/** What the unit says is installed. */
interface Installed {
  readonly program: string;
  readonly options: Options;
  readonly layout: Layout;
}

/** Undefined without a unit. */
async function findInstalled(io: CommandIo): Promise<Installed | undefined> {
  const [program, ...flags] = commandOf(await readUnit());
  if (program === undefined) return undefined;
  const options = parseOptions(readFlags(flags, SERVICE_FLAGS, {}).values);
  return { program, options, layout: serviceLayout(options, io.env) };
}

/** HAProxy's configuration, where the gateway wrote it; undefined otherwise. */
async function ownConfig({ layout }: Installed): Promise<string | undefined> {
  const config = await readIfThere(layout.output);
  return config !== undefined && isOwnConfig(config) ? config : undefined;
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
async function requireFormer(installed: Installed): Promise<void> {
  const { layout, options } = installed;
  const former = newestCopy(layout.output);
  const refuse = (state: string): GatewayError =>
    new GatewayError("config", `Cannot restore "${layout.output}": ${state}`, {
      hint: "nothing was changed; leave --restore-haproxy out",
    });
  if (layout.managed) throw refuse("HAProxy is the gateway's own");
  if (former !== undefined) await checkConfig(options.haproxy, former, former);
  else if ((await ownConfig(installed)) !== undefined) throw refuse("there was none before");
}

function makeSteps(installed: Installed, restore: boolean): readonly Step[] {
  const { program, layout } = installed;
  const files = [program, oldFile(program)].filter((path) => existsSync(path));
  return [
    commandStep("systemctl", "--quiet", "disable", "--now", UNIT),
    ...(layout.managed ? [END_HAPROXY] : []),
    ...(restore ? [restoreStep(installed)] : []),
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
    const uid = serviceUid();
    if (uid === undefined || (await hasEnded(uid, ENDING_MS))) return "it has ended";
    await runCommand("systemctl", "kill", "--signal=SIGKILL", UNIT);
    // A user that has processes cannot be removed.
    await hasEnded(uid, KILLED_MS);
    // What it would have removed itself.
    await rm(RUN_DIR, { recursive: true, force: true });
  },
};

/** Waits until a user has no processes, at most `limit` milliseconds; true where that is so. */
async function hasEnded(uid: number, limit: number): Promise<boolean> {
  const deadline = Date.now() + limit;
  while (hasProcesses(uid)) {
    if (Date.now() > deadline) return false;
    await pause(POLL);
  }
  return true;
}

function hasProcesses(uid: number): boolean {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.some((pid) => statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid === uid);
}

/** The configuration before the gateway's, and nothing left of the gateway's. */
function restoreStep(installed: Installed): Step {
  const { layout, options } = installed;
  const { output, masterSocket, haproxy } = layout;
  return {
    what: `give HAProxy its former ${output} back`,
    async run() {
      const config = await ownConfig(installed);
      const former = newestCopy(output);
      if (config === undefined || former === undefined) {
        // A gateway that was stopped before it came so far may have left it.
        await rm(haproxy.stateFile, { force: true });
        return "it is there already";
      }
      const text = await readFile(former);
      const staged = join(dirname(output), `.${basename(output)}.new`);
      await writeDurably(staged, text, former);
      await rename(staged, output);
      await syncDirectory(dirname(output));
      const command = options.reloadCommand;
      const defaultCommand = DEFAULT_RELOAD_COMMAND;
      await new ExternalHaproxy({ command, defaultCommand, masterSocket }).reload();
      const others = ownMaps(output, config).filter((path) => !text.includes(path));
      for (const path of [...others, haproxy.stateFile, former]) await rm(path, { force: true });
    },
  };
}

/** The map files that the gateway wrote for its configuration. */
function ownMaps(output: string, config: string): string[] {
  const stem = join(dirname(output), basename(output).replace(/\.cfg$/, "."));
  const maps = [...config.matchAll(/[^\s"'(),]+\.map\b/g)].map(([path]) => path);
  return [...new Set(maps)].filter((path) => path.startsWith(stem));
}

function workingFiles(output: string): string[] {
  const folder = dirname(output);
  const stem = `.${basename(output).replace(/\.cfg$/, "")}.`;
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.startsWith(stem) && WORKING_FILE.test(name))
    .map((name) => join(folder, name));
}

function removal(find: () => readonly string[], what = "the gateway's working files"): Step {
  return {
    what: `remove ${what}`,
    async run() {
      for (const path of find()) await rm(path, { force: true });
    },
  };
}

async function tellOfHaproxy(installed: Installed, io: CommandIo): Promise<void> {
  const { output } = installed.layout;
  if ((await ownConfig(installed)) === undefined) return;
  io.write(`HAProxy goes on with ${output} as the gateway left it.\n`);
  const former = newestCopy(output);
  if (former === undefined) return;
  io.write(
    `The one before is ${former}. To have it back:\n` +
      `  cp -p ${former} ${output} && systemctl reload haproxy\n`,
  );
}
