// A HAProxy that somebody else runs, such as systemd.

import { GatewayError } from "../../lib/errors.ts";
import { runProgram } from "../../lib/process.ts";
import { isDeadSocket } from "../runtime/socket.ts";
import {
  awaitNewWorker,
  lastReadOf,
  pidsOf,
  processesIfThere,
  reloadMaster,
  type Processes,
} from "./master.ts";

/** The processes of HAProxy, whether the gateway runs them or somebody else. */
export interface Haproxy {
  /**
   * Makes HAProxy read its files. Waits until it has, if HAProxy can tell.
   * @throws GatewayError `haproxy` if it has not
   */
  reload(): Promise<void>;
  /** When it last read its files, in milliseconds since 1970; undefined if it cannot tell. */
  lastRead(): Promise<number | undefined>;
  /** The IDs of its processes; undefined if it cannot tell. */
  pids(): Promise<readonly number[] | undefined>;
  /** Why it must be reloaded although its files are the same; undefined if it need not be. */
  whyReload(): Promise<string | undefined>;
  /** Ends the HAProxy that the gateway runs. */
  close(): Promise<void>;
}

interface ExternalOptions {
  /** The user's reload command; undefined: use the master's socket, or else the default command. */
  readonly command: readonly string[] | undefined;
  readonly defaultCommand: readonly string[];
  readonly masterSocket: string;
}

/** `systemctl reload` waits for the unit. A command that takes longer than this hangs. In ms. */
const COMMAND_TIMEOUT = 30_000;

export class ExternalHaproxy implements Haproxy {
  /** Whether its master has answered on its socket. */
  #hasMaster = false;

  constructor(private readonly options: ExternalOptions) {}

  async reload(): Promise<void> {
    const { command, defaultCommand, masterSocket } = this.options;
    const before = await this.#processes();
    if (command === undefined && before !== undefined) await reloadMaster(masterSocket);
    else await runReloadCommand(command ?? defaultCommand);
    if (before !== undefined) await awaitNewWorker(masterSocket, before);
  }

  async lastRead(): Promise<number | undefined> {
    const processes = await this.#processes();
    return processes === undefined ? undefined : lastReadOf(processes);
  }

  async pids(): Promise<readonly number[] | undefined> {
    const processes = await this.#processes();
    return processes === undefined ? undefined : pidsOf(processes);
  }

  /** Who runs it looks after its program. A reload by the command brings the master's socket back. */
  async whyReload(): Promise<string | undefined> {
    const { masterSocket } = this.options;
    if (!this.#hasMaster || !(await isDeadSocket(masterSocket))) return undefined;
    // Once: it may run without one from now on.
    this.#hasMaster = false;
    return `${masterSocket} was removed`;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #processes(): Promise<Processes | undefined> {
    const processes = await processesIfThere(this.options.masterSocket);
    this.#hasMaster ||= processes !== undefined;
    return processes;
  }
}

async function runReloadCommand(words: readonly string[]): Promise<void> {
  const { exitCode, lines, timedOut } = await runProgram(words, COMMAND_TIMEOUT);
  if (exitCode === 0 && !timedOut) return;
  const state = timedOut
    ? `it did not end in ${COMMAND_TIMEOUT / 1000} s and was killed`
    : `it ended with exit status ${exitCode}`;
  throw new GatewayError("haproxy", `Cannot reload HAProxy with "${words.join(" ")}": ${state}`, {
    lines,
    hint: "run it by hand; --reload-cmd names another, --manage-haproxy does without",
  });
}
