// The server state file. Over a reload, servers that were up stay up, and new ones start as down.

import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { forEachLimited } from "../../lib/async.ts";
import { serverStateFile, type Section } from "../../config/sections.ts";
import { errorMessage } from "../../lib/errors.ts";
import { isNoServer, type ServerLine } from "../../config/operations.ts";
import { bareAddress, isChecked, hasIpAndPort, serversIn, weightOf } from "../../config/servers.ts";
import { answers } from "../runtime/readiness.ts";
import { askHaproxy } from "../runtime/socket.ts";

/** A server as `show servers state` has it. Source: management guide, section 9.3. */
export interface ServerState {
  /** All that is said of it. */
  readonly line: string;
  readonly address: string;
  readonly port: string;
  /** Whether its checks say that it answers. */
  readonly isUp: boolean;
  /** For how long its state has been what it is. */
  readonly seconds: number;
  /** From 0 to 256. */
  readonly weight: string;
  /** Whether it is drained or in maintenance, for whatever reason. */
  readonly withoutRequests: boolean;
  /** Whether it was told so at run time, or by its line. Not even bound clients come to it then. */
  readonly inMaintenance: boolean;
}

const PROBES_AT_ONCE = 32;
/** This bit only says that the line had `disabled`. It stays set after the server was enabled. */
const WAS_DISABLED = 4;
/** Source: management guide, `show servers state`, `srv_admin_state`: SRV_ADMF_FMAINT. */
const IN_MAINTENANCE = 1;

/** Source: as above, `srv_op_state`: SRV_ST_STOPPED. */
const STOPPED = "0";
/** The numbers of the fields with a server's weight now, and as its line had it. */
const WEIGHT_FIELD = 7;
const FIRST_WEIGHT_FIELD = 8;
/** The number of the field that says whether a server is spoken to by TLS (`srv_use_ssl`). */
const TLS_FIELD = 20;

const HEADER =
  "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight " +
  "srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health " +
  "srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord " +
  "srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n";

/**
 * Writes the file from which the next worker reads the states of its servers, if the configuration
 * names one. A server that HAProxy knows keeps its state. A new one is up if it gets requests and
 * its port answers now.
 * @param statsSocket undefined if HAProxy does not run
 * @param runningName returns the name of a backend in HAProxy
 * @returns why the file could not be written, and what that means; undefined if it was written
 * @throws GatewayError `haproxy` if HAProxy cannot be asked
 */
export async function saveServerStates(
  sections: readonly Section[],
  statsSocket: string | undefined,
  runningName: (backend: string) => string,
): Promise<string | undefined> {
  const file = serverStateFile(sections);
  if (file === undefined) return undefined;
  const answer =
    statsSocket === undefined ? "" : await askHaproxy(statsSocket, "show servers state");
  const known = readServerStates(answer);
  const lines: string[] = [];
  // A server without checks would stay down forever.
  const checked = serversIn(sections).filter(
    ({ server }) => isChecked(server) && hasIpAndPort(server),
  );
  await forEachLimited(checked, PROBES_AT_ONCE, async ({ backend, server }) => {
    const { name, port, connectCheckOnly, disabled } = server;
    const address = bareAddress(server);
    const state = known.get(`${runningName(backend)}/${name}`);
    const same = state?.address === address && state.port === port && !state.withoutRequests;
    if (same) {
      // HAProxy takes a changed weight back if its line says what it said at first.
      const weight = weightOf(server);
      const fields = state.line
        .split(" ")
        .with(1, backend)
        .with(WEIGHT_FIELD, weight)
        .with(FIRST_WEIGHT_FIELD, weight)
        .with(TLS_FIELD, tlsOf(server));
      lines.push(fields.join(" "));
    }
    // An open port is not enough if the server's check asks for more. A server without requests may be
    // one of a container that does not run yet: nothing is sent there.
    else {
      const up = connectCheckOnly && !disabled && (await answers(address, Number(port)));
      lines.push(newState(backend, server, up));
    }
  });
  try {
    await writeFile(file, `${HEADER}${lines.map((line) => `${line}\n`).join("")}`);
    return undefined;
  } catch (error) {
    return notKept(file, error, await removeStale(file));
  }
}

/** Removes old states: HAProxy would read even a server's port from them. False if that fails. */
async function removeStale(file: string): Promise<boolean> {
  await rm(file, { force: true }).catch(() => undefined);
  return !existsSync(file);
}

function notKept(file: string, error: unknown, isGone: boolean): string {
  const meaning = isGone
    ? "after a reload HAProxy takes servers for up until it has checked them"
    : "HAProxy reads what it said before, and may send requests to dead servers: remove it";
  const problem = `${file} cannot be written (${errorMessage(error)})`;
  return `the states of servers are not kept over reloads: ${problem}; ${meaning}`;
}

/**
 * A line up to `srv_port`, as `HEADER` names its fields: the backend, the name, the address, the state, what the
 * administrator said, the weight, the seconds, the port. To split thousands of lines into all their fields takes
 * half as long again.
 */
const LINE = /^\s*[^\s#]+ (\S+) \S+ (\S+) (\S+) (\S+) (\S+) (\S+) \S+ (\S+)(?: \S+){8} (\S+)/;

/** Reads the answer to `show servers state`: the servers by `backend/server`. */
export function readServerStates(answer: string): Map<string, ServerState> {
  const states = new Map<string, ServerState>();
  for (const line of answer.split("\n")) {
    const [
      ,
      backend,
      name = "",
      address = "",
      operational,
      flags,
      weight = "",
      seconds,
      port = "",
    ] = LINE.exec(line) ?? [];
    if (backend === undefined) continue;
    const admin = Number(flags);
    const inMaintenance = (admin & IN_MAINTENANCE) !== 0;
    // In a former worker it may be one.
    if (inMaintenance && isNoServer(name)) continue;
    states.set(`${backend}/${name}`, {
      line,
      address,
      port,
      isUp: operational !== STOPPED,
      seconds: Number(seconds),
      weight,
      withoutRequests: (admin & ~WAS_DISABLED) !== 0,
      inMaintenance,
    });
  }
  return states;
}

/** Whether a server is spoken to by TLS. HAProxy believes this file more than its configuration. */
function tlsOf({ settings }: ServerLine): "0" | "1" {
  return settings.lastIndexOf("ssl") > settings.lastIndexOf("no-ssl") ? "1" : "0";
}

/** The line of a new server, up or down, with its checks running. */
function newState(backend: string, server: ServerLine, up: boolean): string {
  // Running, with a passed layer 4 check and full health; or stopped, with unknown health.
  const [operational, status, result, health] = up ? [2, 6, 3, 2] : [0, 1, 0, 0];
  return (
    `0 ${backend} 0 ${server.name} ${bareAddress(server)} ${operational} 0 1 1 0 ${status} ` +
    `${result} ${health} 6 0 0 0 - ${server.port} - ${tlsOf(server)} 0 - - 0`
  );
}
