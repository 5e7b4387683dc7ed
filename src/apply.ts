// Carries out a plan: proves the new files, puts them in place, makes HAProxy read them, or not.

import type { Logger } from "./log.ts";
import { checkConfig } from "./haproxy/check.ts";
import type { ConfigFiles } from "./haproxy/files.ts";
import type { Haproxy } from "./haproxy/reload.ts";
import { saveServerStates } from "./haproxy/states.ts";
import { statsSocket } from "./haproxy-config.ts";
import type { Files } from "./model.ts";
import type { Applied } from "./plan.ts";
import { isOwnConfig } from "./render.ts";
import { errorMessage, GatewayError } from "./errors.ts";

export class Applier {
  #applied: Applied = { unknown: "there is no configuration of the gateway's yet" };

  constructor(
    private readonly files: ConfigFiles,
    private readonly haproxy: Haproxy,
    private readonly program: string,
    private readonly log: Logger,
  ) {}

  /** What HAProxy runs. */
  get applied(): Applied {
    return this.#applied;
  }

  /** Finds out what HAProxy runs from what an earlier gateway left. Once, before the first plan. */
  async recover(mapPaths: readonly string[]): Promise<void> {
    if (await this.files.isUnconfirmed()) {
      this.log.warn(
        "an earlier gateway ended before HAProxy confirmed its last change: the files before it " +
          "are put back, and it is made again",
      );
      await this.files.putBack();
      this.#applied = { unknown: "HAProxy never confirmed the last change" };
      return;
    }
    const onDisk = await this.files.read(mapPaths);
    if (onDisk === undefined || !isOwnConfig(onDisk.config)) return;
    const [lastRead, lastWritten] = [await this.haproxy.lastRead(), await this.files.lastWritten()];
    // Where HAProxy cannot be asked, it is taken to run what is on disk, as confirmed back then.
    this.#applied =
      lastRead === undefined || lastRead >= lastWritten
        ? { files: onDisk }
        : { unknown: "HAProxy started before its configuration was last written" };
  }

  /**
   * Makes HAProxy run the desired files.
   * @throws GatewayError; HAProxy goes on with what it had, and that is on disk
   */
  async reload(desired: Files): Promise<void> {
    try {
      const { checkPath } = await this.files.stage(desired);
      await checkConfig(this.program, checkPath, this.files.output);
      await this.files.replace(desired);
    } finally {
      await this.files.discard(desired);
    }
    try {
      await this.#saveStates(desired);
      await this.haproxy.reload();
    } catch (error) {
      // It may have taken the new files and failed to say so: only the next reload will tell.
      this.#applied = { unknown: "the last reload failed" };
      await this.files.putBack();
      throw error;
    }
    await this.files.confirm();
    this.#applied = { files: desired };
  }

  /** Without the states a reload still works; servers are then only found down by their checks. */
  async #saveStates(desired: Files): Promise<void> {
    const socket = statsSocket(("files" in this.#applied ? this.#applied.files : desired).config);
    try {
      await saveServerStates(desired.config, socket);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      this.log.debug(`the states of the servers are not kept: ${errorMessage(error)}`);
      await saveServerStates(desired.config, undefined);
    }
  }
}
