// Starts real HAProxys of several versions and asks them. It does not use the code under test.

import { existsSync, mkdirSync } from "node:fs";
import { createConnection } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { eventually } from "./http.ts";
import { labDir } from "./leftovers.ts";

export type HaproxyVersion = "2.6" | "3.0" | "3.2" | "3.4";

const VERSIONS: readonly HaproxyVersion[] = ["2.6", "3.0", "3.2", "3.4"];
// A start takes some 100 ms. This is enough on a loaded machine with two cores.
const READY_MS = 10_000;
// An answer takes milliseconds. This is enough on a loaded machine.
const CLI_MS = 10_000;
// A process that is just starting may never answer. Then the command is sent again.
const FIRST_ANSWER_MS = 300;

/** A running HAProxy in master-worker mode. */
export interface Haproxy {
  version: HaproxyVersion;
  /** The process ID of the master. */
  pid: number;
  dir: string;
  configFile: string;
  masterSocket: string;
  /** Loads the files again. Returns false if HAProxy refused them and goes on with the old ones. */
  reload(): Promise<boolean>;
  /** The output of HAProxy so far. */
  log(): string;
  stop(): Promise<void>;
}

export interface HaproxyOptions {
  version: HaproxyVersion;
  config: string;
  /** The contents of files that are put beside the configuration, by name. */
  maps?: Record<string, string>;
  /** The folder of the files. A new one by default. */
  dir?: string;
}

/** The versions to test with: `HAPROXY_VERSIONS`, or the oldest and the newest. */
export function haproxyVersions(): HaproxyVersion[] {
  const names = (process.env["HAPROXY_VERSIONS"] ?? "2.6,3.4")
    .split(",")
    .map((name) => name.trim());
  return names.map((name) => {
    const version = VERSIONS.find((known) => known === name);
    if (version === undefined) {
      throw new Error(`HAPROXY_VERSIONS has "${name}": known are ${VERSIONS.join(", ")}`);
    }
    return version;
  });
}

/** The path of HAProxy's program in this version. */
export function haproxyProgram(version: HaproxyVersion): string {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const cached = join(cache, "docker-api-gateway", `haproxy-${version}`, "usr/sbin/haproxy");
  if (existsSync(cached)) return cached;
  const path = `${process.env["PATH"] ?? ""}:/usr/sbin`;
  const installed = Bun.which("haproxy", { PATH: path });
  if (installed !== null && versionOf(installed) === version) return installed;
  throw new Error(
    `Cannot find HAProxy ${version}: not installed; run test/lab/setup haproxy-${version}`,
  );
}

function versionOf(program: string): string | undefined {
  return /version (\d+\.\d+)/.exec(Bun.spawnSync([program, "-v"]).stdout.toString())?.[1];
}

/** Starts HAProxy with this configuration and waits until it serves. */
export async function startHaproxy(options: HaproxyOptions): Promise<Haproxy> {
  const { version, config, maps = {}, dir = labDir("haproxy") } = options;
  mkdirSync(dir, { recursive: true });
  const configFile = join(dir, "haproxy.cfg");
  const masterSocket = join(dir, "master.sock");
  await Bun.write(configFile, config);
  for (const [name, content] of Object.entries(maps)) await Bun.write(join(dir, name), content);

  let output = "";
  const child = Bun.spawn([haproxyProgram(version), "-W", "-S", masterSocket, "-f", configFile], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) output += decoder.decode(chunk, { stream: true });
  })();
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    const workers = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await child.exited;
    clearTimeout(workers);
    await reading;
  };

  try {
    await eventually(
      async () => {
        if (child.exitCode !== null) return;
        // The worker answers when it has bound its ports.
        const info = await cli(masterSocket, "@1 show info", FIRST_ANSWER_MS);
        if (!info.includes("Pid:")) throw new Error(`the worker is not there yet: ${info}`);
      },
      { timeoutMs: READY_MS, everyMs: 10 },
    );
    if (child.exitCode !== null) {
      await reading;
      throw new Error(`it ended with code ${child.exitCode}`);
    }
  } catch (cause) {
    await stop();
    throw new Error(`Cannot start HAProxy ${version}:\n${output}`, { cause });
  }

  return {
    version,
    pid: child.pid,
    dir,
    configFile,
    masterSocket,
    stop,
    log: () => output,
    reload: () => reload(masterSocket),
  };
}

// The process ID of the current worker, and how many reloads have failed.
async function processes(masterSocket: string): Promise<{ worker: string; failed: number }> {
  const answer = await cli(masterSocket, "show proc", FIRST_ANSWER_MS);
  const lines = answer.split("\n").map((line) => line.trim().split(/\s+/));
  const worker = lines.find((words) => words[1] === "worker" && words[2] === "0");
  const failed = /\[failed: (\d+)\]/.exec(answer)?.[1] ?? "0";
  return { worker: worker?.[0] ?? "", failed: Number(failed) };
}

async function reload(masterSocket: string): Promise<boolean> {
  const before = await eventually(() => processes(masterSocket));
  const answer = await cli(masterSocket, "reload");
  if (answer.includes("Success=0")) return false;
  // HAProxy 2.6 does not answer, and its master is away for a moment while it executes itself.
  return eventually(
    async () => {
      const now = await processes(masterSocket);
      if (now.failed > before.failed) return false;
      if (now.worker === "" || now.worker === before.worker) {
        throw new Error("the new worker is not there yet");
      }
      return true;
    },
    { timeoutMs: READY_MS, everyMs: 10 },
  );
}

/** Sends a command to a socket of HAProxy's master or worker, and returns the answer. */
export function cli(socketPath: string, command: string, timeoutMs = CLI_MS): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let answer = "";
  const socket = createConnection({ path: socketPath, allowHalfOpen: true });
  socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer to "${command}"`)));
  socket.setEncoding("utf8");
  socket.on("connect", () => {
    // The master closes only after us. But a worker ends `wait` early if we close.
    if (/\bwait\b/.test(command)) socket.write(`${command}\n`);
    else socket.end(`${command}\n`);
  });
  socket.on("data", (text: string) => {
    answer += text;
  });
  socket.on("end", () => {
    socket.destroy();
    resolve(answer.trimEnd());
  });
  socket.on("error", reject);
  return promise;
}
