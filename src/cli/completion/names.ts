// Asks the Engine for the names of what runs, for completions.

import { chooseDocker } from "../../docker/choice.ts";
import { Engines } from "../../docker/engines.ts";
import { fromList } from "../../docker/container.ts";
import { readIntent } from "../../routing/intent.ts";
import { LABEL_PREFIX } from "../../routing/labels.ts";
import { nameOf, type Place } from "../../lib/places.ts";
import type { Environment, RunningNames } from "../command.ts";

/** A person at the keyboard waits no longer than this, in milliseconds. */
const PATIENCE = 1_000;
/** A shell would split names that have other characters. */
const SAFE_NAME = /^[\w./:@-]+$/;

/**
 * Reads the names that can stand at a place of the command line.
 * @param line what was typed so far, perhaps with a `--docker-host`
 * @returns nothing if the Engine does not answer: a completion cannot show errors
 */
export async function runningNames(
  kind: RunningNames,
  line: string,
  env: Environment,
): Promise<readonly string[]> {
  const flag = (name: string): string | undefined =>
    new RegExp(`(?:^|\\s)--?${name}[=\\s]\\s*(\\S+)`).exec(line)?.[1];
  // Of several, the first one that was typed.
  const url = (flag("docker-host") ?? "").replace(/^[a-z0-9-]*=/, "");
  const labelPrefix = `${(flag("label-prefix") ?? LABEL_PREFIX).replace(/\.$/, "")}.`;
  try {
    // The ssh program might ask for a password.
    if (chooseDocker(url, env).host.kind === "ssh") return [];
    const only = { name: "", url, address: undefined };
    const [client] = Engines.open([only], env, "never").clients;
    if (client === undefined) return [];
    const signal = AbortSignal.timeout(PATIENCE);
    await client.connect(signal);
    const names =
      kind === "networks"
        ? (await client.listNetworks(signal)).map(({ Name }) => Name)
        : (await client.listContainers(signal))
            .map((each) => fromList(each))
            .flatMap((container) => {
              const intent = readIntent(container, {
                labelPrefix,
                onlyEnabled: false,
                compat: "none",
                defaultRule: undefined,
              });
              const routes = "reason" in intent ? [] : intent.routes;
              if (kind === "hosts") return routes.map(({ host }) => host);
              return [container.name, container.image, ...routes.map(urlOf)];
            });
    return [...new Set(names)].filter((name) => SAFE_NAME.test(name)).toSorted();
  } catch {
    return [];
  }
}

/** A route as `explain` takes it. */
function urlOf(place: Place): string {
  return place.tcp === undefined
    ? nameOf(place)
    : `tcp://${place.host || "localhost"}:${place.tcp}`;
}
