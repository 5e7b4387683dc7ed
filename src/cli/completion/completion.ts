// `docker-api-gateway completion` and `man`: what shells and man(1) know of the commands.

import type { Command } from "../command.ts";
import { completionFor, SHELLS } from "./scripts.ts";
import { GatewayError } from "../../lib/errors.ts";
import { manualPage } from "../manual.ts";

/** Makes the commands that tell of all commands, themselves included. */
export function tellingCommands(
  program: { readonly name: string; readonly version: string; readonly description: string },
  others: readonly Command[],
): readonly Command[] {
  const all = (): readonly Command[] => [...others, completion, manual];
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
          {
            hint: `there are ${SHELLS.join(", ")}`,
          },
        );
      }
      io.write(completionFor(shell, program.name, all()));
      return 0;
    },
  };
  const manual: Command = {
    name: "man",
    description: "Print the manual page",
    flags: {},
    examples: [
      ["docker-api-gateway man | man -l -", "read it"],
      ["docker-api-gateway man > /usr/local/share/man/man8/docker-api-gateway.8", "keep it"],
    ],
    run(_, io) {
      io.write(manualPage(program, all()));
      return 0;
    },
  };
  return [completion, manual];
}
