// The template in use: a built-in one, or the user's own file, which is read again when it changes.

import { readFileSync, statSync } from "node:fs";
import { fileProblem, GatewayError } from "../lib/errors.ts";
import { PARTIALS, TEMPLATES, type TemplateName } from "../template/built-in.ts";
import { compileTemplate, type Template } from "../template/compile.ts";

/** A template that may change while the gateway runs. */
export interface TemplateSlot {
  /** The versions to try: the newest that compiles, then the last that HAProxy took if it differs. */
  candidates(): readonly Template[];
  /** Notes that HAProxy took the files of a version. Older versions are forgotten. */
  accepted(template: Template): void;
  /** Notes that HAProxy refused the files of a version. Returns whether there is an older one. */
  refused(template: Template): boolean;
  /**
   * Reads the file again if it changed. An error is thrown only once, until the file changes again.
   * @throws GatewayError `template` if it cannot be read or parsed
   */
  refresh(): void;
}

/** Opens a built-in template, or the user's own file. @throws GatewayError `template` */
export function openTemplate(name: TemplateName, file: string | undefined): TemplateSlot {
  if (file !== undefined) return new TemplateFile(file);
  const template = compileTemplate({ name, text: TEMPLATES[name] }, PARTIALS);
  return {
    candidates: () => [template],
    accepted: () => undefined,
    refused: () => false,
    refresh: () => undefined,
  };
}

/** How long an empty file counts as being written, in ms: a shell empties a file before it writes. */
const WRITING_TIME = 1_000;

class TemplateFile implements TemplateSlot {
  /** Identifies the version that was read last; or the error if it could not be read. */
  #stamp = "";
  #newest: Template | undefined;
  /** The last version whose files HAProxy took. */
  #accepted: Template | undefined;

  constructor(private readonly file: string) {
    this.refresh();
  }

  candidates(): readonly Template[] {
    const all = [this.#newest, this.#accepted].filter((template) => template !== undefined);
    return [...new Set(all)];
  }

  accepted(template: Template): void {
    this.#accepted = template;
  }

  refused(template: Template): boolean {
    if (this.#accepted === undefined || this.#accepted === template) return false;
    if (this.#newest === template) this.#newest = undefined;
    return true;
  }

  refresh(): void {
    const { stamp, text, age } = this.#read();
    const isBeingWritten = text === "" && this.#newest !== undefined && age < WRITING_TIME;
    if (text === undefined || isBeingWritten) return;
    // Set before compiling: a broken version throws once, not at every pass.
    this.#stamp = stamp;
    this.#newest = compileTemplate({ name: this.file, text, isOwn: true }, PARTIALS);
  }

  /** Reads the text; undefined if it is the same version as last time. Its age is in milliseconds. */
  #read(): { stamp: string; text: string | undefined; age: number } {
    try {
      const { mtimeMs, size, ino } = statSync(this.file);
      const stamp = `${mtimeMs} ${size} ${ino}`;
      const age = Date.now() - mtimeMs;
      if (stamp === this.#stamp) return { stamp, text: undefined, age };
      return { stamp, text: readFileSync(this.file, "utf8"), age };
    } catch (error) {
      const stamp = fileProblem(error);
      if (stamp === this.#stamp) return { stamp, text: undefined, age: 0 };
      this.#stamp = stamp;
      throw new GatewayError("template", `Cannot read template "${this.file}": ${stamp}`, {
        hint: "leave --template-file out for the built-in one",
        cause: error,
      });
    }
  }
}
