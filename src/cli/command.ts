// What a command is: its words, its help, and what it does with them.

import type { FlagDefs } from "./flags.ts";
import type { Logger } from "../lib/log.ts";
import type { LogOptions, RawOptions } from "./options.ts";

export interface Command {
  readonly name: string;
  readonly description: string;
  readonly flags: FlagDefs;
  /** The one word that is no flag, where the command takes one. */
  readonly argument?: Argument;
  readonly examples: readonly (readonly [command: string, meaning: string])[];
  /** @returns the exit status */
  run(words: Words, io: CommandIo): Promise<number> | number;
}

/** Names of what runs: containers, their images and routes; or Docker's networks. */
export type RunningNames = "served" | "networks";

interface Argument {
  readonly name: string;
  readonly description: string;
  readonly required: boolean;
  /** What can stand there, for completions; undefined where that is not known. */
  readonly choices?: readonly string[];
  /** What can stand there of what runs, for completions. */
  readonly names?: RunningNames;
}

/** What the user typed behind a command's name. */
interface Words {
  readonly values: RawOptions;
  readonly argument: string | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** How a command reaches the outside. */
export interface CommandIo {
  readonly env: Environment;
  /** Writes to standard output. */
  write(text: string): void;
  readonly isTerminal: boolean;
  /** The size of the terminal as it is now, in characters. */
  screen(): { readonly columns: number; readonly rows: number };
  logger(options: LogOptions): Logger;
  signals(): Signals;
}

/** The process's signals, as a command understands them. */
export interface Signals {
  /** Aborted when it should end. */
  readonly end: AbortSignal;
  /** Calls back when everything should be read again. */
  onReread(callback: () => void): void;
  /** Calls back when the user insists on the end. */
  onInsist(callback: () => void): void;
}
