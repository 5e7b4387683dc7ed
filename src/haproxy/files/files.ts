// The configuration and its map files on disk: replaced whole, with a way back.

import { readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorMessage, GatewayError, systemCode } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { Asset, AssetKind, Files } from "../../model.ts";
import {
  keepAs,
  overwrite,
  PUBLIC_MODE,
  readIfThere,
  readStart,
  realPath,
  statIfThere,
  syncDirectory,
  writeDurably,
} from "./disk.ts";

/** A new configuration beside the old one, ready to be checked. */
interface Candidate {
  /** A configuration that reads the candidate's own map files. */
  readonly checkPath: string;
}

/** A file that somebody else changed, and where what he wrote is kept. */
interface Edited {
  readonly path: string;
  readonly kept: string | undefined;
}

/** What the way back needs: written before anything is replaced. */
interface Journal {
  readonly replaced: readonly { readonly path: string; readonly existed: boolean }[];
}

const BACKUP_SUFFIX = "before-docker-api-gateway";
const EDITED_SUFFIX = "edited";

/** The mode that a new file of each kind is made with. */
const MODES: Readonly<Record<AssetKind, number>> = { map: PUBLIC_MODE };

/** So many bytes hold the line by which the gateway knows its own configuration. */
const FIRST_LINE = 200;

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

  /**
   * What is on disk; undefined where there is no configuration.
   * @param like the files that it may name, by path
   */
  async read(like: Files["assets"] = {}): Promise<Files | undefined> {
    const config = await readIfThere(this.output);
    if (config === undefined) return undefined;
    const assets: Record<string, Asset> = {};
    for (const [path, { kind }] of Object.entries(like)) {
      const text = await readIfThere(path);
      if (text !== undefined) assets[path] = { kind, text };
    }
    return { config, assets };
  }

  /**
   * Keeps copies of the files that somebody else changed.
   * @param written what should be on disk
   * @returns what was changed, and where it is kept; undefined for a file that is gone
   * @throws GatewayError `config`
   */
  async keepEdited({ config, assets }: Files): Promise<readonly Edited[]> {
    const named = Object.entries(assets).map(([path, { text }]) => [path, text] as const);
    return explain("keep", this.output, async () => {
      const edited: Edited[] = [];
      for (const [path, text] of [[this.output, config] as const, ...named]) {
        const found = await readIfThere(path);
        if (found === text) continue;
        const kept = found === undefined ? undefined : await keepCopy(path, EDITED_SUFFIX);
        edited.push({ path, kept: kept?.kept });
      }
      return edited;
    });
  }

  /** Whether an earlier run ended between replacing the files and HAProxy's word that it runs them. */
  async isUnconfirmed(): Promise<boolean> {
    return (await readIfThere(this.#journalPath)) !== undefined;
  }

  /** When the configuration was last written, in milliseconds since 1970; 0 without one. */
  async lastWritten(): Promise<number> {
    return (await statIfThere(this.output))?.mtimeMs ?? 0;
  }

  /**
   * Writes new files beside the old ones.
   * @throws GatewayError `config` where they cannot be written; nothing has changed then
   */
  async stage(files: Files): Promise<Candidate> {
    return explain("write", this.output, async () => {
      let checked = files.config;
      for (const [path, { kind, text }] of Object.entries(files.assets)) {
        const staged = sibling(await realPath(path), "new");
        await writeDurably(staged, text, path, "w", MODES[kind]);
        checked = checked.replaceAll(path, staged);
      }
      await writeDurably(sibling(await realPath(this.output), "new"), files.config, this.output);
      const checkPath = sibling(this.output, "check");
      await writeDurably(checkPath, checked, this.output);
      return { checkPath };
    });
  }

  /** Removes what `stage` wrote; what cannot be removed is overwritten next time. */
  async discard(files: Files): Promise<void> {
    for (const path of [this.output, ...Object.keys(files.assets)]) {
      await removeIfPossible(sibling(await realPath(path), "new"));
    }
    await removeIfPossible(sibling(this.output, "check"));
  }

  /**
   * Puts the staged files in place. The map files go first: a configuration never lacks its map.
   * @throws GatewayError `config`; the old files are in place then
   */
  async replace(files: Files): Promise<void> {
    await explain("replace", this.output, async () => {
      // Where an earlier way back did not come to its end, its files are still the last good ones.
      await this.putBack();
      const paths: string[] = [];
      for (const path of [...Object.keys(files.assets), this.output]) {
        paths.push(await realPath(path));
      }
      await this.#keepForeign();
      await this.#writeWayBack(paths);
      try {
        for (const path of paths) await this.#moveInPlace(path, sibling(path, "new"));
        for (const folder of new Set(paths.map(dirname))) await syncDirectory(folder);
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
      const failures: unknown[] = [];
      for (const { path, existed } of parseJournal(text).replaced.toReversed()) {
        const task = existed ? this.#restore(path) : rm(path, { force: true });
        // One that cannot be put back must not keep the others from it.
        await task.catch((error: unknown) => failures.push(error));
      }
      if (failures.length > 0) throw failures[0];
      await this.confirm();
    });
  }

  /** Notes that what is in place is what HAProxy runs: there is nothing to put back. */
  async confirm(): Promise<void> {
    await rm(this.#journalPath, { force: true });
  }

  async #restore(path: string): Promise<void> {
    const lastGood = sibling(path, "last-good");
    // It was moved already by a way back that did not come to its end.
    if (!(await statIfThere(lastGood))) return;
    if (await sameContent(path, lastGood)) await rm(lastGood);
    // Moved, not copied: that works on a full disk too.
    else await this.#moveInPlace(path, lastGood);
  }

  get #journalPath(): string {
    return sibling(this.output, "unconfirmed");
  }

  /** Keeps a configuration that is not ours under another name, once. */
  async #keepForeign(): Promise<void> {
    const start = await readStart(this.output, FIRST_LINE);
    if (start === undefined || this.isOwn(start)) return;
    const { kept, isNew } = await keepCopy(this.output, BACKUP_SUFFIX);
    if (isNew) this.log.info(`kept the former ${this.output} as ${kept}`);
  }

  async #writeWayBack(paths: readonly string[]): Promise<void> {
    const replaced: { path: string; existed: boolean }[] = [];
    for (const path of paths) {
      const existed = (await statIfThere(path)) !== undefined;
      if (existed) await keepAs(path, sibling(path, "last-good"));
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

/**
 * Keeps a copy of a file beside it, under a name that nothing else has.
 * @returns the copy's path, and whether there was none like it before
 */
async function keepCopy(
  path: string,
  suffix: string,
): Promise<{ readonly kept: string; readonly isNew: boolean }> {
  const content = await readFile(path);
  for (let count = 0; ; count++) {
    const kept = `${path}.${suffix}${count === 0 ? "" : `.${count}`}`;
    try {
      await writeDurably(kept, content, path, "wx");
      return { kept, isNew: true };
    } catch (error) {
      if (systemCode(error) !== "EEXIST") throw error;
      if (content.equals(await readFile(kept))) return { kept, isNew: false };
    }
  }
}

/** `/etc/haproxy/.haproxy.cfg.new`: hidden, so that a folder of configurations does not load it. */
function sibling(path: string, suffix: string): string {
  return join(dirname(path), `.${basename(path)}.${suffix}`);
}

async function removeIfPossible(path: string): Promise<void> {
  await rm(path, { force: true }).catch(() => undefined);
}

async function sameContent(path: string, other: string): Promise<boolean> {
  if (!(await statIfThere(path))) return false;
  return (await readFile(path)).equals(await readFile(other));
}

/** A journal that is not whole was being written when the gateway ended: nothing was replaced yet. */
function parseJournal(text: string): Journal {
  try {
    return JSON.parse(text) as Journal;
  } catch {
    return { replaced: [] };
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
      EPERM: "run the gateway as the owner of the file, or name another --output-file",
      EROFS: "that file system is read-only: name another --output-file",
      ENOSPC: "the disk is full: what is served goes on; it is tried again",
    };
    throw new GatewayError("config", `Cannot ${action} "${path}": ${errorMessage(error)}`, {
      hint: hints[systemCode(error)],
      cause: error,
    });
  }
}
