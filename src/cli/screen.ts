// Draws a text again and again at the same place of a terminal.

import type { CommandIo } from "./command.ts";

/** Moves the cursor to the top left; erases the rest of the line; erases the rest below. */
const [HOME, ERASE_LINE, ERASE_REST] = ["\u001B[H", "\u001B[K", "\u001B[J"];

/** A screen of its own without a cursor, and back to the one before. Source: xterm's control sequences. */
export const OWN_SCREEN = "\u001B[?1049h\u001B[?25l";
export const FORMER_SCREEN = "\u001B[?25h\u001B[?1049l";

/** Makes the text replace the last one on the screen. Leaves out what does not fit. */
export function inPlace(text: string, { columns, rows }: ReturnType<CommandIo["screen"]>): string {
  const lines = text.trimEnd().split("\n");
  // The cursor needs the line after the text.
  const room = Math.max(1, rows - 1);
  const shown =
    lines.length <= room
      ? lines
      : [...lines.slice(0, room - 1), `... and ${lines.length - room + 1} more`];
  const drawn = shown.map((line) => `${line.slice(0, columns)}${ERASE_LINE}\n`);
  return `${HOME}${text === "" ? "" : drawn.join("")}${ERASE_REST}`;
}
