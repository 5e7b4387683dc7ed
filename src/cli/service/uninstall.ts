// `docker-api-gateway uninstall`: removes what `install` made.

import { existsSync, readdirSync, statSync } from "node:fs";
import { rm, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pause } from "../../lib/async.ts";
import type { Command, CommandIo } from "../command.ts";
import { errorMessage, GatewayError, systemCode } from "../../lib/errors.ts";
import { readFlags } from "../flags.ts";
import { realPath } from "../../lib/disk.ts";
import { containersPathOf, ownersPathOf } from "../../haproxy/files/files.ts";
import type { Paths } from "../../gateway/paths.ts";
import { parseOptions, type HaproxyOptions } from "../options.ts";
import { oldFile } from "./program-file.ts";
import { commandOf, madeOf, SERVICE_USER, UNIT } from "./unit.ts";
import { requireFormer, restoreStep, tellOfHaproxy } from "./restore.ts";
import { SERVICE_FLAGS, servicePaths } from "./service.ts";
import {
  carryOut,
  commandStep,
  FORGET_UNIT,
  readUnit,
  removeFence,
  removeHaproxy,
  removeUser,
  requireOwnUnit,
  requireSystemd,
  runCommand,
  serviceUid,
  UNIT_FILE,
  type Step,
} from "./systemd.ts";

/** The names of the files that the gateway keeps beside the configuration while it works. */
const WORKING_FILE = /\.(new|check|last-good|unconfirmed|lock(\.\d+)?)$/;
const RUN_DIR = `/run/${SERVICE_USER}`;
/** A worker of HAProxy may need this long for its last moments. */
const ENDING_MS = 1_000;
/** Processes that were killed are gone after at most this time. */
const KILLED_MS = 5_000;
/** How often the processes are looked at, in milliseconds. */
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
    await requireOwnUnit("uninstall");
    const unit = await readUnit();
    const installed = describe(unit, io);
    if (unit === "") io.write(`There is no ${UNIT_FILE}: nothing is installed.\n`);
    if (restore) await requireFormer(installed);
    await carryOut(unit === "" ? restoring(installed, restore) : makeSteps(installed, restore), io);
    await tellOfHaproxy(installed, io);
    tellOfRest(installed, io);
    return 0;
  },
};

/** What is installed, as the unit tells. Without a unit, the defaults. */
interface Installed {
  readonly program: string | undefined;
  readonly made: readonly string[];
  readonly haproxy: HaproxyOptions;
  readonly paths: Paths;
}

/** @throws GatewayError `config` if the unit has flags that this version does not know */
function describe(unit: string, io: CommandIo): Installed {
  const [program, ...flags] = commandOf(unit);
  try {
    const { haproxy } = parseOptions(readFlags(flags, SERVICE_FLAGS, {}).values);
    return { program, made: madeOf(unit), haproxy, paths: servicePaths(haproxy, io.env) };
  } catch (error) {
    throw new GatewayError("config", `Cannot read "${UNIT_FILE}": ${errorMessage(error)}`, {
      hint: `nothing was changed; mend its ExecStart=, or uninstall with the version that it is of`,
      cause: error,
    });
  }
}

function makeSteps(installed: Installed, restore: boolean): readonly Step[] {
  const { paths, made } = installed;
  const files = made
    .filter((path) => !path.endsWith("/"))
    .flatMap((path) => [path, oldFile(path)])
    .filter((path) => existsSync(path));
  const folders = made.filter((path) => path.endsWith("/") && existsSync(path));
  return [
    commandStep("systemctl", "--quiet", "disable", "--now", UNIT),
    ...removeHaproxy(),
    ...removeFence(),
    ...(paths.managed ? [END_HAPROXY] : []),
    ...restoring(installed, restore),
    ...(paths.managed || restore ? [] : [removeWorkingFiles(paths)]),
    ...removeUser(),
    ...files.map(removeFile),
    // The deepest folder comes first.
    ...folders.toSorted((one, other) => other.length - one.length).map(removeFolder),
    // The unit comes last, as it tells what else there is.
    removeFile(UNIT_FILE),
    FORGET_UNIT,
  ];
}

function restoring(installed: Installed, restore: boolean): readonly Step[] {
  return restore ? [restoreStep(installed), removeWorkingFiles(installed.paths)] : [];
}

/** HAProxy has ended with its unit. One of the former kind, whose gateway was killed, still runs. */
const END_HAPROXY: Step = {
  what: `remove ${RUN_DIR}`,
  async run() {
    const uid = serviceUid();
    if (uid !== undefined && !(await hasEnded(uid, ENDING_MS))) {
      await runCommand("systemctl", "kill", "--signal=SIGKILL", UNIT);
      // A user that has processes cannot be removed.
      await hasEnded(uid, KILLED_MS);
    }
    await rm(RUN_DIR, { recursive: true, force: true });
  },
};

/** Waits at most `limit` ms until a user has no processes. Returns whether it has none. */
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

function removeWorkingFiles({ output }: Paths): Step {
  return removal(
    // If the configuration is a link, some are beside the link and some beside its target.
    async () => [
      ownersPathOf(output),
      containersPathOf(output),
      ...[output, await realPath(output)].flatMap(workingFiles),
    ],
    "the gateway's working files",
  );
}

function workingFiles(output: string): string[] {
  const folder = dirname(output);
  const stem = `.${basename(output).replace(/\.cfg$/, "")}.`;
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.startsWith(stem) && WORKING_FILE.test(name))
    .map((name) => join(folder, name));
}

function removal(find: () => Promise<readonly string[]>, what: string): Step {
  return {
    what: `remove ${what}`,
    async run() {
      for (const path of await find()) await rm(path, { force: true });
    },
  };
}

function removeFile(path: string): Step {
  return removal(() => Promise.resolve([path]), path);
}

function removeFolder(path: string): Step {
  return {
    what: `remove ${path}`,
    async run() {
      try {
        await rmdir(path);
      } catch (error) {
        if (systemCode(error) !== "ENOTEMPTY") throw error;
        return "there is something else in it, so it stays";
      }
    },
  };
}

/** Tells what stays: what was there before `install`, and what is the administrator's. */
function tellOfRest({ program, made }: Installed, io: CommandIo): void {
  if (program !== undefined && !made.includes(program) && existsSync(program)) {
    io.write(`${program} was there before it was installed, and is there still.\n`);
  }
  if (existsSync(`${UNIT_FILE}.d`)) io.write(`${UNIT_FILE}.d is yours, and is there still.\n`);
}
