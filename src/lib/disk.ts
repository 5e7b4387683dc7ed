// Files on disk. Links are followed, writes are synced, and mode and owner are kept.

import type { Stats } from "node:fs";
import {
  link,
  open,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  type FileHandle,
} from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { errorMessage, fileProblem, GatewayError, systemCode } from "./errors.ts";

/** The mode of a file that everybody may read. */
export const PUBLIC_MODE = 0o644;
/** The mode of a secret, and of any new file until it has the mode and owner of its original. */
export const PRIVATE_MODE = 0o600;

/** The path of a file behind all links, so that a link can stay. The file need not exist. */
export async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    absent(error);
    const target = await readlink(path).catch(() => undefined);
    return target === undefined ? path : realPath(resolve(dirname(path), target));
  }
}

/** A file's status; undefined if there is none. */
export async function statIfThere(path: string): Promise<Stats | undefined> {
  return stat(path).catch(absent);
}

/** A file's text; undefined if there is none. @throws GatewayError `config` */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new GatewayError("config", `Cannot read "${path}": ${fileProblem(error)}`, {
      cause: error,
    });
  }
}

/** The first bytes of a file as text; undefined if there is none. */
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
 * Writes a file and syncs it, with the mode and owner of its original.
 * @param flags `wx` for a file that must not exist
 * @param mode of a file without an original
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
    // No file is better than half of one.
    await rm(path, { force: true }).catch(() => undefined);
    throw error;
  } finally {
    await file.close();
  }
}

/**
 * Replaces a file as a whole, or makes it: who reads it finds all of the old text or all of the new one,
 * whenever the machine stops.
 * @throws GatewayError `config`
 */
export async function replaceFile(path: string, content: string, mode: number): Promise<void> {
  const fresh = `${path}.new`;
  try {
    await rm(fresh, { force: true });
    await writeDurably(fresh, content, fresh, "wx", mode);
    await rename(fresh, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    throw new GatewayError("config", `Cannot write "${path}": ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

/** Copies a file byte by byte, with its mode and owner. */
async function copyDurably(from: string, to: string): Promise<void> {
  await writeDurably(to, await readFile(from), from);
}

/**
 * Keeps a file under a second name before another is renamed over it. This is a hard link, or a copy
 * if there can be no link.
 */
export async function keepAs(path: string, kept: string): Promise<void> {
  await rm(kept, { force: true });
  try {
    await link(path, kept);
  } catch (error) {
    // The file may be a mount of its own or somebody else's, or the file system may know no links.
    if (!["EXDEV", "EPERM", "EMLINK", "ENOTSUP"].includes(systemCode(error))) throw error;
    await copyDurably(path, kept);
  }
}

/** Overwrites a file in place. Its old content is written back if that fails. */
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
    // A nearly full disk may write fewer bytes than it is given, without an error.
    for (let at = 0; at < bytes.length;) {
      at += (await file.write(bytes, at, bytes.length - at, at)).bytesWritten;
    }
    // It is shortened last. Until then its old blocks can be written to, even on a full disk.
    await file.truncate(bytes.length);
    await file.sync();
  }
}

/** Syncs the entries of a folder. */
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
  // The mode comes after the owner, because a change of the owner may clear parts of it.
  if (own.mode !== wanted.mode) await file.chmod(wanted.mode & 0o7777);
}

function absent(error: unknown): undefined {
  if (systemCode(error) === "ENOENT") return undefined;
  throw error;
}
