// Files on disk: found behind links, written to the disk itself, with the mode and owner they had.

import type { Stats } from "node:fs";
import {
  link,
  open,
  readFile,
  readlink,
  realpath,
  rm,
  stat,
  type FileHandle,
} from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { errorMessage, GatewayError, systemCode } from "../../lib/errors.ts";

/** Of a file that is for everybody to read. */
export const PUBLIC_MODE = 0o644;
/** For nobody else's eyes until it is known for whose it is. */
const PRIVATE_MODE = 0o600;

/** Where a file is, or would be: a link is followed, so that it can stay. */
export async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    absent(error);
    const target = await readlink(path).catch(() => undefined);
    return target === undefined ? path : realPath(resolve(dirname(path), target));
  }
}

/** A file's facts; undefined where there is none. */
export async function statIfThere(path: string): Promise<Stats | undefined> {
  return stat(path).catch(absent);
}

/** A file's text; undefined where there is none. @throws GatewayError `config` */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new GatewayError("config", `Cannot read "${path}": ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

/** The first bytes of a file as text; undefined where there is none. */
export async function readStart(path: string, bytes: number): Promise<string | undefined> {
  const file = await open(path).catch(absent);
  if (file === undefined) return undefined;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}

/**
 * Writes a file to the disk itself, with the mode and owner of another where that exists.
 * @param flags `wx` for one that must not be there yet
 * @param mode of a file that has no original
 */
export async function writeDurably(
  path: string,
  content: string | Uint8Array,
  original: string,
  flags: "w" | "wx" = "w",
  mode = PUBLIC_MODE,
): Promise<void> {
  const wanted = await statIfThere(original);
  const file = await open(path, flags, wanted === undefined ? mode : PRIVATE_MODE);
  try {
    if (wanted !== undefined) await likeOriginal(file, wanted);
    await file.writeFile(content);
    await file.sync();
  } catch (error) {
    // Half a file is worse than none.
    await rm(path, { force: true }).catch(() => undefined);
    throw error;
  } finally {
    await file.close();
  }
}

/** Copies a file byte by byte, with its mode and owner. */
async function copyDurably(from: string, to: string): Promise<void> {
  await writeDurably(to, await readFile(from), from);
}

/**
 * Keeps a file under a second name before another is renamed over it: the same file where the file
 * system allows that, else a copy.
 */
export async function keepAs(path: string, kept: string): Promise<void> {
  await rm(kept, { force: true });
  try {
    await link(path, kept);
  } catch (error) {
    // A mount of its own, a file of somebody else's, or a file system without links.
    if (!["EXDEV", "EPERM", "EMLINK", "ENOTSUP"].includes(systemCode(error))) throw error;
    await copyDurably(path, kept);
  }
}

/** Overwrites a file without making it anew; what it held is put back if that fails. */
export async function overwrite(path: string, content: Uint8Array): Promise<void> {
  const former = await readFile(path);
  const file = await open(path, "r+");
  try {
    await write(content).catch(async (error: unknown) => {
      await write(former);
      throw error;
    });
  } finally {
    await file.close();
  }

  async function write(bytes: Uint8Array): Promise<void> {
    // A disk that is all but full takes less than it is given, and only then says so.
    for (let at = 0; at < bytes.length;) {
      at += (await file.write(bytes, at, bytes.length - at, at)).bytesWritten;
    }
    // Shortened last: its old blocks are there to write into, even on a full disk.
    await file.truncate(bytes.length);
    await file.sync();
  }
}

/** Writes a folder's entries to the disk itself. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function likeOriginal(file: FileHandle, wanted: Stats): Promise<void> {
  const own = await file.stat();
  if (own.uid !== wanted.uid || own.gid !== wanted.gid) await file.chown(wanted.uid, wanted.gid);
  // After the owner: changing that may clear parts of the mode.
  if (own.mode !== wanted.mode) await file.chmod(wanted.mode & 0o7777);
}

function absent(error: unknown): undefined {
  if (systemCode(error) === "ENOENT") return undefined;
  throw error;
}
