// The parts of a command: its flags and argument, its help, and what it does.

import type { FlagDefs } from "./flags.ts";
import type { Logger } from "../lib/log.ts";
import type { LogOptions, RawOptions } from "./options.ts";

export interface Command {
  readonly name: string;
  readonly description: string;
  readonly flags: FlagDefs;
  /** The first word that is not a flag. Undefined if the command takes none. */
  readonly argument?: Argument;
  /** The word behind that one. */
  readonly more?: Argument;
  readonly examples: readonly (readonly [command: string, meaning: string])[];
  /** Returns the exit status. */
  run(words: Words, io: CommandIo): Promise<number> | number;
}

/**
 * Names of what runs. `served`: containers, their images and routes; `hosts`: those of routes; `networks`:
 * Docker's.
 */
export type RunningNames = "served" | "hosts" | "networks";

interface Argument {
  readonly name: string;
  readonly description: string;
  readonly required: boolean;
  /** All words that can stand there, for completions. Undefined if they are not known. */
  readonly choices?: readonly string[];
  /** Which names of what runs can stand there, for completions. */
  readonly names?: RunningNames;
}

/** What the user typed after the name of the command. */
export interface Words {
  readonly values: RawOptions;
  /** The names of the flags that were typed. The others are from the environment, or not given. */
  readonly typed: ReadonlySet<string>;
  readonly argument: string | undefined;
  /** The word behind it. */
  readonly more?: string | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** How a command reaches the outside. */
export interface CommandIo {
  readonly env: Environment;
  /** Writes to standard output. */
  write(text: string): void;
  /** Tells the user something that is no part of the output: a line on standard error. */
  note(line: string): void;
  readonly isTerminal: boolean;
  /** The size of the terminal as it is now, in characters. */
  screen(): { readonly columns: number; readonly rows: number };
  /**
   * Calls back with each key that is pressed, such as `q`, and when the terminal has another size.
   * @returns the function that gives the keyboard back
   */
  keyboard(pressed: (key: string) => void, resized: () => void): () => void;
  logger(options: LogOptions): Logger;
  signals(): Signals;
}

/** The signals of the process, by what they mean to a command. */
export interface Signals {
  /** Aborted when the command should end. */
  readonly end: AbortSignal;
  /** Calls back when everything should be read again. */
  onReread(callback: () => void): void;
  /** Calls back when the user asks for the end again. */
  onInsist(callback: () => void): void;
}
