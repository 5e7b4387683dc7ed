// Command lines that are split as a shell does, and those that need a shell.

import { expect, test } from "bun:test";
import { splitCommand } from "../../src/lib/command-line.ts";
import { failureOf } from "../lab/make.ts";

test.each([
  ["/bin/systemctl reload haproxy.service", ["/bin/systemctl", "reload", "haproxy.service"]],
  ["  a\tb\n c  ", ["a", "b", "c"]],
  [`a 'b c' "d e" f\\ g`, ["a", "b c", "d e", "f g"]],
  [`a '' ""`, ["a", "", ""]],
  [`"a b"/c'd'e`, ["a b/cde"]],
  [`sh -c 'kill -USR2 $(cat /run/x.pid)'`, ["sh", "-c", "kill -USR2 $(cat /run/x.pid)"]],
  [`sh -c "echo \\$HOME"`, ["sh", "-c", "echo $HOME"]],
  ["a \\`", ["a", "`"]],
  ["a '$b' '*' '`' '#' '|'", ["a", "$b", "*", "`", "#", "|"]],
  [`a "it's"`, ["a", "it's"]],
  [`a 'say "x"'`, ["a", `say "x"`]],
  [`a "b\\\\c" "d\\e"`, ["a", "b\\c", "d\\e"]],
  ["a \\$b", ["a", "$b"]],
  ["a --b=c d:e", ["a", "--b=c", "d:e"]],
])("the words of %s", (command, words) => {
  expect(splitCommand(command, "--reload-cmd")).toEqual(words);
});

test.each([
  ["a && b", "&&"],
  ["a; b", ";"],
  ["a | b", "|"],
  ["a > b", ">"],
  ["a < b", "<"],
  ["a &", "&"],
  ["(a)", "("],
  ["a $HOME", "$HOME"],
  ["a ${HOME}", "$HOME"],
  [`a "$HOME"`, "$HOME"],
  ["a $(b)", "$"],
  ["a `b`", "`"],
  ['a "`b`"', "`"],
  ['a "\\`"', "`"],
  ["a *.cfg", "*.cfg"],
  ["a b?", "b?"],
  ["a # b", "a comment"],
])("%s needs a shell for %s", (command, what) => {
  const { message, hint } = failureOf("usage", () => splitCommand(command, "--reload-cmd"));
  const state = `${what} needs a shell, and it is run without one`;
  expect(message).toBe(`Cannot use --reload-cmd "${command}": ${state}`);
  expect(hint).toBe(`put it in quotes, or run a shell: --reload-cmd "sh -c '...'"`);
});

test.each([`a "b`, "a 'b", `a "b' c`, `a 'b" c`, `a "b\\"`, `sh -c 'a "b`])(
  "a quote of %s is not closed",
  (command) => {
    const { message } = failureOf("usage", () => splitCommand(command, "--reload-cmd"));
    expect(message).toBe(`Cannot use --reload-cmd "${command}": a quote is not closed`);
  },
);

test.each(["", "  ", "\n"])("%j is empty", (command) => {
  const { message } = failureOf("usage", () => splitCommand(command, "--reload-cmd"));
  expect(message).toBe("Cannot use --reload-cmd: it is empty");
});
