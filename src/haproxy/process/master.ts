// HAProxy's master process: its workers, and how it reloads them.

import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { pause } from "../../lib/async.ts";
import { GatewayError, systemCode } from "../../lib/errors.ts";
import { childrenOf, signalProcess } from "../../lib/process.ts";
import { RefusedConfig } from "./check.ts";
import { askHaproxy, isDeadSocket } from "../runtime/socket.ts";

/** The answer to `show proc`. Source: management guide, section 9.4 (Master CLI). */
export interface Processes {
  readonly master: number;
  /** How many reloads it was asked for. */
  readonly reloads: number;
  /** How many reloads failed since the last good one. Since 3.1: whether the last one failed. */
  readonly failed: number;
  /** The workers of the newest configuration. */
  readonly workers: readonly { readonly pid: number; readonly uptime: number }[];
}

/** The process IDs of the master and its workers. */
export function pidsOf({ master, workers }: Processes): number[] {
  return [master, ...workers.map(({ pid }) => pid)];
}

/** How long a new worker may take to start, in milliseconds. 10,000 backends take 0.8 s. */
const WORKER_TIMEOUT = 15_000;
/** A worker that is starting loses a question. It is asked again after ever longer waits, in ms. */
const FIRST_PATIENCE = 50;
const LONGEST_PATIENCE = 500;
const POLL = 20;

/** Asks the master for its processes. @throws GatewayError `haproxy` */
export function showProcesses(masterSocket: string): Promise<Processes> {
  return retry(() => askProcesses(masterSocket));
}

async function askProcesses(masterSocket: string): Promise<Processes> {
  const answer = await askHaproxy(masterSocket, "show proc;quit");
  if (answer.trim() !== "") return parseProcesses(answer);
  // The master hangs up like this while it executes itself again. The cause marks that case.
  throw new GatewayError("haproxy", "Cannot read HAProxy's processes: it gave no answer", {
    cause: answer,
  });
}

/** Reads the answer to `show proc`. @throws GatewayError `haproxy` if it is something else */
export function parseProcesses(answer: string): Processes {
  let master: number | undefined;
  let [reloads, failed] = [0, 0];
  const workers: { pid: number; uptime: number }[] = [];
  for (const line of answer.split("\n")) {
    // The old workers below this line only finish their connections.
    if (line.startsWith("# old workers")) break;
    const [pid = "", kind = ""] = line.trim().split(/\s+/);
    if (kind === "master") {
      master = Number(pid);
      [reloads = 0, failed = 0] =
        /(\d+)\s+\[failed: (\d+)\]/.exec(line)?.slice(1).map(Number) ?? [];
    } else if (kind === "worker") {
      // On 2.6 the worker stays in this list after a failed reload, with a higher reload count.
      workers.push({ pid: Number(pid), uptime: parseUptime(line) });
    }
  }
  if (master !== undefined) return { master, reloads, failed, workers };
  throw new GatewayError("haproxy", `Cannot read HAProxy's processes: it answered "${answer}"`);
}

/**
 * The process IDs of the workers of earlier configurations. Empty without a master's socket.
 * @throws GatewayError `haproxy` if the master cannot be asked
 */
export async function formerWorkers(masterSocket: string): Promise<number[]> {
  if (!existsSync(masterSocket)) return [];
  const answer = await askHaproxy(masterSocket, "show proc;quit");
  const [, former = ""] = /^# old workers\n((?:[^#].*\n)*)/m.exec(answer) ?? [];
  return [...former.matchAll(/^(\d+)\s+worker\b/gm)].map(([, pid]) => Number(pid));
}

/**
 * Whether any worker has an open request, old workers included. An idle connection is no request.
 * Source: management guide, section 9.3 (`show sess`).
 * @throws GatewayError `haproxy` if one of them cannot be asked
 */
export async function hasRequests(masterSocket: string): Promise<boolean> {
  const processes = await askHaproxy(masterSocket, "show proc;quit");
  for (const [, pid] of processes.matchAll(/^(\d+)\s+worker\b/gm)) {
    if (await workerHasRequests(masterSocket, Number(pid))) return true;
  }
  return false;
}

/** Whether this worker has an open request. @throws GatewayError `haproxy` if it cannot be asked */
export async function workerHasRequests(masterSocket: string, pid: number): Promise<boolean> {
  const sessions = await askHaproxy(masterSocket, `@!${pid} show sess\nquit`);
  // Sessions of HAProxy's own sockets are no requests.
  return / fe=(?!GLOBAL|MASTER)/.test(sessions);
}

