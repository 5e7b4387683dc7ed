// The HAProxy that runs the gateway's configuration, as it is asked by whoever explains it.

import { fileProblem, GatewayError } from "../lib/errors.ts";
import { askHaproxy } from "../haproxy/runtime/socket.ts";
import type { Runtime } from "../haproxy/runtime/runtime.ts";
import { ownersPathOf } from "../haproxy/files/files.ts";
import { parseConfig, statsSocket } from "../config/sections.ts";
import type { Files } from "../model.ts";
import { isOwnConfig } from "../template/compile.ts";

export interface Running {
  /** The text of its configuration. */
  readonly config: string;
  /** The path of the file that says who is behind each server. */
  readonly ownersPath: string;
  /** The text of a file beside the configuration; empty if there is none. */
  readonly read: (path: string) => Promise<string> | string;
  readonly ask: Runtime["ask"];
}

const HINT =
  "give it the flags that the gateway runs with, such as --manage-haproxy or --output-file " +
  "(pgrep -af docker-api-gateway shows them)";

/**
 * Finds HAProxy's stats socket in the configuration on disk.
 * @param signal ends every request of `ask`
 * @throws GatewayError if there is no such configuration, or it has no stats socket
 */
export async function findRunning(output: string, signal: AbortSignal): Promise<Running> {
  const config = await Bun.file(output)
    .text()
    .catch((error: unknown) => {
      throw new GatewayError("config", `Cannot read "${output}": ${fileProblem(error)}`, {
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
  if (socket === undefined) throw withoutSocket(output);
  return {
    config,
    ownersPath: ownersPathOf(output),
    read: async (path) => {
      const file = Bun.file(path);
      return (await file.exists()) ? file.text() : "";
    },
    ask: (line) => askHaproxy(socket, line, signal),
  };
}

/**
 * The HAProxy that a gateway runs itself.
 * @param files what HAProxy runs; undefined: nothing yet
 * @param socket its stats socket
 * @param signal ends every request of `ask`
 * @throws GatewayError `haproxy` if it cannot be asked
 */
export function ownRunning(
  output: string,
  files: Files | undefined,
  socket: string | undefined,
  signal: AbortSignal,
): Running {
  if (files === undefined) {
    throw new GatewayError("haproxy", "Cannot ask HAProxy: the gateway has not started it yet");
  }
  if (socket === undefined) throw withoutSocket(output);
  return {
    config: files.config,
    ownersPath: ownersPathOf(output),
    read: (path) => files.assets[path]?.text ?? "",
    ask: (line) => askHaproxy(socket, line, signal),
  };
}

function withoutSocket(output: string): GatewayError {
  return new GatewayError("haproxy", `Cannot ask HAProxy: "${output}" names no stats socket`, {
    hint: "let the template write one: stats socket {{haproxy.statsSocket}} level admin",
  });
}
