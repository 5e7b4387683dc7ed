// `docker-api-gateway install`: makes the gateway a service of systemd.

import { existsSync, statSync } from "node:fs";
import { chmod, mkdir, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { Command, CommandIo } from "../command.ts";
import { errorMessage, GatewayError } from "../../lib/errors.ts";
import { haproxyBuild } from "../../haproxy/process/check.ts";
import { readIfThere, syncDirectory, writeDurably } from "../../lib/disk.ts";
import { listenersOn } from "../../lib/listeners.ts";
import type { RawOptions } from "../options.ts";
import { ownFile } from "./program-file.ts";
import { isOwnConfig } from "../../template/compile.ts";
import { fenceUnit } from "./fence-unit.ts";
import { haproxyPathUnit, haproxyUnit } from "./haproxy-unit.ts";
import { startAnew, takeOver } from "./take-over.ts";
import {
  FENCE_UNIT,
  HAPROXY_PATH_UNIT,
  HAPROXY_UNIT,
  isFormerKind,
  isManaged,
  madeOf,
  serviceUnit,
  UNIT,
} from "./unit.ts";
import { withoutContext } from "./context.ts";
import { chooseService, dockerVariables, SERVICE_FLAGS, toWords, type Wanted } from "./service.ts";
import {
  carryOut,
  commandStep,
  FENCE_FILE,
  HAPROXY_FILE,
  HAPROXY_PATH_FILE,
  isActive,
  mainProcess,
  MAKE_USER,
  readUnit,
  removeFence,
  removeHaproxy,
  requireOwnUnit,
  requireSystemd,
  runCommand,
  servicePath,
  startService,
  systemdVersion,
  UNIT_FILE,
  type Step,
} from "./systemd.ts";

/** Root's own programs, which no package touches. Source: Filesystem Hierarchy Standard, 4.9. */
const BIN_DIR = "/usr/local/bin";
const NAME = "docker-api-gateway";

export const installCommand: Command = {
  name: "install",
  description: "Make the gateway a service of systemd that runs with these flags",
  flags: {
    print: { type: "boolean", description: "only print the unit and what would be done" },
    "no-start": { type: "boolean", description: "neither start it nor have it started at boot" },
    "bin-dir": {
      type: "string",
      valueHint: "FOLDER",
      description: `where the program is put (default: ${BIN_DIR})`,
    },
    ...SERVICE_FLAGS,
  },
  examples: [
    ["docker-api-gateway install", "with the HAProxy of the distribution"],
    ["docker-api-gateway install --manage-haproxy", "with a HAProxy of its own, and without root"],
    ["docker-api-gateway install --print", "only look"],
  ],
  async run(given, io) {
    const { values, env } = withoutContext({ values: given.values, env: io.env });
    const program = programPath(values["bin-dir"]);
    const made = madePaths(await readUnit(), program);
    const wanted = chooseService(values, env, program, made, await systemdVersion());
    const unit = serviceUnit(wanted.service);
    const steps = makeSteps(wanted, program, unit, values["no-start"] === true);
    if (values["print"] === true) {
      io.write(`# ${UNIT_FILE}\n${unit}\n`);
      const { haproxyService: own } = wanted;
      if (own !== undefined) {
        io.write(`# ${HAPROXY_FILE}\n${haproxyUnit(own)}\n`);
        io.write(`# ${HAPROXY_PATH_FILE}\n${haproxyPathUnit(own)}\n`);
      } else io.write(`# ${FENCE_FILE}\n${fenceUnit(wanted.service, wanted.paths.output)}\n`);
      io.write("# To install it:\n");
      for (const { what } of steps) io.write(`#   ${what}\n`);
      return 0;
    }
    requireSystemd({
      command: "install",
      own: ownWords(values),
      flags: toWords(values),
      variables: dockerVariables(env),
    });
    await requireOwnUnit("install");
    await requireHaproxy(wanted);
    await warnOfListeners(wanted, io);
    const former = await foreignConfig(wanted);
    await carryOut(steps, io);
    if (former !== undefined) {
      io.write(`The former ${former} is kept beside it, as ${basename(former)}.before-${NAME}.\n`);
    }
    io.write(
      values["no-start"] === true
        ? `To start it: systemctl enable --now ${NAME}\n`
        : `It runs. To see how it goes: systemctl status ${NAME}; what it does: journalctl -fu ${NAME}\n`,
    );
    return 0;
  },
};

function makeSteps(wanted: Wanted, program: string, unit: string, noStart: boolean): Step[] {
  const { haproxyService } = wanted;
  const gateway = new UnitOnDisk(UNIT_FILE, unit);
  const others =
    haproxyService === undefined
      ? [new UnitOnDisk(FENCE_FILE, fenceUnit(wanted.service, wanted.paths.output))]
      : [
          new UnitOnDisk(HAPROXY_FILE, haproxyUnit(haproxyService)),
          new UnitOnDisk(HAPROXY_PATH_FILE, haproxyPathUnit(haproxyService)),
        ];
  const enabled = [UNIT, haproxyService === undefined ? FENCE_UNIT : HAPROXY_PATH_UNIT];
  const start: Step = {
    what: `start ${UNIT}`,
    async run() {
      const pid = await mainProcess();
      if (pid !== 0 && !gateway.isNew && runsFile(pid, program)) return "it runs already";
      await startService();
    },
  };
  const startHaproxy: Step = {
    what: `start ${HAPROXY_PATH_UNIT}`,
    async run() {
      if (haproxyService === undefined) return;
      const pid = await mainProcess();
      if (pid !== 0 && isFormerKind(gateway.former)) {
        await takeOver(pid, haproxyService, wanted.paths.haproxy.statsSocket);
        await runCommand("systemctl", "start", HAPROXY_PATH_UNIT);
        return `done; HAProxy is ${HAPROXY_UNIT} now, and went on`;
      }
      const isOther = others[0]?.isNew === true && (await isActive(HAPROXY_UNIT));
      if (isOther) await startAnew(haproxyService, wanted.paths.haproxy.statsSocket);
      await runCommand("systemctl", "start", HAPROXY_PATH_UNIT);
      return isOther ? "done; HAProxy was started anew, and went on" : undefined;
    },
  };
  return [
    // The unit is written first: it tells `uninstall` what there is, even if a later step fails.
    ...[gateway, ...others].map((each) => each.write()),
    { what: `copy this program to ${program}`, run: () => copyProgram(program) },
    ...(haproxyService === undefined ? removeHaproxy() : [...removeFence(), MAKE_USER]),
    commandStep("systemctl", "daemon-reload"),
    ...(noStart ? [] : [commandStep("systemctl", "--quiet", "enable", ...enabled)]),
    ...(noStart || haproxyService === undefined ? [] : [startHaproxy]),
    ...(noStart ? [] : [start]),
  ];
}

/** A unit that is to be on disk. */
class UnitOnDisk {
  /** What was there before. */
  former = "";

  constructor(
    private readonly path: string,
    private readonly text: string,
  ) {}

  get isNew(): boolean {
    return this.former !== this.text;
  }

  write(): Step {
    return {
      what: `write ${this.path}`,
      run: async () => {
        this.former = (await readIfThere(this.path)) ?? "";
        if (!this.isNew) return "it is the same already";
        await putInPlace(this.path, this.text, 0o644);
      },
    };
  }
}

/** What this installation makes for the program, and what an earlier installation made. */
function madePaths(former: string, program: string): string[] {
  const folders: string[] = [];
  for (let folder = dirname(program); !existsSync(folder); folder = dirname(folder)) {
    folders.push(`${folder}/`);
  }
  const made = existsSync(program) ? [] : [program, ...folders];
  return [...new Set([...madeOf(former), ...made])];
}

async function copyProgram(program: string): Promise<string | undefined> {
  const own = ownFile("install").path;
  const content = await readFile(own);
  if (existsSync(program) && content.equals(await readFile(program))) return "it is there already";
  await putInPlace(program, content, 0o755);
  return undefined;
}

/** Whether a process runs this very file, not one that it replaced. False if that is not known. */
function runsFile(pid: number, path: string): boolean {
  try {
    const [own, file] = [statSync(`/proc/${pid}/exe`), statSync(path)];
    return own.ino === file.ino && own.dev === file.dev;
  } catch {
    return false;
  }
}

/** Writes or replaces a file of root's in one step. */
async function putInPlace(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  const staged = join(dirname(path), `.${basename(path)}.new`);
  try {
    await mkdir(dirname(path), { recursive: true });
    // A file that an earlier try left may have another mode or owner.
    await rm(staged, { force: true });
    await writeDurably(staged, content, staged);
    await chmod(staged, mode);
    await rename(staged, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    throw new GatewayError("config", `Cannot write "${path}": ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

/** Where to put the program. @throws GatewayError `usage` if a unit cannot name that path */
function programPath(folder: RawOptions[string]): string {
  const path = join(resolve(typeof folder === "string" ? folder : BIN_DIR), NAME);
  if (/^[A-Za-z0-9_./@+-]+$/.test(path)) return path;
  throw new GatewayError(
    "usage",
    `Cannot install "${path}": its path must have only letters, digits and _./@+-`,
    { hint: `leave --bin-dir out for ${BIN_DIR}` },
  );
}

/** The flags of this command alone, as words. */
function ownWords(values: RawOptions): string[] {
  const folder = values["bin-dir"];
  return [
    ...(values["no-start"] === true ? ["--no-start"] : []),
    ...(typeof folder === "string" ? [`--bin-dir=${folder}`] : []),
  ];
}

/** @throws GatewayError if HAProxy or the folder for its configuration is missing */
async function requireHaproxy({ haproxy, paths }: Wanted): Promise<void> {
  await haproxyBuild(servicePath(haproxy));
  const folder = dirname(paths.output);
  if (paths.managed || existsSync(folder)) return;
  throw new GatewayError("config", `Cannot install a service: there is no folder "${folder}"`, {
    hint: "install HAProxy (apt install haproxy), or use --manage-haproxy",
  });
}

/** Warns of other programs that listen on the ports. */
async function warnOfListeners({ listen, paths }: Wanted, io: CommandIo): Promise<void> {
  // The listener may be the HAProxy of the installed gateway.
  const runsOwn = isManaged(await readUnit());
  const mayListen = (program: string): boolean =>
    program === "haproxy" && (runsOwn || !paths.managed);
  for (const address of listen) {
    const other = listenersOn(address)?.find(({ program }) => !mayListen(program));
    if (other?.pid === undefined) continue;
    const holder = `${other.program} (process ${other.pid})`;
    io.write(`warning: ${address} is held by ${holder}, and HAProxy is to listen there\n`);
  }
}

/** The path of the configuration on disk. Undefined if there is none or the gateway wrote it. */
async function foreignConfig({ paths }: Wanted): Promise<string | undefined> {
  const config = await readIfThere(paths.output);
  return config === undefined || isOwnConfig(config) ? undefined : paths.output;
}
