// A HAProxy that somebody else runs, on the gateway's files.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startHaproxy, type Haproxy, type HaproxyVersion } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { gatewayDir, startGateway } from "./gateway.ts";
import { freePort } from "../lab/ports.ts";
import { showProcesses, type Processes } from "./processes.ts";

export interface External {
  /** Where its configuration is; what a gateway for it needs besides its own flags. */
  options: { version: HaproxyVersion; dir: string; port: number; managed: false };
  haproxy: Haproxy;
  processes: () => Promise<Processes>;
}

/** Starts a HAProxy on files that the gateway has made, as an installed one is. */
export async function startExternal(
  version: HaproxyVersion,
  dockerHost: string,
): Promise<External> {
  const options = { version, dir: gatewayDir(), port: await freePort(), managed: false } as const;
  const flags = ["--once", "--reload-cmd", "/bin/true"];
  const gateway = await startGateway({ ...options, dockerHost, flags });
  const status = await gateway.exited;
  if (status !== 0) throw new Error(`Cannot make the first files: ${gateway.log()}`);
  const config = readFileSync(gateway.output, "utf8");
  const haproxy = await startHaproxy({ version, dir: options.dir, config });
  return {
    options,
    haproxy,
    processes: () => eventually(() => showProcesses(join(options.dir, "master.sock"))),
  };
}
