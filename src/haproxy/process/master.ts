// The master process of HAProxy: which workers there are, and reloading them.

import { pause } from "../../lib/async.ts";
import { GatewayError } from "../../lib/errors.ts";
import { RefusedConfig } from "./check.ts";
import { askHaproxy } from "../runtime/socket.ts";

/** What `show proc` says. Source: management guide, section 9.4 (Master CLI). */
export interface Processes {
  readonly master: number;
  /** How many times it was told to reload. */
  readonly reloads: number;
  /** How many reloads failed since the last that succeeded; since 3.1 only whether the last did. */
  readonly failed: number;
  /** The workers of the newest configuration. */
  readonly workers: readonly { readonly pid: number; readonly uptime: number }[];
}

/** The numbers of the master and its workers. */
export function pidsOf({ master, workers }: Processes): number[] {
  return [master, ...workers.map(({ pid }) => pid)];
}

/** How long a new worker may take to start, in milliseconds; 10,000 backends take 0.8 s. */
const WORKER_TIMEOUT = 15_000;
/** What a worker is asked while it starts is lost: it is asked again after so long, and longer. */
const FIRST_PATIENCE = 50;
const LONGEST_PATIENCE = 500;
const POLL = 20;

/** Asks the master for its workers. @throws GatewayError `haproxy` */
export function showProcesses(masterSocket: string): Promise<Processes> {
  return retry(() => askProcesses(masterSocket));
}

async function askProcesses(masterSocket: string): Promise<Processes> {
  const answer = await askHaproxy(masterSocket, "show proc;quit");
  if (answer.trim() !== "") return parseProcesses(answer);
  // It hangs up so while it executes itself again; the cause tells that from a wrong answer.
  throw new GatewayError("haproxy", "Cannot read HAProxy's processes: it gave no answer", {
    cause: answer,
  });
}

/** Reads the answer to `show proc`. @throws GatewayError `haproxy` where it is none */
export function parseProcesses(answer: string): Processes {
  let master: number | undefined;
  let [reloads, failed] = [0, 0];
  const workers: { pid: number; uptime: number }[] = [];
  for (const line of answer.split("\n")) {
    // Workers of former configurations only finish their connections.
    if (line.startsWith("# old workers")) break;
    const [pid = "", kind = ""] = line.trim().split(/\s+/);
    if (kind === "master") {
      master = Number(pid);
      [reloads = 0, failed = 0] =
        /(\d+)\s+\[failed: (\d+)\]/.exec(line)?.slice(1).map(Number) ?? [];
    } else if (kind === "worker") {
      // On 2.6 a failed reload leaves the worker here, as one that saw a reload.
      workers.push({ pid: Number(pid), uptime: parseUptime(line) });
    }
  }
  if (master !== undefined) return { master, reloads, failed, workers };
  throw new GatewayError("haproxy", `Cannot read HAProxy's processes: it answered "${answer}"`);
}

/**
 * Whether any worker, an old one included, has a request under way. A connection that only waits for
 * the next one has none. Source: management guide, section 9.3 (`show sess`).
 * @throws GatewayError `haproxy` where one of them cannot be asked
 */
export async function hasRequests(masterSocket: string): Promise<boolean> {
  const processes = await askHaproxy(masterSocket, "show proc;quit");
  for (const [, pid] of processes.matchAll(/^(\d+)\s+worker\b/gm)) {
    const sessions = await askHaproxy(masterSocket, `@!${pid} show sess\nquit`);
    // What is asked of HAProxy itself is no request.
    if (/ fe=(?!GLOBAL|MASTER)/.test(sessions)) return true;
  }
  return false;
}

/** `0d00h01m02s` in seconds. */
function parseUptime(line: string): number {
  const [, days = 0, hours = 0, minutes = 0, seconds = 0] =
    /(\d+)d(\d+)h(\d+)m(\d+)s/.exec(line)?.map(Number) ?? [];
  return ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
}

/**
 * Asks the master to reload.
 * @returns HAProxy's own lines; 2.6 has none and answers before it is done
 * @throws RefusedConfig where HAProxy says that it failed
 */
export async function reloadMaster(masterSocket: string): Promise<void> {
  const answer = await retry(() => askHaproxy(masterSocket, "reload"));
  if (!answer.startsWith("Success=0")) return;
  throw new RefusedConfig("haproxy", "Cannot reload HAProxy: it refused the new configuration", {
    lines: answer
      .split("\n")
      .slice(1)
      .map((line) => line.trim())
      // Its notices are about versions and processes.
      .filter((line) => line !== "" && line !== "--" && !line.startsWith("[NOTICE]")),
  });
}

/**
 * Waits until a worker that was not there before has taken over.
 * @param before the workers before the reload
 * @throws RefusedConfig where the new worker failed; GatewayError `haproxy` where none came
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
      // While the master executes itself again its socket refuses connections.
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

/** Since 3.1 a worker is listed while it still starts, and may fail to; it answers only after. */
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
