// Which Engine the user chose: by a flag, by variables, or by a context of the docker program.

import { homedir } from "node:os";
import { join } from "node:path";
import { errorMessage, GatewayError } from "../lib/errors.ts";
import { contextInUse } from "./context.ts";
import {
  FORMS,
  parseDockerHost,
  parseDockerTls,
  type DockerHost,
  type DockerTls,
  type Environment,
} from "./host.ts";

/** The Engine that the user chose, and how to connect to it. */
export interface DockerChoice {
  /** In the form of `--docker-host`; empty for the default socket. */
  readonly address: string;
  readonly host: DockerHost;
  readonly tls: DockerTls | undefined;
  /** The name of the docker context that chose the Engine; undefined if none did. */
  readonly context: string | undefined;
  /** The API version, such as `1.41`; empty: the gateway negotiates one. */
  readonly apiVersion: string;
}

/**
 * Finds out which Engine the user chose: by the flag, else by `DOCKER_HOST`, else by a docker context.
 * @param flag the value of `--docker-host`; empty without it
 * @throws GatewayError `usage`, or `docker` if the context cannot be used
 */
export function chooseDocker(flag: string, env: Environment): DockerChoice {
  const folder = env["DOCKER_CONFIG"] || join(homedir(), ".docker");
  const apiVersion = parseApiVersion(env["DOCKER_API_VERSION"] ?? "");
  const named = flag || (env["DOCKER_HOST"] ?? "");
  const context = named === "" ? contextInUse(folder, env["DOCKER_CONTEXT"] ?? "") : undefined;
  const { address, tls } = context ?? { address: named, tls: parseDockerTls(env, folder) };
  try {
    const host = parseDockerHost(address, tls !== undefined);
    return { address, host, tls, context: context?.name, apiVersion };
  } catch (error) {
    if (context === undefined) throw error;
    throw new GatewayError(
      "usage",
      `Cannot use docker context "${context.name}": its address is of no use`,
      {
        lines: [errorMessage(error)],
        hint: FORMS,
        cause: error,
      },
    );
  }
}

/** Accepts a leading `v`, as the docker program does. @throws GatewayError `usage` */
function parseApiVersion(text: string): string {
  const version = text.trim().replace(/^v/, "");
  if (version === "" || /^\d+\.\d+$/.test(version)) return version;
  throw new GatewayError("usage", `Cannot use DOCKER_API_VERSION "${text}": it is no version`, {
    hint: "such as 1.41; unset it to let the gateway choose",
  });
}
