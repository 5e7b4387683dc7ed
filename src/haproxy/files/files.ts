// The configuration and the files that it names, on disk. They are replaced as a whole, and a rollback
// is prepared first.

import { readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorMessage, GatewayError, systemCode } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { OWN_KINDS, type Asset, type AssetKind, type Files } from "../../model.ts";
import {
  keepAs,
  overwrite,
  PRIVATE_MODE,
  PUBLIC_MODE,
  readIfThere,
  readStart,
  realPath,
  statIfThere,
  syncDirectory,
  writeDurably,
} from "../../lib/disk.ts";

/** New files beside the old ones, ready to be checked. */
interface Candidate {
  /** The path of a configuration that names the new files. */
  readonly checkPath: string;
}

/** A file that somebody else changed, and the copy that was kept of it. */
interface Edited {
  readonly path: string;
  readonly kept: string | undefined;
}

/** What a rollback needs. It is written before anything is replaced. */
interface Journal {
  readonly replaced: readonly { readonly path: string; readonly existed: boolean }[];
}

const BACKUP_SUFFIX = "before-docker-api-gateway";
const EDITED_SUFFIX = "edited";

/** The mode of a new file of each kind. A file that is there already keeps its own mode. */
const MODES: Readonly<Record<AssetKind, number>> = {
  map: PUBLIC_MODE,
  script: PUBLIC_MODE,
  file: PUBLIC_MODE,
  crtlist: PUBLIC_MODE,
  certificate: PRIVATE_MODE,
  ticketkeys: PRIVATE_MODE,
  ca: PUBLIC_MODE,
  crl: PUBLIC_MODE,
  owners: PUBLIC_MODE,
  // Labels may have what is nobody else's to read.
  containers: PRIVATE_MODE,
};

/** So many bytes hold the first line, which marks the gateway's own configuration. */
const FIRST_LINE = 200;

/** The path of the file that says who is behind the servers of this configuration. */
export function ownersPathOf(output: string): string {
  return beside(output, "owners");
}

/** The path of the file that says what the Engines told of the containers behind them. */
export function containersPathOf(output: string): string {
  return beside(output, "containers");
}

/** The files that HAProxy reads. */
export class ConfigFiles {
  readonly #warned = new Set<string>();

  /**
   * @param output the configuration's path
   * @param isOwn whether the gateway wrote this text of a configuration
   */
  constructor(
    readonly output: string,
    private readonly isOwn: (config: string) => boolean,
    private readonly log: Logger,
  ) {}

  /** The path of a file that the configuration names, such as `routes.map`. It stands beside it. */
  readonly pathOf = (file: string): string => beside(this.output, file);

  /** The path of the file that says which container is behind each server. */
  get ownersPath(): string {
    return ownersPathOf(this.output);
  }

  /** The path of the file that says what the Engines told of these containers. */
  get containersPath(): string {
    return containersPathOf(this.output);
  }

