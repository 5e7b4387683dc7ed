// Starts HAProxy's unit in the place of a HAProxy that runs, while that one serves.

import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pause } from "../../lib/async.ts";
import { showProcesses } from "../../haproxy/process/master.ts";
import { signalProcess } from "../../lib/process.ts";
import { haproxyCommand, haproxyUnit, type HaproxyService } from "./haproxy-unit.ts";
import { mainProcess, runCommand } from "./systemd.ts";
import { HAPROXY_UNIT, quoteWord, UNIT } from "./unit.ts";

/** Units and their parts for one start only: they are gone after a reboot. Source: systemd.unit(5). */
const TRANSIENT = "/run/systemd/system";
/** Serves while HAProxy's unit is started anew. */
const BRIDGE = "docker-api-gateway-haproxy-bridge.service";
/** How often something that takes milliseconds is looked at, in milliseconds. */
const POLL = 50;

/**
 * Moves a HAProxy that the gateway runs itself into its unit.
 * @param pid the gateway that runs it; told to end, it would end HAProxy too
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
  await startWithSockets(service, statsSocket);
  signalProcess(master, "SIGUSR1");
}

/**
 * Starts HAProxy's unit anew: systemd gives a running process no other rights, and no other program.
 * Meanwhile another HAProxy serves.
 * @throws GatewayError if one of them does not start
 */
export async function startAnew(service: HaproxyService, statsSocket: string): Promise<void> {
  const masterSocket = join(dirname(service.masterSocket), "haproxy.bridge.sock");
  const bridge = { ...service, masterSocket };
  const file = join(TRANSIENT, BRIDGE);
  try {
    const taking = `ExecStart=${commandLine(withSockets(bridge, statsSocket))}`;
    await writeFile(
      file,
      haproxyUnit(bridge).replace(/^ExecStart=.*$/m, () => taking),
    );
    await runCommand("systemctl", "daemon-reload");
    await runCommand("systemctl", "start", BRIDGE);
    await runCommand("systemctl", "stop", HAPROXY_UNIT);
    await startWithSockets(service, statsSocket);
  } finally {
    await runCommand("systemctl", "stop", BRIDGE);
    await rm(file, { force: true });
    await rm(masterSocket, { force: true });
    await runCommand("systemctl", "daemon-reload");
  }
}

/** Starts HAProxy's unit with the listening sockets of the HAProxy that has this stats socket. */
async function startWithSockets(service: HaproxyService, statsSocket: string): Promise<void> {
  const folder = join(TRANSIENT, `${HAPROXY_UNIT}.d`);
  const words = withSockets(service, statsSocket);
  try {
    await mkdir(folder, { recursive: true });
    const text = `[Service]\nExecStart=\nExecStart=${commandLine(words)}\n`;
    await writeFile(join(folder, "take-over.conf"), text);
    await runCommand("systemctl", "daemon-reload");
    await runCommand("systemctl", "start", HAPROXY_UNIT);
  } finally {
    await rm(folder, { recursive: true, force: true });
    await runCommand("systemctl", "daemon-reload");
  }
}

function commandLine(words: readonly string[]): string {
  return words.map(quoteWord).join(" ");
}

/**
 * The words that start a HAProxy with the listening sockets of another one (`-x`), so that no
 * connection is refused. The other one is ended by SIGUSR1 and finishes its requests: `-sf` would not
 * do, as a master does not pass it on. Source: management guide, sections 3 and 4.
 */
function withSockets(service: HaproxyService, statsSocket: string): string[] {
  return [...haproxyCommand(service), "-x", statsSocket];
}
