// The file of HAProxy's program. An upgrade of the system replaces it while HAProxy runs the old one.

import { statSync } from "node:fs";
import type { Logger } from "../../lib/log.ts";

export class ProgramFile {
  /** When the file was replaced that HAProxy was already told to run, in milliseconds since 1970. */
  #taken = 0;

  /**
   * @param program its name, or its path
   * @param replaced called before HAProxy is told to run another one
   */
  constructor(
    private readonly program: string,
    private readonly replaced: () => Promise<void>,
    private readonly log: Logger,
  ) {}

  /**
   * Why HAProxy must be reloaded to run this program; undefined if it does. A master that reloads
   * executes itself again by the path that it was started with. So it takes the file that is there.
   * Source: `mworker_reexec` in HAProxy's src/mworker.c.
   * @param lastRead when HAProxy was last started or reloaded, in milliseconds since 1970
   */
  async whyReload(lastRead: number | undefined): Promise<string | undefined> {
    const path = Bun.which(this.program);
    const file = path === null ? undefined : statSync(path, { throwIfNoEntry: false });
    if (file === undefined || lastRead === undefined) return undefined;
    // Also a rename into place counts: inode(7), ctime. Each replacement is tried once.
    if (file.ctimeMs <= lastRead || file.ctimeMs === this.#taken) return undefined;
    this.#taken = file.ctimeMs;
    try {
      await this.replaced();
      return `${path} was replaced`;
    } catch (error) {
      this.log.failure(error, "HAProxy goes on with the program before it");
      return undefined;
    }
  }
}
