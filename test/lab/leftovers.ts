// Makes folders for this test process, and removes them with all that belongs to them. Also removes
// what test processes left that died.

import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

// It is short, as the path of a unix socket has at most 107 bytes and the name of a bridge 15.
const PREFIX = "dagl-";
const OWN_PREFIX = `${PREFIX}${process.pid.toString(36)}-`;
// A killed process needs a moment until the kernel has removed it. After 100 tries go on anyway.
const SWEEP_TRIES = 100;
const SWEEP_PAUSE_MS = 20;
// A command that hangs is killed after this time.
const COMMAND_MS = 20_000;

/** Makes a new folder that belongs to this process. */
export function labDir(kind: string): string {
  return mkdtempSync(join(tmpdir(), `${OWN_PREFIX}${kind}-`));
}

/** The name for a bridge of this process. */
export function bridgeName(index: number): string {
  return `${OWN_PREFIX}${index}`;
}

/** The names of the bridges of all test processes, also of those that died. */
export function labBridges(): string[] {
  return interfaces().filter((name) => name.startsWith(PREFIX));
}

/** Removes what test processes left that have ended. */
export function cleanLeftovers(): void {
  clean((name) => name.startsWith(PREFIX) && !ownerLives(name));
}

/** Removes everything of this process. */
export function cleanOwn(): void {
  clean((name) => name.startsWith(OWN_PREFIX));
}

/** Removes a folder with its processes, mounts, control groups and bridges. */
export function sweep(dir: string): void {
  // An engine without a daemon has a script that ends its containers.
  const endScript = join(dir, "end");
  if (existsSync(endScript)) quietly([endScript]);
  for (let tries = 0; tries < SWEEP_TRIES; tries++) {
    const pids = processesOf(basename(dir));
    if (pids.length === 0) break;
    for (const pid of pids) kill(pid);
    Bun.sleepSync(SWEEP_PAUSE_MS);
  }
  const mounts = mountsIn(dir);
  if (mounts.length > 0) quietly(["umount", "-l", ...mounts]);
  for (const bridge of bridgesNamedIn(dir)) removeInterface(bridge);
  for (let tries = 0; tries < SWEEP_TRIES && !removeCgroups(basename(dir)); tries++) {
    Bun.sleepSync(SWEEP_PAUSE_MS);
  }
  rmSync(dir, { recursive: true, force: true });
}

function clean(belongs: (name: string) => boolean): void {
  for (const name of readdirSync(tmpdir()).filter(belongs)) {
    try {
      sweep(join(tmpdir(), name));
    } catch {
      // It belongs to another user, who must remove it.
    }
  }
  for (const bridge of interfaces().filter(belongs)) removeInterface(bridge);
}

function ownerLives(name: string): boolean {
  const pid = Number.parseInt(name.slice(PREFIX.length), 36);
  try {
    // Another program may have got this process ID since.
    return readlinkSync(`/proc/${pid}/exe`).includes("bun");
  } catch {
    return false;
  }
}

// The processes with the folder on their command line, and those whose root is in it. The processes
// in a container have another command line, but their root is mounted from there.
function processesOf(name: string): number[] {
  const pids: number[] = [];
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid || pid === process.ppid) continue;
    const root = readText(`/proc/${pid}/mountinfo`)
      .split("\n")
      .find((line) => line.split(" ")[4] === "/");
    if (readText(`/proc/${pid}/cmdline`).includes(`/${name}/`) || root?.includes(`/${name}/`)) {
      pids.push(pid);
    }
  }
  return pids;
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

// The mounts in a folder and on the folder itself.
function mountsIn(dir: string): string[] {
  return readText("/proc/self/mountinfo")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((target) => `${target}/`.startsWith(`${dir}/`))
    .toReversed();
}

// The name of a bridge of a user's network is only in the files of the engine.
function bridgesNamedIn(dir: string): string[] {
  const files = [join(dir, "d/network/files/local-kv.db")];
  const networks = join(dir, "networks");
  if (existsSync(networks))
    files.push(...readdirSync(networks).map((name) => join(networks, name)));
  const present = new Set(interfaces());
  const names = files.flatMap((file) =>
    [...readText(file).matchAll(/"(?:BridgeName|bridge|network_interface)": *"([^"]+)"/g)].map(
      (match) => match[1] ?? "",
    ),
  );
  return [...new Set(names)].filter((name) => name !== "docker0" && present.has(name));
}

/** The names of all network interfaces. /sys may show those of another network namespace. */
export function interfaces(): string[] {
  return [...readText("/proc/net/dev").matchAll(/^ *([^ :|]+):/gm)].map(([, name = ""]) => name);
}

function removeInterface(name: string): void {
  quietly(["ip", "link", "delete", name]);
}

// Control groups are one tree (v2) or a folder with several trees (v1).
function removeCgroups(name: string): boolean {
  const base = "/sys/fs/cgroup";
  if (!existsSync(base)) return true;
  const trees = [base, ...readdirSync(base).map((tree) => join(base, tree))];
  return trees
    .map((tree) => join(tree, name))
    .filter((group) => existsSync(group))
    .every((group) => removeCgroup(group));
}

function removeCgroup(group: string): boolean {
  for (const entry of readdirSync(group, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroup(join(group, entry.name));
  }
  try {
    rmdirSync(group);
    return true;
  } catch {
    return false;
  }
}

function quietly(command: string[]): void {
  try {
    Bun.spawnSync(command, {
      stdio: ["ignore", "ignore", "ignore"],
      env: { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/bin:/sbin:/bin` },
      timeout: COMMAND_MS,
    });
  } catch {
    // The program is not installed, so it made nothing that must be removed.
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}