  /**
   * What is on disk; undefined if there is no configuration.
   * @param like the files to read besides, by path
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
   * @returns the changed files with their copies; a file that is gone has no copy
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

  /** Whether the files were replaced and HAProxy has not yet confirmed that it runs them. */
  async isUnconfirmed(): Promise<boolean> {
    return (await readIfThere(this.#journalPath)) !== undefined;
  }

  /** When the configuration was last written, in milliseconds since 1970; 0 without one. */
  async lastWritten(): Promise<number> {
    return (await statIfThere(this.output))?.mtimeMs ?? 0;
  }

  /**
   * Writes new files beside the old ones.
   * @throws GatewayError `config` if they cannot be written; nothing has changed then
   */
  async stage(files: Files): Promise<Candidate> {
    return explain("write", this.output, async () => {
      const staged = new Map<string, string>();
      for (const [path, { kind, text }] of Object.entries(files.assets)) {
        const to = sibling(await realPath(path), "new");
        await writeDurably(to, text, path, "w", MODES[kind]);
        // HAProxy does not read that one.
        if (!OWN_KINDS.includes(kind)) staged.set(path, to);
      }
      const moved = (text: string): string =>
        [...staged].reduce((all, [path, to]) => all.replaceAll(path, to), text);
      // A list of certificates names files, too.
      for (const [path, { kind, text }] of Object.entries(files.assets)) {
        if (kind !== "crtlist") continue;
        const checkPath = sibling(path, "check");
        await writeDurably(checkPath, moved(text), path);
        staged.set(path, checkPath);
      }
      const checked = moved(files.config);
      await writeDurably(sibling(await realPath(this.output), "new"), files.config, this.output);
      const checkPath = sibling(this.output, "check");
      await writeDurably(checkPath, checked, this.output);
      return { checkPath };
    });
  }

  /** Removes what `stage` wrote. What cannot be removed is overwritten next time. */
  async discard(files: Files): Promise<void> {
    for (const path of [this.output, ...Object.keys(files.assets)]) {
      await removeIfPossible(sibling(await realPath(path), "new"));
      if (files.assets[path]?.kind === "crtlist") await removeIfPossible(sibling(path, "check"));
    }
    await removeIfPossible(sibling(this.output, "check"));
  }

  /**
   * Puts the staged files in place. The configuration comes last, so that it never lacks its files.
   * @throws GatewayError `config`; the old files are in place then
   */
  async replace(files: Files): Promise<void> {
    await explain("replace", this.output, async () => {
      // If an earlier rollback was interrupted, its files are still the last good ones.
      await this.rollBack();
      const paths: string[] = [];
      for (const path of [...Object.keys(files.assets), this.output]) {
        paths.push(await realPath(path));
      }
      await this.#keepForeign();
      await this.#prepareRollback(paths);
      try {
        for (const path of paths) await this.#moveInPlace(path, sibling(path, "new"));
        for (const folder of new Set(paths.map(dirname))) await syncDirectory(folder);
      } catch (error) {
        await this.rollBack();
        throw error;
      }
    });
  }

  /** Puts the files back that `replace` replaced. */
  async rollBack(): Promise<void> {
    await explain("put back", this.output, async () => {
      const text = await readIfThere(this.#journalPath);
      if (text === undefined) return;
      const failures: unknown[] = [];
      for (const { path, existed } of parseJournal(text).replaced.toReversed()) {
        const task = existed ? this.#restore(path) : rm(path, { force: true });
        // If one file cannot be put back, the others still are.
        await task.catch((error: unknown) => failures.push(error));
      }
      if (failures.length > 0) throw failures[0];
      await this.confirm();
    });
  }

  /** Notes that HAProxy runs the files in place. There is nothing to roll back any more. */
  async confirm(): Promise<void> {
    await rm(this.#journalPath, { force: true });
  }

  async #restore(path: string): Promise<void> {
    const lastGood = sibling(path, "last-good");
    // An interrupted rollback has moved it already.
    if (!(await statIfThere(lastGood))) return;
    if (await sameContent(path, lastGood)) await rm(lastGood);
    // A move works on a full disk too.
    else await this.#moveInPlace(path, lastGood);
  }

  get #journalPath(): string {
    return sibling(this.output, "unconfirmed");
  }

  /** Keeps a copy of a configuration that is not the gateway's, once. */
  async #keepForeign(): Promise<void> {
    const start = await readStart(this.output, FIRST_LINE);
    if (start === undefined || this.isOwn(start)) return;
    const { kept, isNew } = await keepCopy(this.output, BACKUP_SUFFIX);
    if (isNew) this.log.info(`kept the former ${this.output} as ${kept}`);
  }

  async #prepareRollback(paths: readonly string[]): Promise<void> {
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
      // A file that is mounted into a container on its own cannot be replaced by a rename.
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
 * Keeps a copy of a file beside it, under a new name.
 * @returns the copy's path, and whether it is new: an equal copy is kept only once
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

/** `/etc/haproxy/haproxy.routes.map` for `/etc/haproxy/haproxy.cfg` and `routes.map`. */
export function beside(output: string, ending: string): string {
  const stem = basename(output).replace(/\.cfg$/, "");
  return join(dirname(output), `${stem}.${ending}`);
}

async function removeIfPossible(path: string): Promise<void> {
  await rm(path, { force: true }).catch(() => undefined);
}

async function sameContent(path: string, other: string): Promise<boolean> {
  if (!(await statIfThere(path))) return false;
  return (await readFile(path)).equals(await readFile(other));
}

/** An incomplete journal was being written when the gateway ended, so nothing was replaced yet. */
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
