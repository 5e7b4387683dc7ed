// The built-in templates, embedded, and the user's own, read again when it changes.

import { readFileSync, statSync } from "node:fs";
import { errorMessage, GatewayError } from "../lib/errors.ts";
import { PARTIALS, TEMPLATES, type TemplateName } from "../template/built-in.ts";
import { compileTemplate, type Template } from "../template/compile.ts";

/** A template that may change while the gateway runs. */
export interface TemplateSlot {
  /** The newest version that compiles, and the last one that HAProxy took where they differ. */
  candidates(): readonly Template[];
  /** Notes that HAProxy took what a version made: older ones are forgotten. */
  accepted(template: Template): void;
  /** Notes that HAProxy refused it. True where there is an older version to go on with. */
  refused(template: Template): boolean;
  /**
   * Reads the file again where it changed. What is wrong with it is thrown once, until it changes.
   * @throws GatewayError `template` for a file or a new version that cannot be read or parsed
   */
  refresh(): void;
}

/** The slot of a built-in template, or of the user's own. @throws GatewayError `template` */
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

/** A file that was emptied so lately is just being written, as a shell does it, in milliseconds. */
const BEING_WRITTEN = 1_000;

class TemplateFile implements TemplateSlot {
  /** What tells the version that was looked at last; or why there was none. */
  #stamp = "";
  #newest: Template | undefined;
  #proven: Template | undefined;

  constructor(private readonly file: string) {
    this.refresh();
  }

  candidates(): readonly Template[] {
    const all = [this.#newest, this.#proven].filter((template) => template !== undefined);
    return [...new Set(all)];
  }

  accepted(template: Template): void {
    this.#proven = template;
  }

  refused(template: Template): boolean {
    if (this.#proven === undefined || this.#proven === template) return false;
    if (this.#newest === template) this.#newest = undefined;
    return true;
  }

  refresh(): void {
    const { stamp, text, age } = this.#read();
    const isBeingWritten = text === "" && this.#newest !== undefined && age < BEING_WRITTEN;
    if (text === undefined || isBeingWritten) return;
    // Noted first: a broken version is complained of once, not at every pass.
    this.#stamp = stamp;
    this.#newest = compileTemplate({ name: this.file, text }, PARTIALS);
  }

  /** The text, where it is another than last time, and how old it is, in milliseconds. */
  #read(): { stamp: string; text: string | undefined; age: number } {
    try {
      const { mtimeMs, size, ino } = statSync(this.file);
      const stamp = `${mtimeMs} ${size} ${ino}`;
      const age = Date.now() - mtimeMs;
      if (stamp === this.#stamp) return { stamp, text: undefined, age };
      return { stamp, text: readFileSync(this.file, "utf8"), age };
    } catch (error) {
      const stamp = errorMessage(error);
      if (stamp === this.#stamp) return { stamp, text: undefined, age: 0 };
      this.#stamp = stamp;
      throw new GatewayError("template", `Cannot read template "${this.file}": ${stamp}`, {
        hint: "leave --template-file out for the built-in one",
        cause: error,
      });
    }
  }
}
