// Which command the words behind the program's name are for: flags may stand before it.

import { expect, test } from "bun:test";
import { findCommand } from "../../src/cli/commands.ts";
import { normalise } from "../../src/cli/flags.ts";

test.each([
  ["", "", ""],
  ["routes", "routes", ""],
  ["routes --json", "routes", "--json"],
  ["--log-level debug routes", "routes", "--log-level debug"],
  ["-log-level=debug routes --json", "routes", "--log-level=debug --json"],
  ["--manage-haproxy explain shop-1", "explain", "--manage-haproxy shop-1"],
  // A flag's value is no command, whatever it is called.
  ["--haproxy routes render", "render", "--haproxy routes"],
  ["--template path", "", "--template path"],
  ["--reload-command man doctor", "doctor", "--reload-command man"],
  ["--output-file --once routes", "routes", "--output-file --once"],
  ["--help routes", "routes", "--help"],
  ["explain routes", "explain", "routes"],
  ["rotues", "", "rotues"],
  ["--once -- routes", "", "--once -- routes"],
])("%j is for %j", (line, name, rest) => {
  const found = findCommand(normalise(line.split(" ").filter(Boolean)));
  expect([found.command.name, found.rest.join(" ")]).toEqual([name, rest]);
});
