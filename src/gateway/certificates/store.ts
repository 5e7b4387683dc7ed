// Keeps certificates with their keys in files of HAProxy's own. Each file is written once and never changed:
// its name has a hash of what is in it. So HAProxy never finds half of one, and the files before a change
// are still there if it has to be rolled back.

import { readdirSync, readFileSync, statSync, utimesSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { systemCode } from "../../lib/errors.ts";
import { digestOf } from "../../lib/digest.ts";

/** Nobody but the gateway, and HAProxy as root, may look into it. */
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
/** A file that is out of use stays so long, in milliseconds: somebody may want to go back to it. */
const KEPT_FOR = 24 * 3_600_000;

export class CertificateStore {
  /** The files that are known to be there. */
  readonly #written = new Set<string>();

  constructor(readonly folder: string) {}

  /**
   * The path of the file with a certificate.
   * @param source where it comes from
   * @param pem the certificate and its key
   */
  pathOf(source: string, pem: string): string {
    return join(this.folder, `${stemOf(source)}.${digestOf(pem).replaceAll(/[-_]/g, "0")}.pem`);
  }

  /** Writes certificates that are not there yet, by path. @throws an error of the system */
  async write(texts: ReadonlyMap<string, string>): Promise<void> {
    const missing = [...texts].filter(([path, text]) => !this.#has(path, text));
    if (missing.length === 0) return;
    await mkdir(this.folder, { recursive: true, mode: FOLDER_MODE });
    await Promise.all(missing.map(([path, text]) => writeOnce(path, text)));
    const folder = await open(this.folder);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
    for (const [path] of missing) this.#written.add(path);
  }

  #has(path: string, text: string): boolean {
    if (this.#written.has(path) && statSync(path, { throwIfNoEntry: false }) !== undefined) {
      return true;
    }
    try {
      if (readFileSync(path, "utf8") !== text) return false;
      this.#written.add(path);
      return true;
    } catch (error) {
      if (["ENOENT", "ENOTDIR"].includes(systemCode(error))) return false;
      throw error;
    }
  }

  /** The paths of the certificates that were kept of a source, the newest first. */
  former(source: string): string[] {
    const start = `${stemOf(source)}.`;
    return this.#names()
      .filter((name) => name.startsWith(start) && !name.slice(start.length, -4).includes("."))
      .map((name) => join(this.folder, name))
      .toSorted((a, b) => mtimeOf(b) - mtimeOf(a));
  }

  /** Notes which files are in use, and removes others that have been out of use for long. */
  async tidy(used: ReadonlySet<string>, now: number): Promise<void> {
    for (const name of this.#names()) {
      const path = join(this.folder, name);
      if (used.has(path)) utimesSync(path, now / 1000, now / 1000);
      else if (now - mtimeOf(path) > KEPT_FOR) {
        await rm(path, { force: true });
        this.#written.delete(path);
      }
    }
  }

  #names(): string[] {
    try {
      return readdirSync(this.folder);
    } catch (error) {
      // It is not there yet, or a command may not look into it.
      if (systemCode(error) !== "") return [];
      throw error;
    }
  }
}

function mtimeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** What the name of a file begins with: that of its source, and a hash of the folder that it is in. */
function stemOf(source: string): string {
  const name = basename(source).replace(/\.[^.]*$/, "");
  // Certbot's are all called alike, and their folders are called as the hosts are.
  const own = ["fullchain", "cert"].includes(name) ? basename(dirname(source)) : name;
  const readable = own.replaceAll(/[^A-Za-z0-9_-]/g, "_").slice(0, 100);
  return `${readable}-${digestOf(source).slice(0, 6).replaceAll(/[-_]/g, "0")}`;
}

async function writeOnce(path: string, text: string): Promise<void> {
  const part = `${path}.new`;
  try {
    const file = await open(part, "w", FILE_MODE);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true }).catch(() => undefined);
    throw error;
  }
}
