// The server state file: over a reload, what was up stays up, and what is new is not trusted yet.

import { writeFile } from "node:fs/promises";
import { isIP, connect } from "node:net";
import { forEachLimited } from "../async.ts";
import { serverLines, serverStateFile } from "../haproxy-config.ts";
import { askHaproxy } from "./socket.ts";

/** A server as `show servers state` has it. Source: management guide, section 9.3. */
interface ServerState {
  readonly fields: readonly string[];
  readonly address: string;
  readonly port: string;
  readonly inMaintenance: boolean;
}

/** A container on this host answers within a millisecond or is not there yet. */
const PROBE_TIMEOUT = 100;
const PROBES_AT_ONCE = 32;

const HEADER =
  "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight " +
  "srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health " +
  "srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord " +
  "srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n";

/**
 * Writes the file from which the next worker takes its servers' states, where the configuration
 * names one: for a server that HAProxy knows, what it knows; for a new one, whether its port
 * answers now.
 * @param statsSocket undefined where HAProxy does not run
 */
export async function saveServerStates(
  config: string,
  statsSocket: string | undefined,
): Promise<void> {
  const file = serverStateFile(config);
  if (file === undefined) return;
  const known =
    statsSocket === undefined ? new Map<string, ServerState>() : await read(statsSocket);
  const lines: string[] = [];
  await forEachLimited(checkedServers(config), PROBES_AT_ONCE, async (server) => {
    const state = known.get(`${server.backend}/${server.name}`);
    const same =
      state?.address === server.address && state.port === server.port && !state.inMaintenance;
    if (same) lines.push(state.fields.join(" "));
    else lines.push(newState(server, await answers(server.address, Number(server.port))));
  });
  await writeFile(file, `${HEADER}${lines.map((line) => `${line}\n`).join("")}`);
}

interface CheckedServer {
  readonly backend: string;
  readonly name: string;
  readonly address: string;
  readonly port: string;
}

/** The servers that HAProxy checks: one that it does not would never come up again. */
function checkedServers(config: string): CheckedServer[] {
  return serverLines(config).flatMap(({ backend, words }) => {
    const [, name = "", target = "", ...settings] = words;
    const colon = target.lastIndexOf(":");
    const address = target.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
    if (!settings.includes("check") || isIP(address) === 0) return [];
    return [{ backend, name, address, port: target.slice(colon + 1) }];
  });
}

async function read(statsSocket: string): Promise<Map<string, ServerState>> {
  const answer = await askHaproxy(statsSocket, "show servers state");
  const states = new Map<string, ServerState>();
  for (const line of answer.split("\n")) {
    const fields = line.trim().split(" ");
    const [, backend, , name, address = "", , admin = "0"] = fields;
    if (fields.length < 20 || line.startsWith("#")) continue;
    const port = fields[18] ?? "0";
    const inMaintenance = admin !== "0";
    states.set(`${backend}/${name}`, { fields, address, port, inMaintenance });
  }
  return states;
}

/** The line of a server that HAProxy does not know, up or down, with its checks running. */
function newState({ backend, name, address, port }: CheckedServer, up: boolean): string {
  // Running, a passed layer 4 check, full health; or stopped, of unknown health.
  const [operational, status, result, health] = up ? [2, 6, 3, 2] : [0, 1, 0, 0];
  return (
    `0 ${backend} 0 ${name} ${address} ${operational} 0 1 1 0 ${status} ${result} ${health} ` +
    `6 0 0 0 - ${port} - 0 0 - - 0`
  );
}

/** Whether somebody accepts connections there. */
function answers(host: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host, port });
  socket.setTimeout(PROBE_TIMEOUT, () => resolve(false));
  socket.once("connect", () => resolve(true));
  socket.once("error", () => resolve(false));
  return promise.finally(() => socket.destroy());
}
