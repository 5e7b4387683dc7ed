// The configuration and its map files on disk: replaced whole, with a way back.

import { constants } from "node:fs";
import { chmod, chown, copyFile, open, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorMessage, GatewayError, systemCode } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Files } from "../model.ts";

/** A new configuration beside the old one, ready to be checked. */
interface Candidate {
  /** A configuration that reads the candidate's own map files. */
  readonly checkPath: string;
}

/** What the way back needs: written before anything is replaced. */
interface Journal {
  readonly replaced: readonly { readonly path: string; readonly existed: boolean }[];
}

const NEW_FILE_MODE = 0o644;
const BACKUP_SUFFIX = "before-docker-api-gateway";

/** The files that HAProxy reads. */
export class ConfigFiles {
  readonly #warned = new Set<string>();

  /**
   * @param output the configuration's path
   * @param isOwn whether a configuration's text was written by this program
   */
  constructor(
    readonly output: string,
    private readonly isOwn: (config: string) => boolean,
    private readonly log: Logger,
  ) {}

  /** The path of the map file of a name: beside the configuration, named after it. */
  readonly mapPath = (name: string): string => {
    const stem = basename(this.output).replace(/\.cfg$/, "");
    return join(dirname(this.output), `${stem}.${name}.map`);
  };

  /** What is on disk; undefined where there is no configuration. */
  async read(mapPaths: readonly string[]): Promise<Files | undefined> {
    const config = await readIfThere(this.output);
    if (config === undefined) return undefined;
    const maps: Record<string, string> = {};
    for (const path of mapPaths) {
      const text = await readIfThere(path);
      if (text !== undefined) maps[path] = text;
    }
    return { config, maps };
  }

