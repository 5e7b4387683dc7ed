// The steps of `install` and `uninstall` on this machine, and the commands that they run.

import { existsSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { CommandIo } from "../command.ts";
import { errorMessage, GatewayError } from "../../lib/errors.ts";
import { readIfThere } from "../../lib/disk.ts";
import { runProgram } from "../../lib/process.ts";
import {
  FENCE_UNIT,
  HAPROXY_PATH_UNIT,
  HAPROXY_UNIT,
  isOwnUnit,
  SERVICE_USER,
  UNIT,
} from "./unit.ts";

export const UNIT_FILE = `/etc/systemd/system/${UNIT}`;
export const HAPROXY_FILE = `/etc/systemd/system/${HAPROXY_UNIT}`;
export const HAPROXY_PATH_FILE = `/etc/systemd/system/${HAPROXY_PATH_UNIT}`;
export const FENCE_FILE = `/etc/systemd/system/${FENCE_UNIT}`;
/**
 * A command must end within this time, in milliseconds. systemd allows 90 s for a start.
 * Source: systemd-system.conf(5).
 */
const LIMIT = 120_000;
/** If the service does not start, the error shows this many lines of its log. */
const LOG_LINES = 5;
/** Source: systemd.exec(5), "Environment variables in spawned processes", `$PATH`. */
const SERVICE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** Marks the user that `install` made. `uninstall` removes no other. */
const USER_COMMENT = "docker-api-gateway install";

/** One thing to do. */
export interface Step {
  readonly what: string;
  /** Returns the outcome if that is not just "done". */
  readonly run: () => Promise<string | void> | string | void;
}

/** Runs one step after the other and reports each. */
export async function carryOut(steps: readonly Step[], io: CommandIo): Promise<void> {
  for (const { what, run } of steps) {
    const outcome = await run();
    io.write(`${what}: ${outcome ?? "done"}\n`);
  }
}

/** A command line of this program, for the hints of errors. */
interface CommandLine {
  readonly command: "install" | "uninstall";
  /** The flags that only this command has. */
  readonly own: readonly string[];
  /** The flags of the gateway. */
  readonly flags: readonly string[];
  /** The variables of the environment that matter to it. */
  readonly variables: readonly string[];
}

/** @throws GatewayError `usage` if this machine has no systemd, or the user is not root */
export function requireSystemd({ command, own, flags, variables }: CommandLine): void {
  if (!existsSync("/run/systemd/system")) {
    const start = forShell(["docker-api-gateway", ...flags]);
    throw new GatewayError("usage", `Cannot ${command} a service: this host does not run systemd`, {
      hint:
        command === "install"
          ? `have what starts programs here run "${start}", which stays in the foreground`
          : undefined,
    });
  }
  if (process.getuid?.() === 0) return;
  const preserve = variables.length === 0 ? [] : [`--preserve-env=${variables.join(",")}`];
  throw new GatewayError("usage", `Cannot ${command} a service: it takes root`, {
    hint: forShell(["sudo", ...preserve, process.execPath, command, ...own, ...flags]),
  });
}

/** The text of a command for a shell. */
export function forShell(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(" ");
}

/** Finds a program on a service's PATH. After a plain `su` root still has the PATH of the user. */
export function servicePath(program: string): string {
  return Bun.which(program, { PATH: SERVICE_PATH }) ?? program;
}

/** Runs a command of the system. @throws GatewayError `config` with its lines if it fails */
export async function runCommand(...words: readonly string[]): Promise<void> {
  const [program = "", ...rest] = words;
  const running = runProgram([servicePath(program), ...rest], LIMIT);
  const { exitCode, lines, timedOut } = await running.catch((error: unknown) => {
    throw new GatewayError("config", errorMessage(error), {
      hint: "install it, and repeat this",
      cause: error,
    });
  });
  if (exitCode === 0) return;
  const state = timedOut ? `no end after ${LIMIT / 1000} s` : `exit status ${exitCode}`;
  throw new GatewayError("config", `Cannot run "${words.join(" ")}": ${state}`, { lines });
}

/** @throws GatewayError `config` if `install` did not write one of the units */
export async function requireOwnUnit(command: "install" | "uninstall"): Promise<void> {
  for (const path of [UNIT_FILE, HAPROXY_FILE, HAPROXY_PATH_FILE, FENCE_FILE]) {
    const unit = (await readIfThere(path)) ?? "";
    if (unit === "" || isOwnUnit(unit)) continue;
    throw new GatewayError(
      "config",
      `Cannot ${command} a service: "${path}" was not written by install`,
      { hint: "it is somebody's own: remove it, or give it another name" },
    );
  }
}

/** Makes a step of one command. */
export function commandStep(...words: readonly string[]): Step {
  return { what: words.join(" "), run: () => runCommand(...words) };
}

/** The text of the unit. Empty if there is none. */
export async function readUnit(): Promise<string> {
  return (await readIfThere(UNIT_FILE)) ?? "";
}

/** The version of systemd. Infinity, as if it were the newest, if there is none. */
export async function systemdVersion(): Promise<number> {
  if (Bun.which("systemctl") === null) return Infinity;
  const { lines } = await runProgram(["systemctl", "--version"], LIMIT);
  return Number(/^systemd (\d+)/.exec(lines[0] ?? "")?.[1] ?? Infinity);
}

/** Whether a unit runs. */
export async function isActive(unit: string): Promise<boolean> {
  return (await runProgram(["systemctl", "is-active", "--quiet", unit], LIMIT)).exitCode === 0;
}

/** Whether a unit is started with the unit that wants it. */
export async function isEnabled(unit: string): Promise<boolean> {
  return (await runProgram(["systemctl", "is-enabled", "--quiet", unit], LIMIT)).exitCode === 0;
}

/** The process ID of the gateway in the service. 0 if the service does not run. */
export async function mainProcess(): Promise<number> {
  const { lines } = await runProgram(["systemctl", "show", "--property=MainPID", UNIT], LIMIT);
  return Number(/^MainPID=(\d+)/.exec(lines[0] ?? "")?.[1] ?? 0);
}

/** Restarts the service and waits until it is ready. @throws GatewayError with its log */
export async function startService(): Promise<void> {
  const since = `--since=@${Math.floor(Date.now() / 1000)}`;
  try {
    // `start` would wait if systemd is about to restart the service itself.
    await runCommand("systemctl", "restart", UNIT);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    await runCommand("journalctl", "--sync");
    const own = ["journalctl", "--unit", UNIT, "--identifier", "docker-api-gateway", since];
    const { lines } = await runProgram([...own, "--quiet", "--output", "cat"], LIMIT);
    throw new GatewayError("config", error.message, {
      lines: lines.length > 0 ? lines.slice(0, LOG_LINES) : error.lines,
      hint: `it is tried again and again; journalctl -u ${UNIT} has more; uninstall ends it`,
      cause: error,
    });
  }
}

/** The steps that end the gateway's own HAProxy and remove its units, if there are any. */
export function removeHaproxy(): Step[] {
  const files = [HAPROXY_PATH_FILE, HAPROXY_FILE].filter((path) => existsSync(path));
  if (files.length === 0) return [];
  return [
    commandStep("systemctl", "--quiet", "disable", "--now", HAPROXY_PATH_UNIT),
    commandStep("systemctl", "stop", HAPROXY_UNIT),
    ...files.map((path) => ({ what: `remove ${path}`, run: () => rm(path, { force: true }) })),
  ];
}

/** The steps that remove the unit that runs before HAProxy, if there is one. */
export function removeFence(): Step[] {
  if (!existsSync(FENCE_FILE)) return [];
  return [
    commandStep("systemctl", "--quiet", "disable", FENCE_UNIT),
    { what: `remove ${FENCE_FILE}`, run: () => rm(FENCE_FILE, { force: true }) },
  ];
}

/** The step that makes the service's user. */
export const MAKE_USER: Step = {
  what: `make the system user ${SERVICE_USER}`,
  async run() {
    if (userEntry() !== undefined) return "it is there already";
    const home = [
      `--home-dir=/run/${SERVICE_USER}`,
      "--no-create-home",
      "--shell=/usr/sbin/nologin",
    ];
    const comment = `--comment=${USER_COMMENT}`;
    await runCommand("useradd", "--system", "--user-group", ...home, comment, SERVICE_USER);
  },
};

/** The step that removes the service's user and group, if `install` made them. */
export function removeUser(): Step[] {
  if (userEntry()?.includes(`:${USER_COMMENT}:`) !== true) return [];
  return [
    {
      what: `userdel ${SERVICE_USER}`,
      async run() {
        await runCommand("userdel", SERVICE_USER);
        // Some distributions leave the group. Source: login.defs(5), `USERGROUPS_ENAB`.
        if (entryOf("/etc/group") !== undefined) await runCommand("groupdel", SERVICE_USER);
      },
    },
  ];
}

/** The last step: systemd notices that the units are gone, and forgets their failures. */
export const FORGET_UNIT: Step = {
  what: "systemctl daemon-reload",
  async run() {
    await runCommand("systemctl", "daemon-reload");
    for (const unit of [UNIT, HAPROXY_UNIT, FENCE_UNIT]) {
      const { exitCode } = await runProgram(["systemctl", "is-failed", "--quiet", unit], LIMIT);
      if (exitCode === 0) await runCommand("systemctl", "reset-failed", unit);
    }
  },
};

/** The ID of the service's user. Undefined if there is none. */
export function serviceUid(): number | undefined {
  const [, , uid] = userEntry()?.split(":") ?? [];
  return uid === undefined ? undefined : Number(uid);
}

function userEntry(): string | undefined {
  return entryOf("/etc/passwd");
}

function entryOf(file: string): string | undefined {
  return new RegExp(`^${SERVICE_USER}:.*$`, "m").exec(readFileSync(file, "utf8"))?.[0];
}
