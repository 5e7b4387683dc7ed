// Reads the flags that the user gives: with one dash or two, with `=value` or ` value`, or by the
// environment.

import { parseArgs } from "node:util";
import { GatewayError } from "../lib/errors.ts";
import { nearest } from "../lib/text.ts";
import type { RunningNames } from "./command.ts";
import type { RawOptions } from "./options.ts";

/** A flag, its value if it takes one, and whether it may be repeated. */
export type FlagDef =
  | { readonly type: "boolean"; readonly description: string; readonly alias?: string }
  | {
      readonly type: "string";
      readonly description: string;
      readonly valueHint: string;
      readonly alias?: string;
      readonly multiple?: boolean;
      /** Set if the value is a name of what runs. */
      readonly names?: RunningNames;
    };
export type FlagDefs = Readonly<Record<string, FlagDef>>;

/** Every program has these short flags. */
const SHORT: Readonly<Record<string, string>> = { "-h": "--help", "-v": "--version" };

/**
 * Turns `-name` into `--name`: the program of 2018 took both.
 * @param words the words after the program's name
 */
export function normalise(words: readonly string[]): string[] {
  return words.map((word) => SHORT[word] ?? word.replace(/^-(?=[a-z])/, "--"));
}

/**
 * Reads the flags. A flag that is not given is read from the environment (`GATEWAY_<NAME>`).
 * @param words normalised words, without the command's name
 * @returns the flags' values, the names of those that were typed, and the words that are not flags
 * @throws GatewayError `usage` for an unknown flag, a missing value, or a wrong one
 */
export function readFlags(
  words: readonly string[],
  flags: FlagDefs,
  env: Readonly<Record<string, string | undefined>>,
): {
  readonly values: RawOptions;
  readonly typed: ReadonlySet<string>;
  readonly positionals: readonly string[];
} {
  const canonical = new Map(
    Object.entries(flags).flatMap(([name, def]) =>
      flagNames(name, def).map((each) => [each, name] as const),
    ),
  );
  const { tokens } = parseArgs({
    args: [...words],
    options: Object.fromEntries(
      [...canonical].map(([name, known]) => [name, { type: flags[known]?.type ?? "string" }]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });

  const values: Record<string, string | string[] | boolean> = {};
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const name = canonical.get(token.name);
    const def = name === undefined ? undefined : flags[name];
    if (name === undefined || def === undefined)
      throw unknownFlag(token.name, [...canonical.keys()]);
    // In `--output-file --once` the file is missing: `--once` is not its name.
    const isNextFlag = token.inlineValue === false && token.value.startsWith("--");
    set(name, def, isNextFlag ? undefined : token.value, `--${token.name}`);
  }
  const typed = new Set(Object.keys(values));
  for (const [name, def] of Object.entries(flags)) {
    const variable = variableName(name);
    const value = env[variable];
    if (values[name] === undefined && value !== undefined && value !== "") {
      set(name, def, value, variable);
    }
  }
  return { values, typed, positionals };

  function set(name: string, def: FlagDef, value: string | undefined, source: string): void {
    if (def.type === "boolean") values[name] = toBoolean(value, source);
    else if (value === undefined || value === "") {
      throw new GatewayError("usage", `Cannot read flag "${source}": it has no value`, {
        hint: `such as ${source}=${def.valueHint}`,
      });
    } else if (def.multiple) values[name] = [...[values[name] ?? []].flat().map(String), value];
    else values[name] = value;
  }
}

/** The name of a flag, and its alias if it has one. */
export function flagNames(name: string, def: FlagDef): readonly string[] {
  return def.alias === undefined ? [name] : [name, def.alias];
}

/** A name as it is typed: an alias of one letter has one dash. */
export function dashed(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`;
}

/** The environment variable of a flag. */
export function variableName(flag: string): string {
  return `GATEWAY_${flag.toUpperCase().replaceAll("-", "_")}`;
}

function toBoolean(value: string | undefined, source: string): boolean {
  if (value === undefined || ["true", "1", "yes", "on"].includes(value.toLowerCase())) return true;
  if (["false", "0", "no", "off"].includes(value.toLowerCase())) return false;
  throw new GatewayError("usage", `Cannot read "${source}": "${value}" is neither true nor false`);
}

function unknownFlag(name: string, known: readonly string[]): GatewayError {
  const meant = nearest(name, known);
  return new GatewayError("usage", `Cannot read flag "--${name}": there is no such flag`, {
    hint: meant === undefined ? "--help lists them all" : `did you mean --${meant}?`,
  });
}
