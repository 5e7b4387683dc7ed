// `docker-api-gateway completion`, and the command that its scripts run for the names of what runs.

import { GatewayError } from "../../lib/errors.ts";
import type { Command } from "../command.ts";
import { runningNames } from "./names.ts";
import { completionFor, SHELLS } from "./scripts.ts";

const KINDS = ["served", "hosts", "networks"] as const;

/**
 * Makes two commands: one prints the completion script of a shell, the other is run by the scripts.
 * @param program the program's name
 * @param all returns all commands, including the first of these two
 */
export function completionCommands(
  program: string,
  all: () => readonly Command[],
): readonly [completion: Command, names: Command] {
  const completion: Command = {
    name: "completion",
    description: "Print the completion script of a shell",
    flags: {},
    argument: { name: "shell", description: SHELLS.join(", "), required: true, choices: SHELLS },
    examples: [
      ["docker-api-gateway completion bash > /etc/bash_completion.d/docker-api-gateway", "for all"],
      [
        'docker-api-gateway completion zsh > "${fpath[1]}/_docker-api-gateway"',
        "for all, on Debian",
      ],
      ["docker-api-gateway completion fish | source", "for this shell"],
    ],
    run({ argument }, io) {
      const shell = SHELLS.find((each) => each === argument);
      if (shell === undefined) {
        throw new GatewayError(
          "usage",
          `Cannot complete for "${argument}": it is no shell known here`,
          { hint: `there are ${SHELLS.join(", ")}` },
        );
      }
      io.write(completionFor(shell, program, all()));
      return 0;
    },
  };
  const names: Command = {
    name: "complete",
    description: "Print names of what runs, for completion scripts",
    flags: { line: { type: "string", valueHint: "LINE", description: "what was typed so far" } },
    argument: { name: "kind", description: "served, hosts, networks", required: true },
    examples: [["docker-api-gateway complete served", "containers, their images and routes"]],
    async run({ argument, values }, io) {
      const kind = KINDS.find((each) => each === argument) ?? "served";
      const found = await runningNames(kind, String(values["line"] ?? ""), io.env);
      io.write(found.map((name) => `${name}\n`).join(""));
      return 0;
    },
  };
  return [completion, names];
}
