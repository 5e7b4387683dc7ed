// Reads files of this machine that labels name. A container's author writes the labels, and the gateway
// may read everything: so it reads only below the folders that its operator has named.

import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  statSync,
} from "node:fs";
import { fileProblem, GatewayError } from "../lib/errors.ts";
import type { LabelFile } from "../model.ts";
import type { ReadLabelFile } from "../routing/settings/files.ts";

/** A file as it was read. */
interface Reading {
  /** Differs once the file does. */
  readonly stamp: string;
  readonly file: LabelFile;
}

/** Makes sure that folders are there. @throws GatewayError `usage` if one is not */
export function requireFolders(folders: readonly string[]): void {
  for (const folder of folders) {
    if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) continue;
    throw new GatewayError(
      "usage",
      `Cannot use --label-files "${folder}": there is no such folder`,
      {
        hint: "make it first, or name another one",
      },
    );
  }
}

/** The files that labels name, each read again once it has changed. */
export class LabelFiles {
  readonly #known = new Map<string, Reading>();
  /** Those that were asked for since the last `begin`, with the largest size of each. */
  readonly #used = new Map<string, number>();

  /** @param folders where files may be; none: no file is read */
  constructor(private readonly folders: readonly string[]) {}

  /** Whether any file is in use. */
  get areUsed(): boolean {
    return this.#used.size > 0;
  }

  /** Forgets which files are in use. */
  begin(): void {
    for (const path of this.#known.keys()) if (!this.#used.has(path)) this.#known.delete(path);
    this.#used.clear();
  }

  /** Whether a file in use is another one than when it was read. */
  haveChanged(): boolean {
    return [...this.#used].some(
      ([path, most]) => this.#known.get(path)?.file !== this.#look(path, most),
    );
  }

  /** Reads a file, if it is another one than before. */
  readonly read: ReadLabelFile = (path, most) => {
    this.#used.set(path, most);
    return this.#look(path, most);
  };

  /** The file as it is now: the same object if it is the same. */
  #look(path: string, most: number): LabelFile {
    const known = this.#known.get(path);
    const { stamp, file } = this.#open(path, most, known);
    if (known?.stamp === stamp) return known.file;
    this.#known.set(path, { stamp, file });
    return file;
  }

  #open(path: string, most: number, known: Reading | undefined): Reading {
    if (this.folders.length === 0) {
      return failed("no --label-files names the folder of files that labels may name");
    }
    try {
      // Not even opened, as opening a device may do something.
      if (!this.#isBelow(realpathSync(path))) return failed(this.#outside());
      // A pipe must not hold up the loop.
      const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
      try {
        // Somebody may have put a symbolic link there meanwhile: this is the file that was opened.
        if (!this.#isBelow(readlinkSync(`/proc/self/fd/${fd}`))) return failed(this.#outside());
        const stat = fstatSync(fd, { bigint: true });
        const { dev, ino, size, mtimeNs, ctimeNs } = stat;
        if (!stat.isFile()) return failed("it is no file");
        if (size > most) return failed(`it is larger than ${most} bytes`);
        const stamp = [dev, ino, size, mtimeNs, ctimeNs, most].join(" ");
        if (known?.stamp === stamp) return known;
        const bytes = readFileSync(fd);
        // It may have grown.
        if (bytes.length > most) return failed(`it is larger than ${most} bytes`);
        return { stamp, file: toText(bytes) };
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      return failed(fileProblem(error));
    }
  }

  #isBelow(path: string): boolean {
    return this.folders.some((folder) => {
      try {
        const real = realpathSync(folder);
        return path.startsWith(real.endsWith("/") ? real : `${real}/`);
      } catch {
        // A folder that is not there has no files.
        return false;
      }
    });
  }

  #outside(): string {
    return `it is not below ${this.folders.join(" or ")}, where --label-files lets files be`;
  }
}

function failed(problem: string): Reading {
  return { stamp: problem, file: { problem } };
}

function toText(bytes: Uint8Array): LabelFile {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes) };
  } catch (error) {
    if (error instanceof TypeError) return { problem: "it is no text in UTF-8" };
    throw error;
  }
}
