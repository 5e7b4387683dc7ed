// Warns if HAProxy can take only few connections, as it may not have enough files open.

import type { Runtime } from "../haproxy/runtime/runtime.ts";
import { GatewayError } from "../lib/errors.ts";
import { ENOUGH_FILES, fileLimit, RAISE_FILES } from "../lib/limits.ts";
import type { Logger } from "../lib/log.ts";
import { readProcessFile } from "../lib/process.ts";

/** Looks at the limit of the running HAProxy, and warns if it is low. */
export async function warnOfLimits(ask: Runtime["ask"], log: Logger): Promise<void> {
  try {
    const info = await ask("show info");
    const number = (field: string): number =>
      Number(new RegExp(`^${field}: (\\d+)$`, "m").exec(info)?.[1] ?? 0);
    const [worker, connections] = [number("Pid"), number("Maxconn")];
    const files = isHaproxy(worker) ? fileLimit(worker) : undefined;
    if (files === undefined || files >= ENOUGH_FILES) return;
    log.warn(
      `HAProxy takes ${connections} connections at most, as it may have only ${files} files open: ` +
        RAISE_FILES,
      { event: "few files", files, connections },
    );
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    log.debug(`HAProxy's limits cannot be told: ${error.message}`);
  }
}

/** Whether this is HAProxy. In a container of its own it has another process ID there. */
export function isHaproxy(pid: number): boolean {
  return readProcessFile(`/proc/${pid}/comm`).startsWith("haproxy");
}