  /** Whether an earlier run ended between replacing the files and HAProxy's word that it runs them. */
  async isUnconfirmed(): Promise<boolean> {
    return (await readIfThere(this.#journalPath)) !== undefined;
  }

  /** When the configuration was last written, in milliseconds since 1970; 0 without one. */
  async lastWritten(): Promise<number> {
    return (await stat(this.output).catch(absent))?.mtimeMs ?? 0;
  }

  /**
   * Writes new files beside the old ones.
   * @throws GatewayError `config` where they cannot be written; nothing has changed then
   */
  async stage(files: Files): Promise<Candidate> {
    return explain("write", this.output, async () => {
      let checked = files.config;
      for (const [path, text] of Object.entries(files.maps)) {
        await writeDurably(sibling(path, "new"), text, path);
        checked = checked.replaceAll(path, sibling(path, "new"));
      }
      await writeDurably(sibling(this.output, "new"), files.config, this.output);
      const checkPath = sibling(this.output, "check");
      await writeDurably(checkPath, checked, this.output);
      return { checkPath };
    });
  }

  /** Removes what `stage` wrote. */
  async discard(files: Files): Promise<void> {
    const paths = [this.output, ...Object.keys(files.maps)].map((path) => sibling(path, "new"));
    for (const path of [...paths, sibling(this.output, "check")]) await rm(path, { force: true });
  }

  /**
   * Puts the staged files in place. The map files go first: a configuration never lacks its map.
   * @throws GatewayError `config`; the old files are in place then
   */
  async replace(files: Files): Promise<void> {
    const paths = [...Object.keys(files.maps), this.output];
    await explain("replace", this.output, async () => {
      await this.#keepForeign();
      await this.#writeWayBack(paths);
      try {
        for (const path of paths) await this.#moveInPlace(path, sibling(path, "new"));
        await syncDirectory(dirname(this.output));
      } catch (error) {
        await this.putBack();
        throw error;
      }
    });
  }

  /** Puts the files in place again that `replace` replaced. */
  async putBack(): Promise<void> {
    await explain("put back", this.output, async () => {
      const text = await readIfThere(this.#journalPath);
      if (text === undefined) return;
      const { replaced } = JSON.parse(text) as Journal;
      for (const { path, existed } of replaced.toReversed()) {
        if (!existed) await rm(path, { force: true });
        // Moved, not copied: that works on a full disk too.
        else await this.#moveInPlace(path, sibling(path, "last-good"));
      }
      await this.confirm();
    });
  }

  /** Notes that what is in place is what HAProxy runs: there is nothing to put back. */
  async confirm(): Promise<void> {
    await rm(this.#journalPath, { force: true });
  }

  get #journalPath(): string {
    return sibling(this.output, "unconfirmed");
  }

  /** Keeps a configuration that is not ours under another name, once. */
  async #keepForeign(): Promise<void> {
    const config = await readIfThere(this.output);
    if (config === undefined || this.isOwn(config)) return;
    for (let count = 0; ; count++) {
      const kept = `${this.output}.${BACKUP_SUFFIX}${count === 0 ? "" : `.${count}`}`;
      try {
        await copyFile(this.output, kept, constants.COPYFILE_EXCL);
        await likeOriginal(kept, this.output);
        this.log.info(`kept the former ${this.output} as ${kept}`);
        return;
      } catch (error) {
        if (systemCode(error) !== "EEXIST") throw error;
        if ((await readFile(kept, "utf8")) === config) return;
      }
    }
  }

  async #writeWayBack(paths: readonly string[]): Promise<void> {
    const replaced: { path: string; existed: boolean }[] = [];
    for (const path of paths) {
      const existed = (await readIfThere(path)) !== undefined;
      if (existed) await copyWithOwner(path, sibling(path, "last-good"), path);
      replaced.push({ path, existed });
    }
    const journal: Journal = { replaced };
    await writeDurably(this.#journalPath, JSON.stringify(journal), this.output);
    await syncDirectory(dirname(this.output));
  }

  async #moveInPlace(path: string, from: string): Promise<void> {
    try {
      await rename(from, path);
    } catch (error) {
      // A single file mounted into a container cannot be renamed over.
      if (systemCode(error) !== "EBUSY") throw error;
      if (!this.#warned.has(path)) {
        this.log.warn(
          `${path} is a mount of its own and is written in place: mount its folder instead, so ` +
            "that it can be replaced whole",
        );
      }
      this.#warned.add(path);
      await overwrite(path, await readFile(from));
      await rm(from);
    }
  }
}

/** `/etc/haproxy/.haproxy.cfg.new`: hidden, so that a folder of configurations does not load it. */
function sibling(path: string, suffix: string): string {
  return join(dirname(path), `.${basename(path)}.${suffix}`);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new GatewayError("config", `Cannot read "${path}": ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

/** Writes a file to the disk itself, with the mode and owner of another where that exists. */
async function writeDurably(path: string, text: string, original: string): Promise<void> {
  const file = await open(path, "w", NEW_FILE_MODE);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await likeOriginal(path, original);
}

async function copyWithOwner(from: string, to: string, original: string): Promise<void> {
  await writeDurably(to, await readFile(from, "utf8"), original);
}

/** Gives a file the mode and owner of another, where that exists. */
async function likeOriginal(path: string, original: string): Promise<void> {
  const [own, wanted] = [await stat(path), await stat(original).catch(absent)];
  if (wanted === undefined) return;
  if (own.uid !== wanted.uid || own.gid !== wanted.gid) await chown(path, wanted.uid, wanted.gid);
  if (own.mode !== wanted.mode) await chmod(path, wanted.mode & 0o7777);
}

function absent(error: unknown): undefined {
  if (systemCode(error) === "ENOENT") return undefined;
  throw error;
}

/** Overwrites a file without making it anew; what it held is put back if that fails. */
async function overwrite(path: string, content: Uint8Array): Promise<void> {
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
    await file.write(bytes, 0, bytes.length, 0);
    // Shortened last: its old blocks are there to write into, even on a full disk.
    await file.truncate(bytes.length);
    await file.sync();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function explain<T>(action: string, path: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    const hints: Readonly<Record<string, string>> = {
      ENOENT: `is there a folder ${dirname(path)}? --output-file names another place`,
      EACCES: "run the gateway as a user that may write there, or name another --output-file",
      EROFS: "that file system is read-only: name another --output-file",
      ENOSPC: "the disk is full: what is served goes on; it is tried again",
    };
    throw new GatewayError("config", `Cannot ${action} "${path}": ${errorMessage(error)}`, {
      hint: hints[systemCode(error)],
      cause: error,
    });
  }
}
