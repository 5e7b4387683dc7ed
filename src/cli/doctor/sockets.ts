// Asks HAProxy through its sockets for the doctor, and checks that the sockets can be used.

import { existsSync, readFileSync } from "node:fs";
import { pause } from "../../lib/async.ts";
import { errorMessage } from "../../lib/errors.ts";
import { showProcesses } from "../../haproxy/process/master.ts";
import { askHaproxy } from "../../haproxy/runtime/socket.ts";
import { parseConfig, statsSocket } from "../../config/sections.ts";
import type { PathChoice, Paths } from "../../gateway/paths.ts";
import { isOwnConfig } from "../../template/compile.ts";
import { failure, ok, warning, type Asked, type Finding, type HaproxySockets } from "./check.ts";

/** A reload takes up to this long on a loaded machine. The master does not answer then. In ms. */
const RELOAD_TIME = 2_000;
/** How long until the sockets are asked again, in milliseconds. */
const TRY_AGAIN = 200;

/** Asks the HAProxy that the gateway uses, or is to use. Waits while it reloads. */
export async function askSockets(choice: PathChoice, paths: Paths): Promise<HaproxySockets> {
  const deadline = Date.now() + RELOAD_TIME;
  for (;;) {
    const sockets = await askOnce(choice, paths);
    if (problemsOf(sockets).length === 0 || Date.now() > deadline) return sockets;
    await pause(TRY_AGAIN);
  }
}

async function askOnce(
  choice: PathChoice,
  { output, managed, masterSocket }: Paths,
): Promise<HaproxySockets> {
  let [config, unreadable] = ["", ""];
  try {
    if (existsSync(output)) config = readFileSync(output, "utf8");
  } catch (error) {
    unreadable = errorMessage(error);
  }
  const path = statsSocket(parseConfig(config));
  const { answer, ...stats } = path === undefined ? NOBODY : await askWorker(path);
  const hasMaster = managed || choice.masterSocket !== undefined || existsSync(masterSocket);
  const { pids, ...master } = hasMaster ? await askMaster(masterSocket) : { pids: [], path: "" };
  const number = (field: string): number | undefined => {
    const [, digits] = new RegExp(`^${field}: (\\d+)$`, "m").exec(answer) ?? [];
    return digits === undefined ? undefined : Number(digits);
  };
  const worker = number("Pid");
  return {
    isOwnConfig: isOwnConfig(config),
    unreadable,
    stats: path === undefined ? undefined : stats,
    master: hasMaster ? { problem: "", ...master } : undefined,
    worker,
    connections: number("Maxconn"),
    pids: [...new Set([...pids, ...(worker === undefined ? [] : [worker])])],
    version: /^Version: (\d+(?:\.\d+)+)/m.exec(answer)?.[1] ?? "",
  };
}

/** Stands for the answer of the stats socket if the configuration names none. */
const NOBODY = { path: "", problem: "", answer: "" };

async function askWorker(path: string): Promise<Asked & { readonly answer: string }> {
  try {
    const answer = await askHaproxy(path, "show info;show cli level");
    const isAdmin = /^admin$/m.test(answer);
    return { path, answer, problem: isAdmin ? "" : `"${path}" is not of level admin` };
  } catch (error) {
    return { path, answer: "", problem: errorMessage(error) };
  }
}

async function askMaster(path: string): Promise<Asked & { readonly pids: readonly number[] }> {
  try {
    const { master, workers } = await showProcesses(path);
    return { path, problem: "", pids: [master, ...workers.map(({ pid }) => pid)] };
  } catch (error) {
    return { path, problem: errorMessage(error), pids: [] };
  }
}

/** Checks the sockets through which HAProxy is changed and reloaded. */
export function checkSockets(paths: Paths, sockets: HaproxySockets): Finding {
  const { isOwnConfig: isOwn, unreadable, stats, master } = sockets;
  if (unreadable !== "") {
    return failure(
      `${paths.output} cannot be read: ${unreadable}`,
      "run as the user that the gateway runs as",
    );
  }
  if (!isOwn) {
    return warning(
      "HAProxy does not run a configuration of the gateway's yet",
      "its sockets are looked at once the gateway has run",
    );
  }
  if (stats === undefined) {
    return failure(
      `${paths.output} names no stats socket`,
      "let the template write one: stats socket {{haproxy.statsSocket}} level admin",
    );
  }
  const problems = problemsOf(sockets);
  if (problems.length > 0) {
    return failure(
      problems.join("; "),
      "is HAProxy running, and may this user change it through its sockets?",
    );
  }
  return ok([stats.path, ...(master === undefined ? [] : [master.path])].join(" and "));
}

/** What is wrong with the sockets. Empty if the gateway did not write the configuration. */
function problemsOf({ isOwnConfig: isOwn, stats, master }: HaproxySockets): string[] {
  if (!isOwn) return [];
  return [stats?.problem ?? "", master?.problem ?? ""].filter((problem) => problem !== "");
}
