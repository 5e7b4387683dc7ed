// Moves a HAProxy that the gateway runs itself into the unit of its own, while it serves.

import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pause } from "../../lib/async.ts";
import { showProcesses } from "../../haproxy/process/master.ts";
import { signalProcess } from "../../lib/process.ts";
import { haproxyCommand, type HaproxyService } from "./haproxy-unit.ts";
import { mainProcess, runCommand } from "./systemd.ts";
import { HAPROXY_UNIT, quoteWord, UNIT } from "./unit.ts";

/** For one start only. It is gone after a reboot, whatever happens. Source: systemd.unit(5). */
const DROP_IN = `/run/systemd/system/${HAPROXY_UNIT}.d`;
/** How often something that takes milliseconds is looked at, in milliseconds. */
const POLL = 50;

/**
 * Starts HAProxy in its unit in the place of the one that runs. The new one gets the listening sockets
 * of the old one (`-x`), so no connection is refused. Then the old one finishes its requests (SIGUSR1).
 * Its own `-sf` would not do: a master does not pass it on. Source: management guide, sections 3 and 4.
 * @param pid the gateway that runs the old one; told to end, it would end HAProxy too
 * @throws GatewayError if there is no HAProxy to take over, or the new one does not start
 */
export async function takeOver(
  pid: number,
  service: HaproxyService,
  statsSocket: string,
): Promise<void> {
  const { master } = await showProcesses(service.masterSocket);
  process.kill(pid, "SIGKILL");
  while ((await mainProcess()) === pid) await pause(POLL);
  // Otherwise systemd starts the gateway again meanwhile.
  await runCommand("systemctl", "stop", UNIT);
  const words = [...haproxyCommand(service), "-x", statsSocket];
  try {
    await mkdir(DROP_IN, { recursive: true });
    const text = `[Service]\nExecStart=\nExecStart=${words.map(quoteWord).join(" ")}\n`;
    await writeFile(join(DROP_IN, "take-over.conf"), text);
    await runCommand("systemctl", "daemon-reload");
    await runCommand("systemctl", "start", HAPROXY_UNIT);
    signalProcess(master, "SIGUSR1");
  } finally {
    await rm(DROP_IN, { recursive: true, force: true });
    await runCommand("systemctl", "daemon-reload");
  }
}
