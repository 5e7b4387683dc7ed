// What is on disk: checked, replaced whole, and following what HAProxy runs.

import { pause } from "../../lib/async.ts";
import { checkConfig } from "../process/check.ts";
import type { ConfigFiles } from "./files.ts";
import type { Logger } from "../../lib/log.ts";
import type { Files } from "../../model.ts";

/**
 * Files follow a change of the running HAProxy after so long, in milliseconds: what they cost is
 * not to be taken from the first requests to a container that has just started.
 */
const FOLLOW_AFTER = 50;

export class Persist {
  /** What was last put on disk; undefined where that is not known. */
  #files: Files | undefined;
  /** What HAProxy runs already and its files do not say yet. */
  #unwritten: Files | undefined;
  /** What was told of files that somebody else changed, until they are written again. */
  readonly #told = new Set<string>();
  #writing: Promise<void> = Promise.resolve();
  /** Aborted where somebody waits for the files. */
  #hurry = new AbortController();

  /** @param program the HAProxy program, which checks configurations */
  constructor(
    private readonly onDisk: ConfigFiles,
    private readonly program: string,
    private readonly log: Logger,
  ) {}

  /** What was last put on disk; undefined where that is not known. */
  get files(): Files | undefined {
    return this.#files;
  }

  /** Notes that this is what is on disk, and that nothing else is to be. */
  note(files: Files): void {
    this.#files = files;
    this.#unwritten = undefined;
    this.#told.clear();
  }

  /** Whether somebody else changed the files. */
  async isEdited(): Promise<boolean> {
    if (this.#files === undefined) return false;
    const { config, assets } = this.#files;
    const found = await this.onDisk.read(assets);
    return (
      found?.config !== config ||
      Object.entries(assets).some(([path, { text }]) => found.assets[path]?.text !== text)
    );
  }

  /** Has what HAProxy runs written in the background. */
  follow(running: Files): void {
    this.#unwritten = running;
    this.#write();
  }

  /** Tries again to write what could not be written. */
  retry(): void {
    if (this.#unwritten !== undefined) this.#write();
  }

  /** Writes again what was written last, or what is to be written. */
  restore(): void {
    this.#unwritten ??= this.#files;
    this.retry();
  }

  /** Waits until nothing is being written, nor to be. */
  async settle(): Promise<void> {
    this.#hurry.abort();
    await this.#writing;
    this.#hurry = new AbortController();
  }

  /**
   * Replaces the files on disk by proven ones; confirming them is left to the caller.
   * @throws GatewayError `config` where HAProxy refuses them or they cannot be written
   */
  async replace(files: Files): Promise<void> {
    if (this.#files !== undefined && (await this.isEdited())) {
      for (const { path, kept } of await this.onDisk.keepEdited(this.#files)) {
        const note = kept === undefined ? "" : `, and what was there is kept as ${kept}`;
        this.#tell(`${path} was changed by somebody else: it is written again${note}`);
      }
    }
    try {
      const { checkPath } = await this.onDisk.stage(files);
      await checkConfig(this.program, checkPath, this.onDisk.output, files.config);
      await this.onDisk.replace(files);
    } finally {
      await this.onDisk.discard(files);
    }
  }

  /** Once, however often it is tried to write them. */
  #tell(line: string): void {
    if (!this.#told.has(line)) this.log.warn(line);
    this.#told.add(line);
  }

  /** Changes that come meanwhile are written together. */
  #write(): void {
    this.#writing = this.#writing.then(async () => {
      if (this.#unwritten !== undefined) await pause(FOLLOW_AFTER, this.#hurry.signal);
      const wanted = this.#unwritten;
      if (wanted === undefined) return;
      try {
        await this.replace(wanted);
        await this.onDisk.confirm();
        this.#files = wanted;
        this.#told.clear();
        if (this.#unwritten === wanted) this.#unwritten = undefined;
      } catch (error) {
        this.log.failure(error, "HAProxy runs it; its files stay as they were for now");
      }
    });
  }
}
