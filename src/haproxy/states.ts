// The server state file: over a reload, what was up stays up, and what is new is not trusted yet.

import { writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { forEachLimited } from "../async.ts";
import { serverLines, serverStateFile } from "../haproxy-config.ts";
import { answers } from "./probe.ts";
import { askHaproxy } from "./socket.ts";

/** A server as `show servers state` has it. Source: management guide, section 9.3. */
export interface ServerState {
  readonly fields: readonly string[];
  readonly address: string;
  readonly port: string;
  /** Whether it is in maintenance or drained, whoever wanted that. */
  readonly withoutRequests: boolean;
}

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
 * @param runningName the name that HAProxy has a backend under
 */
export async function saveServerStates(
  config: string,
  statsSocket: string | undefined,
  runningName: (backend: string) => string,
): Promise<void> {
  const file = serverStateFile(config);
  if (file === undefined) return;
  const answer =
    statsSocket === undefined ? "" : await askHaproxy(statsSocket, "show servers state");
  const known = readServerStates(answer);
  const lines: string[] = [];
  await forEachLimited(checkedServers(config), PROBES_AT_ONCE, async (server) => {
    const state = known.get(`${runningName(server.backend)}/${server.name}`);
    const same =
      state?.address === server.address && state.port === server.port && !state.withoutRequests;
    if (same) lines.push(state.fields.with(1, server.backend).join(" "));
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

/** Reads the answer to `show servers state`: the servers by `backend/server`. */
export function readServerStates(answer: string): Map<string, ServerState> {
  const states = new Map<string, ServerState>();
  for (const line of answer.split("\n")) {
    const fields = line.trim().split(" ");
    const [, backend, , name, address = "", , admin = "0"] = fields;
    if (fields.length < 20 || line.startsWith("#")) continue;
    const port = fields[18] ?? "0";
    const withoutRequests = admin !== "0";
    states.set(`${backend}/${name}`, { fields, address, port, withoutRequests });
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
