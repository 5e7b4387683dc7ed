// Folders for the tests of files: with an own small file system, read-only, or mounted twice.

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

/** The size of a page in bytes. A file system in memory counts in pages. */
export const PAGE = 4096;
/** The gateway knows its own configurations by this first line. */
const OWN = "# Written by docker-api-gateway: what is changed here is overwritten.\n";

/** A place for a configuration, and the log of what was done there. */
export interface Place {
  dir: string;
  output: string;
  map: string;
  files: ConfigFiles;
  log: string[];
  /** Makes files to put there: a configuration of the gateway with one map. */
  wanted(text: string): Files;
}

/** Makes a folder. At the end the lab removes it with all that is mounted in it. */
export function newFolder(): string {
  return labDir("files");
}

/** Makes a place in a folder, by default in a new one. */
export function newPlace(dir = newFolder()): Place {
  const log: string[] = [];
  const output = join(dir, "haproxy.cfg");
  const files = new ConfigFiles(output, isOwnConfig, listLogger(log));
  const map = files.pathOf("routes.map");
  const wanted = (text: string): Files => ({
    config: `${OWN}# ${text}\nuse ${map}\n`,
    assets: { [map]: { kind: "map", text: `${text} 1\n` } },
  });
  return { dir, output, map, files, log, wanted };
}

/** Replaces the files as the gateway does if HAProxy accepts them, but without a reload. */
export async function replace({ files }: Place, wanted: Files): Promise<void> {
  try {
    await files.stage(wanted);
    await files.replace(wanted);
  } finally {
    await files.discard(wanted);
  }
}

/** The error with which a promise fails. */
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

/** Writes a file with this mode and owner. Its group has the next higher ID. */
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

/** Fills a file system until only `pagesLeft` pages are free. */
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
