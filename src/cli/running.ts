// Finds the HAProxy that runs the gateway's configuration, so that a command can ask it.

import { errorMessage, GatewayError } from "../lib/errors.ts";
import { askHaproxy } from "../haproxy/runtime/socket.ts";
import type { Runtime } from "../haproxy/runtime/runtime.ts";
import { parseConfig, statsSocket } from "../config/sections.ts";
import { isOwnConfig } from "../template/compile.ts";

interface Running {
  /** The text of the configuration on disk. */
  readonly config: string;
  readonly ask: Runtime["ask"];
}

const HINT =
  "give it the flags that the gateway runs with, such as --manage-haproxy or --output-file " +
  "(pgrep -af docker-api-gateway shows them)";

/**
 * Finds HAProxy's stats socket in the gateway's configuration.
 * @param signal ends every request of `ask`
 * @throws GatewayError if there is no such configuration, or it has no stats socket
 */
export async function findRunning(output: string, signal: AbortSignal): Promise<Running> {
  const config = await Bun.file(output)
    .text()
    .catch((error: unknown) => {
      throw new GatewayError("config", `Cannot read "${output}": ${errorMessage(error)}`, {
        hint: `is the gateway running? ${HINT}`,
        cause: error,
      });
    });
  if (!isOwnConfig(config)) {
    throw new GatewayError("config", `Cannot use "${output}": the gateway did not write it`, {
      hint: HINT,
    });
  }
  const socket = statsSocket(parseConfig(config));
  if (socket === undefined) {
    throw new GatewayError("haproxy", `Cannot ask HAProxy: "${output}" names no stats socket`, {
      hint: "let the template write one: stats socket {{haproxy.statsSocket}} level admin",
    });
  }
  return { config, ask: (line) => askHaproxy(socket, line, signal) };
}
