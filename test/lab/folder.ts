// Folders of every kind for the tests of files: of an own file system, small, read-only, mounted over.

import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { GatewayError } from "../../src/lib/errors.ts";
import { ConfigFiles } from "../../src/haproxy/files/files.ts";
import type { Files } from "../../src/model.ts";
import { isOwnConfig } from "../../src/template/compile.ts";
import { labDir } from "./leftovers.ts";
import { listLogger } from "./proxy.ts";

/** How many bytes a page has, in which a small file system counts. */
export const PAGE = 4096;
/** The first line by which the gateway knows its own configurations. */
const OWN = "# Written by docker-api-gateway: what is changed here is overwritten.\n";

/** A place for a configuration and what was logged about it. */
export interface Place {
  dir: string;
  output: string;
  map: string;
  files: ConfigFiles;
  log: string[];
  /** What should be there: a configuration of the gateway's with one map. */
  wanted(text: string): Files;
}

/** A new folder; the lab removes it, and what is mounted in it, at the end. */
export function newFolder(): string {
  return labDir("files");
}

/** A place in a folder, a new one by default. */
export function newPlace(dir = newFolder()): Place {
  const log: string[] = [];
  const output = join(dir, "haproxy.cfg");
  const files = new ConfigFiles(output, isOwnConfig, listLogger(log));
  const map = files.mapPath("routes");
  const wanted = (text: string): Files => ({
    config: `${OWN}# ${text}\nuse ${map}\n`,
    assets: { [map]: { kind: "map", text: `${text} 1\n` } },
  });
  return { dir, output, map, files, log, wanted };
}

/** Does what is done for a configuration that HAProxy accepts, but for its reload. */
export async function replace({ files }: Place, wanted: Files): Promise<void> {
  try {
    await files.stage(wanted);
    await files.replace(wanted);
  } finally {
    await files.discard(wanted);
  }
}

/** The error that a promise fails with. */
export async function failure(promise: Promise<unknown>): Promise<GatewayError> {
  const error: unknown = await promise.then(
    () => new Error("it did not fail"),
    (reason: unknown) => reason,
  );
  if (error instanceof GatewayError) return error;
  throw error;
}

/** All files of a folder, hidden ones too. */
export function list(dir: string): string[] {
  return readdirSync(dir).toSorted();
}

/** Writes a file with this mode and owner. */
export function writeAs(
  path: string,
  content: string | Uint8Array,
  mode: number,
  id: number,
): void {
  writeFileSync(path, content);
  chownSync(path, id, id + 1);
  chmodSync(path, mode);
}

/** The mode, owner and group of a file. */
export function ownership(path: string): [mode: string, owner: number, group: number] {
  const { mode, uid, gid } = statSync(path);
  return [(mode & 0o7777).toString(8), uid, gid];
}

/** Mounts a file system in memory on a new folder inside this one. */
export function mountMemory(dir: string, bytes: number): string {
  const at = join(dir, `memory-${readdirSync(dir).length}`);
  mkdirSync(at);
  run("mount", "-t", "tmpfs", "-o", `size=${bytes}`, "tmpfs", at);
  return at;
}

/** Mounts a file or folder a second time. */
export function mountBind(from: string, to: string, ...options: string[]): void {
  run("mount", "--bind", from, to);
  if (options.length > 0) run("mount", "-o", ["remount", "bind", ...options].join(), to);
}

/** Makes a file system read-only, or writable again. */
export function remount(at: string, option: "ro" | "rw"): void {
  run("mount", "-o", `remount,${option}`, at);
}

/** Fills a file system up and leaves only so many pages. */
export function fill(at: string, pagesLeft: number): void {
  const { bavail, bsize } = statfsSync(at);
  writeFileSync(join(at, "filler"), new Uint8Array((bavail - pagesLeft) * bsize));
  const left = statfsSync(at).bavail;
  if (left !== pagesLeft) throw new Error(`Cannot fill ${at}: ${left} pages are left`);
}

function run(program: string, ...args: string[]): void {
  const { success, stderr } = Bun.spawnSync([program, ...args]);
  if (success) return;
  throw new Error(
    `Cannot make a mount for a test: ${program} ${args.join(" ")}: ${stderr.toString().trim()}; ` +
      "the tests need root and the right to mount (in a container: --privileged)",
  );
}
