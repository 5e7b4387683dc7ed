// What there is to complete: for each command its flags, what their values are, and its argument.

import type { Command, RunningNames } from "../command.ts";
import type { FlagDef } from "../flags.ts";

/** A command, as a shell completes it; the one without a name is the program itself. */
export interface Completed {
  readonly name: string;
  readonly description: string;
  readonly flags: readonly CompletedFlag[];
  readonly argument:
    | {
        readonly name: string;
        readonly choices: readonly string[];
        /** Names of what runs, which the program itself is asked for. */
        readonly names: RunningNames | undefined;
      }
    | undefined;
}

export interface CompletedFlag {
  readonly name: string;
  /** The one letter that is short for it. */
  readonly letter?: string;
  /** Another name, which is understood and not offered. */
  readonly alias?: string | undefined;
  readonly description: string;
  readonly repeated: boolean;
  /** Undefined where it takes no value. */
  readonly value: Value | undefined;
}

/** What a value is: some words, a path, names of what runs, or what no shell can know. */
type Value =
  | { readonly choices: readonly string[] }
  | { readonly names: RunningNames }
  | "file"
  | "folder"
  | "anything";

/** What every command has. */
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
const FILES: readonly string[] = ["FILE", "SOCKET", "PROGRAM"];

/** What a shell completes behind a command. */
export function completedFor({ name, description, flags, argument }: Command): Completed {
  return {
    name,
    description,
    flags: [...Object.entries(flags).map(([flag, def]) => completedFlag(flag, def)), ...COMMON],
    argument: argument && {
      name: argument.name,
      choices: argument.choices ?? [],
      names: argument.names,
    },
  };
}

function completedFlag(name: string, def: FlagDef): CompletedFlag {
  const { description } = def;
  if (def.type === "boolean") return { name, description, repeated: false, value: undefined };
  const { alias, multiple = false, names, valueHint } = def;
  const value = names === undefined ? valueOf(valueHint) : { names };
  return { name, alias, description, repeated: multiple, value };
}

function valueOf(hint: string): Value {
  if (/^[a-z]+(\|[a-z]+)+$/.test(hint)) return { choices: hint.split("|") };
  if (hint === "FOLDER") return "folder";
  return FILES.includes(hint) ? "file" : "anything";
}

/** The words among which a value is. */
export function choicesOf({ value }: CompletedFlag): readonly string[] {
  return typeof value === "object" && "choices" in value ? value.choices : [];
}

/** What kind of names of what runs a value is; undefined for any other value. */
export function namesOf({ value }: CompletedFlag): RunningNames | undefined {
  return typeof value === "object" && "names" in value ? value.names : undefined;
}
