// What can be completed: the flags of each command, their values, and its argument.

import type { Command, RunningNames } from "../command.ts";
import type { FlagDef } from "../flags.ts";

/** A command for completion. The one without a name is the program itself. */
export interface Completed {
  readonly name: string;
  readonly description: string;
  readonly flags: readonly CompletedFlag[];
  readonly argument: CompletedWord | undefined;
  /** The word behind that one. */
  readonly more: CompletedWord | undefined;
}

interface CompletedWord {
  readonly name: string;
  readonly choices: readonly string[];
  /** Which names of what runs can stand there. The script asks the program for them. */
  readonly names: RunningNames | undefined;
}

export interface CompletedFlag {
  readonly name: string;
  /** The letter of its short form. */
  readonly letter?: string;
  /** Another name that is understood but not offered. */
  readonly alias?: string | undefined;
  readonly description: string;
  readonly repeated: boolean;
  /** Undefined if the flag takes no value. */
  readonly value: Value | undefined;
}

/** The kind of a value: one of some words, a name of what runs, a path, or anything. */
type Value =
  | { readonly choices: readonly string[] }
  | { readonly names: RunningNames }
  | "file"
  | "folder"
  | "anything";

/** Every command has these flags. */
const COMMON: readonly CompletedFlag[] = [
  { name: "help", letter: "h", description: "show the help", repeated: false, value: undefined },
  {
    name: "version",
    letter: "v",
    description: "show the version",
    repeated: false,
    value: undefined,
  },
];
/** The value hints that stand for a file. */
const FILES: readonly string[] = ["FILE", "SOCKET", "PROGRAM"];

/** Describes a command for completion. */
export function completedFor({ name, description, flags, argument, more }: Command): Completed {
  return {
    name,
    description,
    flags: [...Object.entries(flags).map(([flag, def]) => completedFlag(flag, def)), ...COMMON],
    argument: completedWord(argument),
    more: completedWord(more),
  };
}

function completedWord(word: Command["argument"]): CompletedWord | undefined {
  return word && { name: word.name, choices: word.choices ?? [], names: word.names };
}

function completedFlag(name: string, def: FlagDef): CompletedFlag {
  const { alias, description } = def;
  const other = alias?.length === 1 ? { letter: alias } : { alias };
  if (def.type === "boolean") {
    return { name, ...other, description, repeated: false, value: undefined };
  }
  const { multiple = false, names, valueHint } = def;
  const value = names === undefined ? valueOf(valueHint) : { names };
  return { name, ...other, description, repeated: multiple, value };
}

function valueOf(hint: string): Value {
  if (/^[a-z]+(\|[a-z]+)+$/.test(hint)) return { choices: hint.split("|") };
  if (hint === "FOLDER") return "folder";
  return FILES.includes(hint) ? "file" : "anything";
}

/** The words that a value can be. None if it is of another kind. */
export function choicesOf({ value }: CompletedFlag): readonly string[] {
  return typeof value === "object" && "choices" in value ? value.choices : [];
}

/** Which names of what runs a value can be. Undefined if it is of another kind. */
export function namesOf({ value }: CompletedFlag): RunningNames | undefined {
  return typeof value === "object" && "names" in value ? value.names : undefined;
}
