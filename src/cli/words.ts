// Reads the words behind a command's name: its flags and its arguments.

import { GatewayError } from "../lib/errors.ts";
import { nearest } from "../lib/text.ts";
import type { Command, Environment, Words } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { readFlags } from "./flags.ts";

/**
 * Reads what was typed behind the name of a command.
 * @param rest normalised words, without the command's name
 * @throws GatewayError `usage` for an unknown flag, a wrong value, a missing word, or one too many
 */
export function readWords(command: Command, rest: readonly string[], env: Environment): Words {
  const { values, typed, positionals } = readFlags(rest, command.flags, env);
  const places = [command.argument, command.more].filter((each) => each !== undefined);
  const [extra] = positionals.slice(places.length);
  const [argument, more] = positionals;
  if (extra !== undefined) throw unknownWord(extra, command);
  if (argument === undefined && command.argument?.required) {
    const what = command.argument.name.toUpperCase();
    throw new GatewayError("usage", `Cannot run ${command.name}: ${what} is missing`, {
      hint: `such as: ${command.examples[0]?.[0]}`,
    });
  }
  return { values, typed, argument, more };
}

function unknownWord(word: string, { name }: Command): GatewayError {
  const names = COMMANDS.map((command) => command.name).filter((each) => each !== "");
  const meant = name === "" ? nearest(word, names) : undefined;
  const state = name === "" ? "there is no such command" : "it is one word too many";
  return new GatewayError("usage", `Cannot understand "${word}": ${state}`, {
    hint: meant === undefined ? "--help lists what there is" : `did you mean ${meant}?`,
  });
}
