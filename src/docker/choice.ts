// Which Engine the user chose: by a flag, by variables, or by a context of the docker program.

import { homedir } from "node:os";
import { join } from "node:path";
import { errorMessage, GatewayError } from "../lib/errors.ts";
import type { Site } from "./client.ts";
import { contextInUse } from "./context.ts";
import {
  FORMS,
  machineOf,
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

/** An Engine as the user named it by `--docker-host`. */
export interface GivenEngine {
  /** Empty: it is the only one, and has no name. */
  readonly name: string;
  /** Empty: the one that variables or a docker context name. */
  readonly url: string;
  /** Where the ports are reached that its containers publish; undefined: nobody said so. */
  readonly address: string | undefined;
}

/** One of the Engines that the user chose. */
export interface ChosenEngine {
  readonly choice: DockerChoice;
  /** Undefined: it is the only one, and has no name. */
  readonly site: Site | undefined;
}

/**
 * Finds out which Engines the user chose. Of several, only one has networks that are this machine's: two may
 * have the same subnet, and a request for a container of the one would reach one of the other.
 * @throws GatewayError `usage`, or `docker` if a context cannot be used
 */
export function chooseEngines(
  given: readonly GivenEngine[],
  env: Environment,
): readonly ChosenEngine[] {
  const chosen = given.map(({ name, url, address }) => {
    const choice = chooseDocker(url, env);
    const host = address ?? machineOf(choice.host);
    return { choice, site: name === "" ? undefined : { engine: name, host } };
  });
  const here = chosen.flatMap(({ site }) => (site?.host === undefined ? (site ?? []) : []));
  const [first, second] = here;
  if (first === undefined || second === undefined) return chosen;
  throw new GatewayError(
    "usage",
    `Cannot use both Engines "${first.engine}" and "${second.engine}" as those of this machine: ` +
      "they may have the same addresses in their networks",
    {
      hint: `--engine-address ${second.engine}=127.0.0.1 has ${second.engine}'s containers reached by the ports that they publish`,
    },
  );
}

/** Accepts a leading `v`, as the docker program does. @throws GatewayError `usage` */
function parseApiVersion(text: string): string {
  const version = text.trim().replace(/^v/, "");
  if (version === "" || /^\d+\.\d+$/.test(version)) return version;
  throw new GatewayError("usage", `Cannot use DOCKER_API_VERSION "${text}": it is no version`, {
    hint: "such as 1.41; unset it to let the gateway choose",
  });
}
