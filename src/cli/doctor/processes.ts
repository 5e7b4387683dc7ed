// The doctor's check of what keeps requests from another service's container while Docker is away.

import { existsSync } from "node:fs";
import type { Environment } from "../command.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { Container } from "../../model.ts";
import { isSeen } from "../../gateway/owners.ts";
import type { Paths } from "../../gateway/paths.ts";
import { isEnabled, UNIT_FILE } from "../service/systemd.ts";
import { FENCE_UNIT } from "../service/unit.ts";
import type { Options } from "../options.ts";
import { openEngines } from "../setup.ts";
import { ok, warning, type Finding } from "./check.ts";

/** Checks that the processes of containers can be seen, and that HAProxy is fenced after a boot. */
export async function checkProcesses(
  options: Pick<Options, "engines" | "swarm">,
  env: Environment,
  { managed }: Paths,
  log: Logger,
): Promise<Finding> {
  if (!managed && existsSync(UNIT_FILE) && !(await isEnabled(FENCE_UNIT))) {
    return warning(
      `${FENCE_UNIT} is not enabled: after a boot, HAProxy starts with the addresses of before`,
      "run docker-api-gateway install again, with the same flags",
    );
  }
  const running = (await readContainers(options, env, log)).filter(({ pid }) => pid !== 0);
  if (running.length === 0) return ok("there is no container whose process could be looked for");
  // One may have ended just now.
  if (running.some(isSeen)) return ok("those of containers can be seen and watched");
  return warning(
    "those of containers cannot be seen from here, so without Docker only HAProxy's checks notice their ends",
    "run the gateway on Docker's own machine, and in a container only with --pid=host",
  );
}

/** Empty if Docker cannot be read, which another check tells. */
async function readContainers(
  options: Pick<Options, "engines" | "swarm">,
  env: Environment,
  log: Logger,
): Promise<readonly Container[]> {
  const engines = openEngines(options, env, "never");
  try {
    return (await engines.readOnce(log)).containers;
  } catch (error) {
    if (error instanceof GatewayError) return [];
    throw error;
  } finally {
    engines.close();
  }
}
