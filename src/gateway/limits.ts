// Warns if HAProxy can take only few connections, as it may not have enough files open.

import type { Haproxy } from "../haproxy/process/external.ts";
import type { Runtime } from "../haproxy/runtime/runtime.ts";
import { GatewayError } from "../lib/errors.ts";
import { ENOUGH_FILES, fileLimit, RAISE_FILES } from "../lib/limits.ts";
import type { Logger } from "../lib/log.ts";

/** Looks at the limit of the running HAProxy, and warns if it is low. */
export async function warnOfLimits(
  haproxy: Haproxy,
  ask: Runtime["ask"],
  log: Logger,
): Promise<void> {
  try {
    const [master] = (await haproxy.pids()) ?? [];
    // The limit is the same for the master and its workers.
    const files = master === undefined ? undefined : fileLimit(master);
    if (files === undefined || files >= ENOUGH_FILES) return;
    const [, most = "few"] = /^Maxconn: (\d+)$/m.exec(await ask("show info")) ?? [];
    log.warn(
      `HAProxy takes ${most} connections at most, as it may have only ${files} files open: ${RAISE_FILES}`,
      { event: "few files", files, ...(most === "few" ? {} : { connections: Number(most) }) },
    );
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    log.debug(`HAProxy's limits cannot be told: ${error.message}`);
  }
}
