// The doctor's checks of HAProxy: its program, its reload, its addresses and its limits.

import { existsSync } from "node:fs";
import { pause } from "../../lib/async.ts";
import { ENOUGH_FILES, fileLimit, RAISE_FILES } from "../../lib/limits.ts";
import { listenersOn, whyNotFree, type Listener, type NotFree } from "../../lib/listeners.ts";
import { isHaproxy } from "../../gateway/limits.ts";
import { DEFAULT_RELOAD_COMMAND, type Paths } from "../../gateway/paths.ts";
import { listenPort } from "../options.ts";
import { readIfThere } from "../../lib/disk.ts";
import { HAPROXY_FILE, isActive } from "../service/systemd.ts";
import { HAPROXY_PATH_UNIT, HAPROXY_UNIT } from "../service/unit.ts";
import { usableHaproxy } from "../setup.ts";
import { failure, ok, warning, type Finding, type HaproxySockets } from "./check.ts";

/** During a reload another worker listens than the one that was asked. So it is asked again. */
const LISTEN_TRIES = 3;
/** In this time a new worker takes over the addresses of the one before it, in milliseconds. */
const TRY_AGAIN = 200;

/** Checks the version of the program, and tells what it can do without a reload. */
export async function checkProgram(program: string, sockets: HaproxySockets): Promise<Finding> {
  const { version } = await usableHaproxy(program);
  if (sockets.version !== "" && sockets.version !== version) {
    return warning(
      `${version}, but ${sockets.version} runs now`,
      "restart HAProxy: its configuration is written for the program that --haproxy names",
    );
  }
  return ok(`${version}, changes servers and routes without a reload, and up to 64 new services`);
}

/**
 * Checks that HAProxy can be reloaded.
 * @param given the user's own command
 */
export async function checkReload(
  given: readonly string[] | undefined,
  { managed, masterSocket }: Paths,
): Promise<Finding> {
  if (managed) {
    return (await hasOwnUnit(masterSocket)) ? checkUnits() : ok("the gateway runs HAProxy itself");
  }
  if (given === undefined && existsSync(masterSocket)) {
    return ok(`through ${masterSocket}`);
  }
  const command = given ?? DEFAULT_RELOAD_COMMAND;
  const [program = ""] = command;
  if (Bun.which(program) !== null) return ok(command.join(" "));
  const state = existsSync(program) ? "this user may not run it" : "there is no such program";
  return failure(
    `Cannot run "${program}": ${state}`,
    "name another --reload-cmd, or use --manage-haproxy",
  );
}

/** Whether `install` made a unit for the HAProxy with this master socket. */
async function hasOwnUnit(masterSocket: string): Promise<boolean> {
  const unit = await readIfThere(HAPROXY_FILE);
  return unit?.includes(` ${masterSocket},`) === true;
}

/** Checks that systemd starts HAProxy when there is a configuration. */
async function checkUnits(): Promise<Finding> {
  if (await isActive(HAPROXY_PATH_UNIT)) return ok(`systemd runs HAProxy, as ${HAPROXY_UNIT}`);
  return failure(
    `${HAPROXY_PATH_UNIT} does not run: systemd does not start HAProxy`,
    `systemctl start ${HAPROXY_UNIT}`,
  );
}

/** The addresses to listen on. */
interface Addresses {
  readonly http: readonly string[];
  readonly https: readonly string[];
}

/**
 * Checks that each address is free for HAProxy, or that this HAProxy listens there.
 * @param asked what HAProxy's sockets said
 * @param ask asks them again
 */
export async function checkListen(
  listen: Addresses,
  paths: Paths,
  asked: HaproxySockets,
  ask: () => Promise<HaproxySockets>,
): Promise<Finding> {
  let sockets = asked;
  for (let tries = 1; ; tries++) {
    const finding = await judgeListeners(listen, paths, sockets);
    if (finding.level === "ok" || tries === LISTEN_TRIES) return finding;
    await pause(TRY_AGAIN);
    sockets = await ask();
  }
}

async function judgeListeners(
  { http, https }: Addresses,
  paths: Paths,
  sockets: HaproxySockets,
): Promise<Finding> {
  const listen = [...http, ...https];
  const held: string[] = [];
  for (const address of listen) {
    const listeners = listenersOn(address);
    if (listeners === undefined) {
      return warning(
        `who listens on ${listen.join(", ")} cannot be told: there is no /proc/net/tcp`,
        "mount /proc to have it looked at",
      );
    }
    const stranger = listeners.find(
      ({ ownPid }) => ownPid === undefined || !sockets.pids.includes(ownPid),
    );
    if (stranger !== undefined) {
      const flag = https.includes(address) ? "--listen-https" : "--listen";
      return judgeStranger({ address, flag }, stranger, paths, sockets);
    }
    const missing = listeners.length === 0 ? await whyMissing(address) : undefined;
    if (missing !== undefined) return failure(`${address}: ${missing.problem}`, missing.hint);
    const own = listeners.map(({ pid }) => pid).join(", ");
    held.push(own === "" ? `${address} free` : `${address} held by this HAProxy (process ${own})`);
  }
  const low = listen.filter((address) => listenPort(address) < 1024);
  if (low.length > 0 && sockets.pids.length === 0 && process.getuid?.() !== 0) {
    return warning(
      `${low.join(", ")}: ports below 1024 are root's`,
      "fine where HAProxy starts as root; else use --listen '*:8080'",
    );
  }
  return ok(held.join(", "));
}

/**
 * Returns why HAProxy cannot listen if this machine lacks the address. The port is not tried:
 * HAProxy may just start there.
 */
function whyMissing(address: string): Promise<NotFree | undefined> {
  return whyNotFree(address.replace(/\d+$/, "0"), () => false);
}

/** Judges a listener that is not known to belong to the gateway's HAProxy. */
function judgeStranger(
  { address, flag }: { readonly address: string; readonly flag: string },
  { pid, program }: Listener,
  paths: Paths,
  sockets: HaproxySockets,
): Finding {
  const text = `${address} is held by ${program}${pid === undefined ? "" : ` (process ${pid})`}`;
  if (pid === undefined && sockets.pids.length > 0) {
    return warning(text, "it may be this HAProxy: run as root to be told");
  }
  if (!program.startsWith("haproxy"))
    return failure(text, `end that program, or use another ${flag}`);
  // The gateway has not run yet, and somebody else runs HAProxy.
  if (!paths.managed && !sockets.isOwnConfig && sockets.pids.length === 0) {
    return warning(text, `fine where that one reads ${paths.output}; else end it`);
  }
  return failure(
    `${text}, another HAProxy than the gateway's`,
    `end that one, or use another ${flag}: two share a port without a word, and the requests too`,
  );
}

/** Checks how many files, and so connections, HAProxy may have open. */
export function checkLimits({ worker, connections }: HaproxySockets): Finding {
  // The worker may have ended by now. If it is in a container, it has another process ID there.
  // This program has the limits with which HAProxy would start.
  const own = worker !== undefined && isHaproxy(worker) ? fileLimit(worker) : undefined;
  const files = own ?? fileLimit("self");
  if (files === undefined) {
    return warning(
      "cannot be told: there is no /proc/self/limits",
      "mount /proc to have it looked at",
    );
  }
  const most = files === Infinity ? "unlimited" : files;
  const holder = own === undefined ? "" : `, for HAProxy (process ${worker})`;
  const text = `${most} open files at most${holder}`;
  if (files >= ENOUGH_FILES) return ok(text);
  return warning(
    connections === undefined ? text : `${text}, so ${connections} connections`,
    RAISE_FILES,
  );
}
