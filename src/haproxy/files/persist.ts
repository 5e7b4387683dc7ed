// Writes the files: they are checked before they are replaced, and they follow what HAProxy runs.

import { pause } from "../../lib/async.ts";
import { checkConfig } from "../process/check.ts";
import type { ConfigFiles } from "./files.ts";
import type { Logger } from "../../lib/log.ts";
import type { Files } from "../../model.ts";

/**
 * After a change of the running HAProxy, the files are written so much later, in milliseconds. The
 * check of the files takes CPU time, which the first requests to a new container need more.
 */
const FOLLOW_AFTER = 50;
/**
 * The check of thousands of servers takes most of a second. Where changes never cease, the files are left alone for so
 * many times as long as they took, but no longer than that, in milliseconds.
 */
const REST_PER_WRITE = 4;
const LONGEST_REST = 5_000;

export class Persist {
  /** The files that were last written; undefined if that is not known. */
  #files: Files | undefined;
  /** The files that HAProxy runs already and that are not yet on disk. */
  #unwritten: Files | undefined;
  /** The warnings about files that somebody else changed, until the files are written again. */
  readonly #told = new Set<string>();
  #writing: Promise<void> = Promise.resolve();
  /** When the files are next written at the earliest, in milliseconds since 1970. */
  #notBefore = 0;
  /** Aborted if somebody waits for the files. */
  #hurry = new AbortController();

  /** @param program the HAProxy program, which checks configurations */
  constructor(
    private readonly onDisk: ConfigFiles,
    private readonly program: string,
    private readonly log: Logger,
  ) {}

  /** The files that were last written; undefined if that is not known. */
  get files(): Files | undefined {
    return this.#files;
  }

  /** The files that are on disk, or will be; undefined if that is not known. */
  get latest(): Files | undefined {
    return this.#unwritten ?? this.#files;
  }

  /** Notes that these files are on disk and that nothing else is to be written. */
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

  /** Writes the files that HAProxy runs, in the background. */
  follow(running: Files): void {
    this.#unwritten = running;
    this.#write();
  }

  /** Tries again to write what could not be written. */
  retry(): void {
    if (this.#unwritten !== undefined) this.#write();
  }

  /** Writes the files again if somebody else changed them, and what could not be written, in the background. */
  mend(): void {
    this.#writing = this.#writing.then(async () => {
      if (await this.isEdited()) this.#unwritten ??= this.#files;
    });
    this.#write();
  }

  /** Waits until everything is written. */
  async settle(): Promise<void> {
    this.#hurry.abort();
    await this.#writing;
    this.#hurry = new AbortController();
  }

  /**
   * Runs a task that replaces the files itself. Nothing else is written meanwhile: two that write at once
   * would take each other's new files away.
   * @throws what the task throws
   */
  alone<T>(task: () => Promise<T>): Promise<T> {
    this.#hurry.abort();
    const done = this.#writing.then(() => {
      this.#hurry = new AbortController();
      return task();
    });
    this.#writing = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }

  /**
   * Checks the files and replaces those on disk that are others. The caller confirms them.
   * @throws GatewayError `config` if HAProxy refuses them or they cannot be written
   */
  async replace(files: Files): Promise<void> {
    const isEdited = await this.isEdited();
    if (this.#files !== undefined && isEdited) {
      for (const { path, kept } of await this.onDisk.keepEdited(this.#files)) {
        const [what, note] =
          kept === undefined
            ? ["removed", ""]
            : ["changed", `, and what was there is kept as ${kept}`];
        this.#tell(`${path} was ${what} by somebody else: it is written again${note}`);
      }
    }
    // Of a dozen files one change changes two or three.
    const isKnown = !isEdited && !(await this.onDisk.isUnconfirmed());
    const changed = isKnown ? withoutSame(files, this.#files) : files;
    try {
      const { checkPath } = await this.onDisk.stage(changed);
      await checkConfig(this.program, checkPath, this.onDisk.output, files.config);
      await this.onDisk.replace(changed);
    } finally {
      await this.onDisk.discard(changed);
    }
  }

  /** Warns once, however often it tries to write the files. */
  #tell(line: string): void {
    if (!this.#told.has(line)) this.log.warn(line);
    this.#told.add(line);
  }

  /** Changes that come during a write are written together afterwards. */
  #write(): void {
    this.#writing = this.#writing.then(async () => {
      if (this.#unwritten === undefined) return;
      const rest = Math.max(FOLLOW_AFTER, this.#notBefore - Date.now());
      await pause(rest, this.#hurry.signal);
      const wanted = this.#unwritten;
      if (wanted === undefined) return;
      const begun = Date.now();
      try {
        await this.replace(wanted);
        await this.onDisk.confirm();
        this.#files = wanted;
        this.#told.clear();
        if (this.#unwritten === wanted) this.#unwritten = undefined;
      } catch (error) {
        this.log.failure(error, "HAProxy runs it; its files stay as they were for now");
      } finally {
        const ended = Date.now();
        this.#notBefore = ended + Math.min(REST_PER_WRITE * (ended - begun), LONGEST_REST);
      }
    });
  }
}

/** The configuration with those of its files that are not on disk yet. */
function withoutSame({ config, assets }: Files, onDisk: Files | undefined): Files {
  const others = Object.entries(assets).filter(
    // A list of certificates names files that may be new: it is checked with them.
    ([path, { kind, text }]) => kind === "crtlist" || onDisk?.assets[path]?.text !== text,
  );
  return { config, assets: Object.fromEntries(others) };
}