/** `0d00h01m02s` in seconds. */
function parseUptime(line: string): number {
  const [, days = 0, hours = 0, minutes = 0, seconds = 0] =
    /(\d+)d(\d+)h(\d+)m(\d+)s/.exec(line)?.map(Number) ?? [];
  return ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
}

/**
 * Asks the master to reload.
 * 2.6 answers before the reload is done, so wait for the new worker too.
 * @throws RefusedConfig with HAProxy's own lines if it says that the reload failed
 */
export async function reloadMaster(masterSocket: string): Promise<void> {
  const answer = await retry(() => askHaproxy(masterSocket, "reload"));
  if (!answer.startsWith("Success=0")) return;
  throw new RefusedConfig("haproxy", "Cannot reload HAProxy: it refused the new configuration", {
    lines: answer
      .split("\n")
      .slice(1)
      .map((line) => line.trim())
      // Notices only name versions and processes.
      .filter((line) => line !== "" && line !== "--" && !line.startsWith("[NOTICE]")),
  });
}

/**
 * Makes a running master read its files, and waits until a new worker runs. If the path of its socket
 * is gone, it gets a signal (management guide, section 3), which makes a new socket too.
 * @param pid of the master
 * @throws GatewayError `haproxy` if it has not read them
 */
export async function reloadProcess(masterSocket: string, pid: number): Promise<void> {
  if (await isDeadSocket(masterSocket)) {
    const workers = childrenOf(pid).map((child) => ({ pid: child, uptime: 0 }));
    signalProcess(pid, "SIGUSR2");
    await awaitNewWorker(masterSocket, { master: pid, reloads: -1, failed: 0, workers });
    return;
  }
  const before = await showProcesses(masterSocket);
  await reloadMaster(masterSocket);
  await awaitNewWorker(masterSocket, before);
}

/** When the workers read their files at the latest, in milliseconds since 1970. */
export function lastReadOf({ workers }: Processes): number | undefined {
  const uptimes = workers.map(({ uptime }) => uptime);
  // HAProxy gives whole seconds, rounded down.
  return uptimes.length === 0 ? undefined : Date.now() - (Math.min(...uptimes) + 1) * 1000;
}

/** What the master says; undefined if it has no socket or nobody listens there. */
export async function processesIfThere(masterSocket: string): Promise<Processes | undefined> {
  try {
    await stat(masterSocket);
    return await showProcesses(masterSocket);
  } catch (error) {
    if (systemCode(error) === "ENOENT" || error instanceof GatewayError) return undefined;
    throw error;
  }
}

/**
 * Waits until a new worker has taken over.
 * @param before the workers before the reload
 * @throws RefusedConfig if the new worker failed; GatewayError `haproxy` if none came
 */
export async function awaitNewWorker(
  masterSocket: string,
  before: Processes | undefined,
): Promise<void> {
  const known = new Set(before?.workers.map(({ pid }) => pid));
  const deadline = Date.now() + WORKER_TIMEOUT;
  let problem = "no new worker started";
  let patience = FIRST_PATIENCE;
  while (Date.now() < deadline) {
    try {
      const { master, reloads, failed, workers } = await askProcesses(masterSocket);
      const isNews = master !== before?.master || reloads !== before.reloads;
      if (isNews && failed > 0) {
        throw new RefusedConfig(
          "haproxy",
          "Cannot reload HAProxy: its new worker failed to start",
          {
            hint: "HAProxy's own log says why (journalctl -u haproxy)",
          },
        );
      }
      const fresh = workers.find(({ pid }) => !known.has(pid));
      if (failed === 0 && fresh !== undefined) {
        const limit = patience;
        patience = Math.min(patience * 2, LONGEST_PATIENCE);
        if (await isReady(masterSocket, fresh.pid, limit)) return;
      }
    } catch (error) {
      // The socket refuses connections while the master executes itself again.
      if (!(error instanceof GatewayError) || error.cause === undefined) throw error;
      problem = error.message;
    }
    await pause(POLL);
  }
  throw new GatewayError(
    "haproxy",
    `Cannot reload HAProxy: not confirmed in ${WORKER_TIMEOUT / 1000} s: ${problem}`,
  );
}

/** Since 3.1 a worker is listed before it has started, and it may still fail. A ready one answers. */
async function isReady(masterSocket: string, pid: number, limit: number): Promise<boolean> {
  const question = `@!${pid} show info\nquit`;
  const answer = await askHaproxy(masterSocket, question, AbortSignal.timeout(limit));
  return answer.includes(`Pid: ${pid}\n`);
}

/** The master's socket refuses connections for a moment around a reload. */
async function retry<T>(action: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await action();
    } catch (error) {
      if (tries === 5) throw error;
      await pause(POLL * tries);
    }
  }
}
