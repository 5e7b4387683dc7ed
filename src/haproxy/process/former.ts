// The workers of earlier configurations: each goes on until the last of its clients is gone, and sends
// requests to addresses as they were. Only the master's socket leads to them still.

import { backendOf, shownEntries } from "../../config/map-file.ts";
import type { Aliases, BackendServer } from "../../config/operations.ts";
import { errorMessage, GatewayError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { word } from "../runtime/commands.ts";
import { askHaproxy } from "../runtime/socket.ts";
import { leadWaiting } from "./leading.ts";
import { formerWorkers } from "./master.ts";
import { readServerStates } from "./server-states.ts";

/** A server as a former worker has it. */
export interface FormerServer {
  readonly backend: string;
  readonly name: string;
  /** Without brackets. */
  readonly address: string;
  readonly port: string;
}

/** No backend is called so: HAProxy answers 503. */
const NO_BACKEND = "_gone";

export class FormerWorkers {
  /** Whether there may be any. Most of the time there are none, and nobody is asked. */
  #mayExist = true;
  /** How many reloads were noted. */
  #reloads = 0;
  /** When HAProxy read its files for the last time that is known, in milliseconds since 1970. */
  #since = Date.now();
  /** What workers call their backends, also the one that is no former worker yet, by process ID. */
  readonly #aliases = new Map<number, Aliases>();
  #worker: number | undefined;

  /** @param hold how long requests wait for a container, in milliseconds */
  constructor(
    private readonly masterSocket: string,
    private readonly log: Logger,
    private readonly hold = 0,
  ) {}

  /** Notes that HAProxy has read its files again: who was its worker is a former one now. */
  note(): void {
    this.#mayExist = true;
    this.#reloads++;
    this.#since = Date.now();
  }

  /**
   * Notes what the worker that runs now calls its backends. It may be a former one soon.
   * @param pid undefined if it is not known
   */
  noteAliases(pid: number | undefined, aliases: Aliases): void {
    if (pid === undefined) return;
    this.#worker = pid;
    this.#aliases.set(pid, aliases);
  }

  /**
   * Whether requests may wait in a former worker: those that came before the last reload wait there, until
   * the hold is over.
   */
  get mayWait(): boolean {
    return this.#mayExist && Date.now() - this.#since < this.hold;
  }

  /**
   * Has the requests that wait in former workers sent to a server that answers. Workers without Lua let
   * them wait.
   * @param version of HAProxy, such as `2.6.12`
   */
  async lead(servers: readonly BackendServer[], version: string): Promise<void> {
    await this.#tell(async (pid) => {
      const ask = (line: string): Promise<string> => this.#ask(pid, line);
      const aliases = this.#aliases.get(pid) ?? {};
      for (const { backend, server } of servers) {
        const running = { backend: aliases[backend] ?? backend, server };
        const problem = await leadWaiting(ask, running, version);
        const what = `what waits for ${backend} in HAProxy's former worker ${pid}`;
        if (problem === undefined) this.log.debug(`${what} is sent to ${server.name}`);
        else this.log.debug(`${what} is not sent to ${server.name}: ${problem}`);
      }
    });
  }

  /**
   * Keeps former workers from servers.
   * @param mustGo decides by what the worker says of each server that gets requests
   */
  async spare(mustGo: (server: FormerServer) => boolean): Promise<void> {
    await this.#tell((pid) => this.#spareIn(pid, mustGo));
  }

  /**
   * Sets entries of maps in former workers, which know those of their time. An entry that one does not have
   * stays away.
   */
  async setEntries(
    entries: readonly { readonly map: string; readonly key: string }[],
    value: string,
  ): Promise<void> {
    if (entries.length === 0) return;
    await this.#tell(async (pid) => {
      for (const { map, key } of entries) {
        await this.#ask(pid, `set map ${word(map)} ${word(key)} ${word(value)}`);
      }
    });
  }

  /** Tells each former worker something. One that cannot be told is no obstacle: it may have ended. */
  async #tell(tell: (pid: number) => Promise<void>): Promise<void> {
    if (!this.#mayExist) return;
    const reloads = this.#reloads;
    let pids: readonly number[] = [];
    await this.#try("workers of earlier configurations were not told", async () => {
      pids = await formerWorkers(this.masterSocket);
      if (pids.length === 0 && reloads === this.#reloads) this.#mayExist = false;
      for (const pid of this.#aliases.keys()) {
        if (pid !== this.#worker && !pids.includes(pid)) this.#aliases.delete(pid);
      }
    });
    for (const pid of pids) {
      await this.#try(`HAProxy's former worker ${pid} was not told`, () => tell(pid));
    }
  }

  /** @param problem what it means if HAProxy cannot be asked */
  async #try(problem: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      this.log.debug(`${problem}: ${errorMessage(error)}`);
    }
  }

  /**
   * A former worker disables no server: its backends are closed, it says. But it takes changes of its
   * maps, which lead the requests of which it has only a part so far, and it closes sessions. One that
   * is at such a server would send its request again if the container ends.
   */
  async #spareIn(pid: number, mustGo: (server: FormerServer) => boolean): Promise<void> {
    const ask = (line: string): Promise<string> => this.#ask(pid, line);
    const states = [...readServerStates(await ask("show servers state"))];
    const gone = new Set<string>();
    for (const [key, { address, port, inMaintenance }] of states) {
      const [backend = "", name = ""] = key.split("/");
      if (!inMaintenance && mustGo({ backend, name, address, port })) gone.add(key);
    }
    if (gone.size === 0) return;
    await closeRoutes(ask, new Set([...gone].map((key) => key.slice(0, key.indexOf("/")))));
    // Where Lua can, also for requests that wait: one may be just about to try such a server.
    for (const key of gone) await ask(`gateway maint ${key.split("/").map(word).join(" ")}`);
    const sessions = await ask("show sess");
    const atGone = [...sessions.matchAll(/^(0x[0-9a-f]+): .* be=(\S+) srv=(\S+) /gm)]
      .filter(([, , backend, server]) => gone.has(`${backend}/${server}`))
      .map(([, id]) => `shutdown session ${id}`);
    for (const command of atGone) await ask(command);
  }

  /** Source: management guide, section 9.4 (Master CLI): `@!PID` leads one command to a worker. */
  #ask(pid: number, command: string): Promise<string> {
    return askHaproxy(this.masterSocket, `@!${pid} ${command}\nquit`);
  }
}

/** Has the requests for backends answered 503 that are still to come. */
async function closeRoutes(
  ask: (line: string) => Promise<string>,
  backends: ReadonlySet<string>,
): Promise<void> {
  const maps = [...(await ask("show map")).matchAll(/^\d+ \((\/.+?)\)/gm)];
  for (const [, path = ""] of maps) {
    for (const [key, value] of shownEntries(await ask(`show map ${word(path)}`))) {
      const backend = backendOf(value);
      if (!backends.has(backend)) continue;
      const closed = NO_BACKEND + value.slice(backend.length);
      await ask(`set map ${word(path)} ${word(key)} ${word(closed)}`);
    }
  }
}
