// The HAProxy that systemd runs for the gateway, in a unit of its own. It outlives the gateway, which
// reloads and watches it. systemd starts it when there is a configuration, and when it dies.

import { inBackground, pause } from "../../lib/async.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { parentAmong, processesOfUnit, waitForEnd } from "../../lib/process.ts";
import { isDeadSocket } from "../runtime/socket.ts";
import type { Haproxy } from "./external.ts";
import {
  awaitNewWorker,
  lastReadOf,
  pidsOf,
  processesIfThere,
  reloadProcess,
  type Processes,
} from "./master.ts";
import { ProgramFile } from "./program.ts";

interface UnitOptions {
  /** The name of the unit. */
  readonly unit: string;
  readonly program: string;
  readonly masterSocket: string;
  /** Called when the program was replaced, before HAProxy is told to run it. */
  readonly replaced: () => Promise<void>;
  /** Called when another HAProxy runs. It runs what its files say, and nothing newer. */
  readonly restarted: () => void;
}

/** How often it is looked whether systemd has started it, in milliseconds. */
const POLL = 200;
/** A HAProxy that has just started has its socket by then, in milliseconds. */
const STARTED = 2_000;

export class HaproxyUnit implements Haproxy {
  readonly #closing = new AbortController();
  readonly #program: ProgramFile;

  constructor(
    private readonly options: UnitOptions,
    private readonly log: Logger,
  ) {
    this.#program = new ProgramFile(options.program, options.replaced, log);
  }

  /** Begins to watch over it. */
  async watch(): Promise<void> {
    const pid = await this.#master();
    if (pid !== undefined) this.log.info(`HAProxy (process ${pid}) is run by ${this.options.unit}`);
    inBackground(this.#watch(pid), (error) => this.log.failure(error));
  }

  async reload(): Promise<void> {
    const pid = await this.#master();
    if (pid === undefined) await this.#started();
    else {
      await this.#listens();
      await reloadProcess(this.options.masterSocket, pid);
    }
  }

  async lastRead(): Promise<number | undefined> {
    const processes = await this.#processes();
    return processes === undefined ? undefined : lastReadOf(processes);
  }

  async pids(): Promise<readonly number[]> {
    const processes = await this.#processes();
    if (processes !== undefined) return pidsOf(processes);
    return processesOfUnit(this.options.unit);
  }

  async whyReload(): Promise<string | undefined> {
    const { masterSocket, unit } = this.options;
    if (!(await isDeadSocket(masterSocket))) return this.#program.whyReload(await this.lastRead());
    return processesOfUnit(unit).length === 0 ? undefined : `${masterSocket} was removed`;
  }

  /** It goes on: systemd runs it. */
  close(): Promise<void> {
    this.#closing.abort();
    return Promise.resolve();
  }

  /** Waits until systemd has started it. The files are there now, so it has read them. */
  async #started(): Promise<void> {
    const { masterSocket, unit } = this.options;
    try {
      await awaitNewWorker(masterSocket, undefined);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      throw new GatewayError("haproxy", `Cannot start HAProxy: ${unit} does not come up`, {
        hint: `journalctl -u ${unit} says why; systemctl start ${unit} starts one that was stopped`,
        cause: error,
      });
    }
  }

  /** Waits for its socket. Before a HAProxy that is starting has it, a signal would end it. */
  async #listens(): Promise<void> {
    const deadline = Date.now() + STARTED;
    while (Date.now() < deadline && (await isDeadSocket(this.options.masterSocket))) {
      await pause(POLL);
    }
  }

  #processes(): Promise<Processes | undefined> {
    return processesIfThere(this.options.masterSocket);
  }

  /** The process ID of its master, also if its socket is gone. */
  async #master(): Promise<number | undefined> {
    const processes = await this.#processes();
    if (processes !== undefined) return processes.master;
    return parentAmong(processesOfUnit(this.options.unit));
  }

  /** Waits for its end, and until systemd has started it again. */
  async #watch(first: number | undefined): Promise<void> {
    const { signal } = this.#closing;
    let pid = first;
    while (!signal.aborted) {
      if (pid === undefined) {
        await pause(POLL, signal);
        const master = (await this.#processes())?.master;
        if (master === undefined || signal.aborted) continue;
        pid = master;
        this.log.info(`systemd has started HAProxy (process ${pid})`);
        this.options.restarted();
      } else {
        await waitForEnd(pid, signal);
        if (!signal.aborted)
          this.log.warn(`HAProxy (process ${pid}) ended; systemd starts it again`);
        pid = undefined;
      }
    }
  }
}
