// When the output has colours, and which.

import type { CommandIo } from "./command.ts";

/** Whether a terminal shows the output that may have colours. Source: https://no-color.org. */
export function wantsColour({ env, isTerminal }: Pick<CommandIo, "env" | "isTerminal">): boolean {
  return isTerminal && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
}

/** What a text looks like, with the orders that begin and end it. Source: ECMA-48, section 8.3.117. */
const LOOKS = {
  bold: [1, 22],
  dim: [2, 22],
  reverse: [7, 27],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
} as const;
export type Look = keyof typeof LOOKS;

/** Makes the function that gives a text a look, or leaves it as it is. */
export function painter(isWanted: boolean): (look: Look, text: string) => string {
  if (!isWanted) return (_, text) => text;
  return (look, text) => {
    const [begin, end] = LOOKS[look];
    return `\u001B[${begin}m${text}\u001B[${end}m`;
  };
}
