// A terminal as a drawing: each letter in its column, and no text of a program is one of the drawing's.

import { expect, test } from "bun:test";
import { drawTerminal } from "./terminal.ts";

const drawn = drawTerminal(
  [
    { command: "echo '<&\">'", output: '<&">\n' },
    { command: "cat", output: "a  b\n   c\n" },
  ],
  "Two commands",
);

test("what a program prints is text", () => {
  expect(drawn).toContain(">&lt;&amp;&quot;&gt;</text>");
  expect(drawn.match(/<text/g)).toHaveLength(7);
});

test("columns are kept", () => {
  expect(xOf("c") - xOf("a  b")).toBeCloseTo(3 * 7.8);
  expect(xOf("cat") - xOf("a  b")).toBeCloseTo(2 * 7.8);
});

/** Where a text begins, in pixels. */
function xOf(text: string): number {
  return Number(new RegExp(`<text x="([\\d.]+)"[^>]*>${text}<`).exec(drawn)?.[1]);
}
