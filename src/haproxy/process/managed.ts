// The HAProxy that the gateway runs itself: started, reloaded, restarted if it dies, ended gracefully.

import { Backoff, inBackground, pause } from "../../lib/async.ts";
import { errorMessage, GatewayError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { fileLimit, RAISE_FILES } from "../../lib/limits.ts";
import {
  childrenOf,
  commandLineOf,
  parentAmong,
  processIds,
  signalProcess,
  waitForEnd,
} from "../../lib/process.ts";
import { isDeadSocket } from "../runtime/socket.ts";
import {
  awaitNewWorker,
  hasRequests,
  lastReadOf,
  pidsOf,
  processesIfThere,
  reloadProcess,
  showProcesses,
} from "./master.ts";
import { readMessage } from "./messages.ts";
import { ProgramFile } from "./program.ts";
import type { Haproxy } from "./external.ts";

export interface ManagedOptions {
  readonly program: string;
  readonly config: string;
  readonly masterSocket: string;
  /** Called when the program was replaced, before HAProxy is told to run it. */
  readonly replaced: () => Promise<void>;
  /** Called after a restart. HAProxy then runs what its files say, and nothing newer. */
  readonly restarted: () => void;
  /** Makes a message of HAProxy's easier to understand. */
  readonly explain: (message: string) => string;
  /** Whether somebody else tells what a message of its says. */
  readonly noticed: (message: string) => boolean;
}

/** The first wait before a restart and the longest, in milliseconds. */
const FIRST_RESTART = 500;
const LONGEST_RESTART = 30_000;
/** After so long a run the waits start anew, in milliseconds. */
const RAN_WELL = 10_000;
/** When the gateway ends, open requests have so long to finish, in milliseconds. */
const GRACE = 10_000;
/** By then the request has come on a connection that was just opened, in milliseconds. */
const ARRIVING = 300;
/** HAProxy has so long to end after SIGTERM, in milliseconds. */
const TERM_TIMEOUT = 3_000;
/** With as many files HAProxy has 100 connections and several hundred servers. */
const FEW_FILES = 1_000;
/** What HAProxy has open besides, as seen on 2.6 and 3.4 with two threads. */
const OWN_FILES = 48;
const FILES_PER_CONNECTION = 2;
/** After a start in vain with as many as HAProxy itself found fit, half of so many are tried. */
const FIRST_TRY = 200;
/** How many of HAProxy's last lines are kept, for the error if it does not start. */
const LINES_KEPT = 20;

export class ManagedHaproxy implements Haproxy {
  #pid: number | undefined;
  #starting: Promise<void> | undefined;
  /** The process that was started and is not up yet. */
  #startingPid: number | undefined;
  readonly #closing = new AbortController();
  readonly #backoff = new Backoff(FIRST_RESTART, LONGEST_RESTART);
  readonly #lastLines: string[] = [];
  readonly #program: ProgramFile;

  constructor(
    private readonly options: ManagedOptions,
    private readonly log: Logger,
  ) {
    this.#program = new ProgramFile(options.program, options.replaced, log);
  }

  /** Takes over the HAProxy that an earlier gateway left running. False if there is none. */
  async adopt(): Promise<boolean> {
    const master = await this.#findMaster();
    if (master === undefined) return false;
    this.#pid = master;
    this.log.info(
      `took over HAProxy (process ${master}), which an earlier gateway left running; ` +
        "its own log lines are shown again after its next start",
    );
    const [program = ""] = commandLineOf(master);
    if (program !== this.options.program) {
      this.log.warn(
        `HAProxy (process ${master}) was started as ${program}, not as ${this.options.program}, and ` +
          "a reload does not change that: end the gateway and start it again to have the other one",
      );
    }
    this.#watchOver(master, waitForEnd(master, this.#closing.signal));
    return true;
  }

  /** The master of this configuration, by its socket, or else by its command line. */
  async #findMaster(): Promise<number | undefined> {
    const { config, masterSocket } = this.options;
    const isOurs = (pid: number): boolean => {
      const words = commandLineOf(pid);
      return words.includes(config) && words.some((word) => word.startsWith(`${masterSocket},`));
    };
    const asked = (await processesIfThere(masterSocket))?.master;
    if (asked !== undefined && isOurs(asked)) return asked;
    // Somebody may have removed its socket. Beside it a second HAProxy would share the port.
    return parentAmong(processIds().filter(isOurs));
  }

  async reload(): Promise<void> {
    // A HAProxy that is starting may have read the old files.
    await this.#starting?.catch(() => undefined);
    if (this.#pid === undefined) {
      await this.start();
      return;
    }
    await reloadProcess(this.options.masterSocket, this.#pid);
  }

  async lastRead(): Promise<number | undefined> {
    if (this.#pid === undefined) return undefined;
    const processes = await processesIfThere(this.options.masterSocket);
    return processes === undefined ? undefined : lastReadOf(processes);
  }

  async pids(): Promise<readonly number[]> {
    // While it does not run, every listener is somebody else's.
    if (this.#pid === undefined) return [];
    if (await isDeadSocket(this.options.masterSocket)) return [this.#pid, ...childrenOf(this.#pid)];
    return pidsOf(await showProcesses(this.options.masterSocket));
  }

  async whyReload(): Promise<string | undefined> {
    const { masterSocket } = this.options;
    const dead = await isDeadSocket(masterSocket);
    if (this.#pid === undefined) return undefined;
    return dead ? `${masterSocket} was removed` : this.#program.whyReload(await this.lastRead());
  }

  /** Starts it. @throws GatewayError `haproxy` with its own lines if it does not come up */
  start(): Promise<void> {
    // A reload and a restart may both find it dead. Two HAProxys would share the port.
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
      this.#startingPid = undefined;
    });
    return this.#starting;
  }

  /** Starts it, with fewer and fewer connections if it may not have enough files open. */
  async #start(): Promise<void> {
    for (
      let most = connectionsFor(fileLimit("self"));
      ;
      most = Math.floor((most ?? FIRST_TRY) / 2)
    ) {
      try {
        await this.#startWith(most);
        return;
      } catch (error) {
        const isLimit = this.#lastLines.some((line) => line.includes("Cannot raise FD limit"));
        if (!isLimit || most === 1 || this.#closing.signal.aborted) throw error;
      }
    }
  }

  /** @param most how many connections it may take; undefined: as many as it finds fit */
  async #startWith(most: number | undefined): Promise<void> {
    const { program, config, masterSocket } = this.options;
    this.#lastLines.length = 0;
    const master = ["-W", "-S", `${masterSocket},mode,600`];
    // Its master heeds this too, and no `maxconn` of the configuration.
    if (most !== undefined) master.push("-n", String(most));
    // `-db` keeps it in the foreground, even if the configuration says `daemon`.
    const child = this.#spawn([program, ...master, "-db", "-f", config]);
    this.#startingPid = child.pid;
    const output = Promise.all([this.#pass(child.stdout), this.#pass(child.stderr)]);
    const up = awaitNewWorker(masterSocket, undefined).then(() => "up" as const);
    try {
      if ((await Promise.race([child.exited, up])) !== "up") {
        await output;
        throw new GatewayError("haproxy", "Cannot start HAProxy: it ended at once", {
          lines: this.#lastLines.filter((line) => !line.includes("[NOTICE]")),
          hint: hintFor(this.#lastLines.join("\n")),
        });
      }
    } catch (error) {
      // Nobody waits for this promise any more.
      up.catch(() => undefined);
      child.kill("SIGKILL");
      throw error;
    }
    this.#pid = child.pid;
    this.log.info(`started HAProxy (process ${child.pid})`);
    this.#watchOver(
      child.pid,
      child.exited.then(() => undefined),
    );
  }

  /** Ends it, even if it is just starting. Open requests may finish, within a limit. */
  async close(): Promise<void> {
    const pid = this.#pid ?? this.#startingPid;
    this.#closing.abort();
    if (pid === undefined) return;
    this.log.info(`ending HAProxy (process ${pid}) when its requests are done`);
    await endProcess(pid, "SIGUSR1", GRACE, () => this.#isIdle());
    await endProcess(pid, "SIGTERM", TERM_TIMEOUT);
    await endProcess(pid, "SIGKILL", TERM_TIMEOUT);
  }

  /** Whether no client waits for an answer. An idle connection does not count. */
  async #isIdle(): Promise<boolean> {
    try {
      await pause(ARRIVING);
      return !(await hasRequests(this.options.masterSocket));
    } catch (error) {
      if (error instanceof GatewayError) return false;
      throw error;
    }
  }

  /** Ends it without waiting for requests. */
  closeNow(): void {
    const pid = this.#pid ?? this.#startingPid;
    if (pid !== undefined) signalProcess(pid, "SIGTERM");
  }

  #watchOver(pid: number, ended: Promise<void>): void {
    inBackground(this.#watch(pid, ended), (error) => this.log.failure(error));
  }

  /** Waits for its end, and starts it again if nobody asked for the end. */
  async #watch(pid: number, ended: Promise<void>): Promise<void> {
    const started = Date.now();
    await ended;
    if (this.#closing.signal.aborted || this.#pid !== pid) return;
    this.#pid = undefined;
    this.log.error(`HAProxy (process ${pid}) ended by itself; starting it again`);
    if (Date.now() - started > RAN_WELL) this.#backoff.reset();
    while (!this.#closing.signal.aborted && this.#pid === undefined) {
      await pause(this.#backoff.next(), this.#closing.signal);
      if (this.#closing.signal.aborted || this.#pid !== undefined) return;
      try {
        await this.start();
        this.options.restarted();
      } catch (error) {
        // It was ended while it started.
        if (this.#closing.signal.aborted) return;
        this.log.failure(error, "trying again");
      }
    }
  }

  #spawn(words: string[]): Bun.Subprocess<"ignore", "pipe", "pipe"> {
    try {
      return Bun.spawn(words, {
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
        // In a session of its own it does not get Ctrl-C. The gateway ends it gracefully.
        detached: true,
      });
    } catch (error) {
      throw new GatewayError(
        "haproxy",
        `Cannot start HAProxy "${words[0]}": ${errorMessage(error)}`,
        {
          hint: "install it (apt install haproxy), or name the program with --haproxy",
          cause: error,
        },
      );
    }
  }

  /** Passes its output on to the log. */
  async #pass(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of stream) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#passLine(line.trim());
    }
    this.#passLine(rest.trim());
  }

  #passLine(line: string): void {
    if (line === "") return;
    this.#lastLines.push(line);
    if (this.#lastLines.length > LINES_KEPT) this.#lastLines.shift();
    const message = readMessage(line);
    if (message === undefined) return;
    const level = this.options.noticed(message.text) ? "debug" : message.level;
    this.log[level](`haproxy: ${this.options.explain(message.text)}`);
  }
}

/**
 * How many connections HAProxy may take under a limit of open files. Undefined if it can find that out
 * by itself: it takes no fewer than 100 by itself, however few files there are, and then it does not
 * start. Half of what is left beside its own files is for connections, half for its servers' checks.
 * Source: `compute_ideal_maxconn` in HAProxy's src/haproxy.c.
 */
function connectionsFor(files: number | undefined): number | undefined {
  if (files === undefined || files >= FEW_FILES) return undefined;
  return Math.max(1, Math.floor((files - OWN_FILES) / 2 / FILES_PER_CONNECTION));
}

function hintFor(lines: string): string | undefined {
  if (/permission denied/i.test(lines)) {
    return "ports below 1024 are root's: run as root, or use --listen '*:8080'";
  }
  if (/Cannot raise FD limit/.test(lines)) return RAISE_FILES;
  if (/address already in use|cannot bind/i.test(lines)) {
    return "another program has that address: end it, or use another --listen";
  }
  return undefined;
}

/** Sends a signal and waits for the end of the process, or until `isEnough`; at most `limit` ms. */
async function endProcess(
  pid: number,
  name: NodeJS.Signals,
  limit: number,
  isEnough: () => Promise<boolean> = () => Promise.resolve(false),
): Promise<void> {
  const deadline = Date.now() + limit;
  if (!signalProcess(pid, name)) return;
  while (Date.now() < deadline && signalProcess(pid, 0) && !(await isEnough())) await pause(20);
}
