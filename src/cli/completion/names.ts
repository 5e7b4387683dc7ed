// The names of what runs, for completions: asked of the Engine, within a moment.

import { fromList } from "../../docker/container.ts";
import { readIntent } from "../../routing/intent.ts";
import type { Environment, RunningNames } from "../command.ts";
import { dockerClient } from "../setup.ts";

/** A person waits at the keyboard for no longer than this, in milliseconds. */
const LIMIT = 1_000;
/** A shell would take apart what has other characters. */
const PLAIN = /^[\w./:@-]+$/;

/**
 * The names that can stand at a place of the command line.
 * @param line what was typed so far: its `--docker-host` counts
 * @returns none where the Engine does not answer: a completion has nobody to complain to
 */
export async function runningNames(
  kind: RunningNames,
  line: string,
  env: Environment,
): Promise<readonly string[]> {
  const dockerHost = /(?:^|\s)--?docker-host[=\s]\s*(\S+)/.exec(line)?.[1] ?? "";
  try {
    const client = dockerClient(dockerHost, env);
    // The ssh program may ask for a password.
    if (client.transport.name.startsWith("ssh:")) return [];
    const signal = AbortSignal.timeout(LIMIT);
    await client.connect(signal);
    const names =
      kind === "networks"
        ? (await client.listNetworks(signal)).map(({ Name }) => Name)
        : (await client.listContainers(signal)).map(fromList).flatMap((container) => {
            const intent = readIntent(container);
            const routes = "reason" in intent ? [] : intent.routes.value;
            return [container.name, container.image, ...routes.map(({ path }) => path)];
          });
    return [...new Set(names)].filter((name) => PLAIN.test(name)).toSorted();
  } catch {
    return [];
  }
}
