// Folders of this test process, and the removal of all that hangs on one, also where its process died.

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

// Short: the path of a unix socket has 107 bytes and a bridge's name 15.
const PREFIX = "dagl-";
const OWN = `${PREFIX}${process.pid.toString(36)}-`;
// What is killed needs a moment until the kernel lets go of it; after this, go on all the same.
const SWEEP_TRIES = 100;
const SWEEP_PAUSE_MS = 20;
const COMMAND_MS = 20_000;

/** Makes a new folder that belongs to this process. */
export function labDir(kind: string): string {
  return mkdtempSync(join(tmpdir(), `${OWN}${kind}-`));
}

/** The name for a bridge of this process. */
export function bridgeName(index: number): string {
  return `${OWN}${index}`;
}

/** The names of the bridges of all test processes, dead ones included. */
export function labBridges(): string[] {
  return interfaces().filter((name) => name.startsWith(PREFIX));
}

/** Removes what test processes that are no more have left. */
export function cleanLeftovers(): void {
  clean((name) => name.startsWith(PREFIX) && !ownerLives(name));
}

/** Removes everything of this process. */
export function cleanOwn(): void {
  clean((name) => name.startsWith(OWN));
}

/** Kills what runs from the folder, removes its mounts, control groups and bridges, and itself. */
export function sweep(dir: string): void {
  // An engine that has no daemon of its own knows best how to end its containers.
  const ownWay = join(dir, "end");
  if (existsSync(ownWay)) quietly([ownWay]);
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
      // Another user's: it is theirs to remove.
    }
  }
  for (const bridge of interfaces().filter(belongs)) removeInterface(bridge);
}

function ownerLives(name: string): boolean {
  const pid = Number.parseInt(name.slice(PREFIX.length), 36);
  try {
    // Another program may have got the number since.
    return readlinkSync(`/proc/${pid}/exe`).includes("bun");
  } catch {
    return false;
  }
}

// The processes that have the folder on their command line, and those whose root is in it: a
// container's own processes have another command line, but their root is mounted from there.
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
    // Gone by itself.
  }
}

// Those on the folder itself, too.
function mountsIn(dir: string): string[] {
  return readText("/proc/self/mountinfo")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((target) => `${target}/`.startsWith(`${dir}/`))
    .toReversed();
}

// A user's network has a bridge whose name stands only in the engine's own files.
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

/** The names of all network interfaces here; /sys may show those of another network namespace. */
export function interfaces(): string[] {
  return [...readText("/proc/net/dev").matchAll(/^ *([^ :|]+):/gm)].map(([, name = ""]) => name);
}

function removeInterface(name: string): void {
  quietly(["ip", "link", "delete", name]);
}

// Control groups are one tree (v2) or a folder of trees (v1).
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
    // Not installed, so it made nothing that is to be removed.
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}
