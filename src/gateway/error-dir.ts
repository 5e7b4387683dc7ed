// The folder of --error-dir: pages for the gateway's own errors. One that is of no use when the gateway
// starts is refused. Later, the pages before it are used on.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { errorMessage, GatewayError, systemCode } from "../lib/errors.ts";
import { LARGEST_PAGE } from "../lib/pages.ts";
import {
  ERROR_STATUSES,
  parseErrorPage,
  statusOfFile,
  type ErrorPage,
} from "../template/error-pages.ts";

/** The pages, and what is wrong with those that are there now. */
export interface ErrorPages {
  /** The same list as long as they are the same. */
  readonly pages: readonly ErrorPage[];
  readonly warnings: readonly string[];
}

const KNOWN = `there are pages for ${ERROR_STATUSES.join(", ")}, such as 503.html or 503.http`;

/** A folder of pages, which may change. */
export class ErrorDir {
  #stamp = "";
  #last: ErrorPages = { pages: [], warnings: [] };

  /**
   * @param folder undefined: there are no pages
   * @throws GatewayError `usage` if the folder or one of its pages is of no use
   */
  constructor(private readonly folder: string | undefined) {
    if (folder === undefined) return;
    try {
      this.#stamp = stampOf(folder);
      this.#last = { pages: readPages(folder), warnings: [] };
    } catch (error) {
      throw new GatewayError("usage", `Cannot use --error-dir "${folder}": ${reasonOf(error)}`, {
        hint: KNOWN,
        cause: error,
      });
    }
  }

  /** Whether there is a folder. */
  get isUsed(): boolean {
    return this.folder !== undefined;
  }

  /** Whether the folder is another one than when it was read. */
  hasChanged(): boolean {
    return this.folder !== undefined && this.#stamp !== stampOrProblem(this.folder);
  }

  /** Reads the pages, if they are others than before. What is of no use changes nothing, with a warning. */
  read(): ErrorPages {
    if (this.folder === undefined || !this.hasChanged()) return this.#last;
    const { folder } = this;
    this.#stamp = stampOrProblem(folder);
    try {
      this.#last = { pages: readPages(folder), warnings: [] };
    } catch (error) {
      const warning = `--error-dir "${folder}": ${reasonOf(error)}; the pages before it are used on`;
      this.#last = { ...this.#last, warnings: [warning] };
    }
    return this.#last;
  }
}

/** Reads all pages of a folder. @throws TypeError that names a file, or an error of the system */
function readPages(folder: string): ErrorPage[] {
  const pages = new Map<string, ErrorPage>();
  for (const name of namesIn(folder)) {
    const page = parseErrorPage(name, readPage(join(folder, name), name));
    if (typeof page === "string") throw new TypeError(`${name}: ${page}`);
    if (pages.has(page.status)) {
      throw new TypeError(`${name}: there is ${page.status}.html, too, and only one can be used`);
    }
    pages.set(page.status, page);
  }
  return [...pages.values()];
}

/** The files with pages. Others are somebody else's business. */
function namesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => statusOfFile(name) !== undefined)
    .toSorted();
}

function readPage(path: string, name: string): string {
  const stat = statSync(path);
  if (!stat.isFile()) throw new TypeError(`${name}: it is no file`);
  // Not even read. What is large for a page is told by bytes of its body.
  if (stat.size > 2 * LARGEST_PAGE) {
    throw new TypeError(`${name}: it is larger than ${LARGEST_PAGE} bytes`);
  }
  const bytes = readFileSync(path);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new TypeError(`${name}: it is no text in UTF-8`, { cause: error });
  }
}

/** Differs once a page does. @throws an error of the system */
function stampOf(folder: string): string {
  return namesIn(folder)
    .map((name) => {
      const { ino, size, mtimeNs, ctimeNs } = statSync(join(folder, name), { bigint: true });
      return [name, ino, size, mtimeNs, ctimeNs].join(" ");
    })
    .join("\n");
}

function stampOrProblem(folder: string): string {
  try {
    return stampOf(folder);
  } catch (error) {
    return reasonOf(error);
  }
}

function reasonOf(error: unknown): string {
  const code = systemCode(error);
  if (code === "ENOENT" || code === "ENOTDIR") return "there is no such folder";
  return errorMessage(error);
}
