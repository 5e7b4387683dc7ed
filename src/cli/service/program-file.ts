// The file of this program: where it is, and how it is replaced by another and put back.

import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdtempSync,
  openSync,
  closeSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { errorMessage, GatewayError, systemCode } from "../../lib/errors.ts";
import { runProgram } from "../../lib/process.ts";

/** The kind of machine that a built program is for. .ci/build.ts sets it. */
declare const GATEWAY_KIND: string | undefined;
/** How the names of work folders begin. */
const WORK_PREFIX = ".docker-api-gateway-upgrade-";
/** An older work folder was left by an upgrade that was killed: no download takes a day. */
const LEFT_BEHIND_MS = 86_400_000;
/** A program says its version in milliseconds. Its first start on a busy disk takes seconds. */
const VERSION_LIMIT_MS = 30_000;

/** This program's own file. */
export interface OwnFile {
  readonly path: string;
  /** The kind of machine, as in the names of a release's files, such as `linux-x64-musl`. */
  readonly kind: string;
}

/**
 * Finds this program's own file.
 * @param action what cannot be done without it, for the error
 * @throws GatewayError `release` if this is not a built program
 */
export function ownFile(action: string): OwnFile {
  if (typeof GATEWAY_KIND === "string") return { path: process.execPath, kind: GATEWAY_KIND };
  throw new GatewayError("release", `Cannot ${action}: this is not a built program`, {
    hint: "npm run build makes one",
  });
}

/** The path under which the replaced program is kept. */
export function oldFile(file: string): string {
  return `${file}.old`;
}

/** @throws GatewayError `release` if this user may not replace the program */
export function requireReplaceable(file: string, command: string): void {
  try {
    accessSync(dirname(file), constants.W_OK | constants.X_OK);
  } catch (error) {
    const state =
      systemCode(error) === "EACCES"
        ? `this user may not write to ${dirname(file)}`
        : errorMessage(error);
    throw new GatewayError("release", `Cannot replace "${file}": ${state}`, {
      hint: systemCode(error) === "EACCES" ? `sudo ${command}` : undefined,
      cause: error,
    });
  }
}

/**
 * Runs an action with a new folder beside the file, from which files can be renamed into place.
 * Removes the folder at the end, and also the folders of upgrades that were killed.
 */
export async function withWorkFolder(
  file: string,
  action: (work: string) => Promise<void> | void,
): Promise<void> {
  const folder = dirname(file);
  for (const name of readdirSync(folder).filter((each) => each.startsWith(WORK_PREFIX))) {
    const path = join(folder, name);
    if (Date.now() - statSync(path).mtimeMs > LEFT_BEHIND_MS) rmSync(path, { recursive: true });
  }
  const work = mkdtempSync(join(folder, WORK_PREFIX));
  try {
    await action(work);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Asks the program in a file for its version. @throws GatewayError `release` if it does not run */
export async function versionOf(file: string): Promise<string> {
  const { exitCode, lines, timedOut } = await runProgram(
    [file, "--version"],
    VERSION_LIMIT_MS,
  ).catch((error: unknown) => ({ exitCode: -1, lines: [errorMessage(error)], timedOut: false }));
  const version = /^docker-api-gateway (\S+)/.exec(lines[0] ?? "")?.[1];
  if (exitCode === 0 && version !== undefined) return version;
  throw new GatewayError("release", `Cannot run "${file}": it does not say its version`, {
    lines: timedOut ? [`it did not end within ${VERSION_LIMIT_MS / 1000} s`] : lines,
    hint: "nothing was changed",
  });
}

/** Replaces `file` by `next` in one step, and keeps the replaced program beside it. */
export function replaceFile(file: string, next: string, work: string): void {
  const { mode, uid, gid } = statSync(file);
  try {
    chmodSync(next, mode);
    if (process.getuid?.() === 0) chownSync(next, uid, gid);
    flush(next);
    const kept = join(work, "kept");
    linkOrCopy(file, kept);
    renameSync(kept, oldFile(file));
    renameSync(next, file);
    flush(dirname(file));
  } catch (error) {
    throw notReplaced(file, error);
  }
}

/** Exchanges the program and the one that it replaced. Done twice, all is as it was. */
export function exchangeFiles(file: string, work: string): void {
  try {
    const kept = join(work, "kept");
    linkOrCopy(file, kept);
    renameSync(oldFile(file), file);
    renameSync(kept, oldFile(file));
    flush(dirname(file));
  } catch (error) {
    throw notReplaced(file, error);
  }
}

/** @throws GatewayError `release` if there is no program to go back to */
export function requireOld(file: string): void {
  if (existsSync(oldFile(file))) return;
  throw new GatewayError("release", `Cannot go back: there is no "${oldFile(file)}"`, {
    hint: `an upgrade keeps the program that it replaces; ${basename(file)} upgrade VERSION gets any other`,
  });
}

/** Gives the file a second name. Copies it if the file system has no links. */
function linkOrCopy(file: string, other: string): void {
  try {
    linkSync(file, other);
  } catch {
    copyFileSync(file, other);
    chmodSync(other, statSync(file).mode);
    flush(other);
  }
}

/** Makes sure that the content of a file, or the names in a folder, are on the disk. */
function flush(path: string): void {
  const opened = openSync(path, "r");
  try {
    fsyncSync(opened);
  } finally {
    closeSync(opened);
  }
}

function notReplaced(file: string, error: unknown): GatewayError {
  return new GatewayError("release", `Cannot replace "${file}": ${errorMessage(error)}`, {
    hint: "the program that was there is there still",
    cause: error,
  });
}
