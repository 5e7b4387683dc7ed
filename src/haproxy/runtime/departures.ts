// Servers and backends on their way out: drained, then removed when nobody uses them any more.

import { errorMessage, GatewayError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { ServerLine } from "../../config/operations.ts";
import { serverPath, word } from "./commands.ts";

/** How often it is looked whether they can be removed: at first, and at the longest, in ms. */
const FIRST_LOOK = 100;
const LONGEST_LOOK = 1_000;
const GONE = /No such (server|backend)/i;
/** What HAProxy will not let go of is given up so long after its time, in milliseconds. */
const GIVE_UP = 60_000;

interface LeavingServer {
  readonly server: ServerLine;
  /** When its connections are cut, in milliseconds since 1970. */
  readonly deadline: number;
}

interface LeavingBackend {
  readonly defaults: string;
  /** Since when nothing is in it any more, in milliseconds since 1970. */
  emptySince: number | undefined;
}

/** Removes what is on its way out, in the background. */
export class Departures {
  /** By `backend/server`. */
  readonly #servers = new Map<string, LeavingServer>();
  readonly #backends = new Map<string, LeavingBackend>();
  #timer: Timer | undefined;
  #wait = FIRST_LOOK;
  #isLooking = false;

  /**
   * @param ask sends one line of commands and gives the answer
   * @param exclusively runs a task while nothing else adds or removes
   */
  constructor(
    private readonly ask: (line: string) => Promise<string>,
    private readonly exclusively: <T>(task: () => Promise<T>) => Promise<T>,
    private readonly log: Logger,
  ) {}

  /** Whether a server is on its way out, by `backend/server`. */
  hasServer(key: string): boolean {
    return this.#servers.has(key);
  }

  hasBackend(backend: string): boolean {
    return this.#backends.has(backend);
  }

  /** @param grace how long its connections may last, in milliseconds */
  addServer(backend: string, server: ServerLine, grace: number): void {
    this.#servers.set(`${backend}/${server.name}`, { server, deadline: Date.now() + grace });
    this.#lookSoon();
  }

  addBackend(backend: string, defaults: string): void {
    this.#backends.set(backend, { defaults, emptySince: undefined });
    this.#lookSoon();
  }

  /** Keeps a server after all. Gives what it is, where it was on its way out. */
  keepServer(backend: string, name: string): ServerLine | undefined {
    const key = `${backend}/${name}`;
    const leaving = this.#servers.get(key);
    this.#servers.delete(key);
    return leaving?.server;
  }

  /** Keeps a backend after all. Gives the name of its defaults, where it was on its way out. */
  keepBackend(backend: string): string | undefined {
    const leaving = this.#backends.get(backend);
    this.#backends.delete(backend);
    return leaving?.defaults;
  }

  /** Forgets them all: a new worker never had them. */
  clear(): void {
    this.#servers.clear();
    this.#backends.clear();
    clearTimeout(this.#timer);
  }

  /** One look at all of them. */
  async #look(): Promise<void> {
    const byBackend = Map.groupBy(this.#servers, ([key]) => key.slice(0, key.indexOf("/")));
    for (const [backend, servers] of byBackend) {
      const busy = busyServers(await this.ask(`show stat ${word(backend)} 4 -1`));
      for (const [key, leaving] of servers) {
        const overdue = Date.now() >= leaving.deadline;
        if (busy.has(key) && !overdue) continue;
        await this.exclusively(() => this.#removeServer(key, leaving, overdue));
      }
    }
    for (const [backend, leaving] of this.#backends) {
      const hasServers = [...this.#servers.keys()].some((key) => key.startsWith(`${backend}/`));
      if (!hasServers) await this.exclusively(() => this.#removeBackend(backend, leaving));
    }
  }

  async #removeServer(key: string, leaving: LeavingServer, cut: boolean): Promise<void> {
    // Wanted again since it was looked at.
    if (this.#servers.get(key) !== leaving) return;
    const name = serverPath(key);
    const answer = await this.ask(
      `${cut ? `shutdown sessions server ${name};` : ""}set server ${name} state maint;` +
        surely(`del server ${name}`),
    );
    const isGone = GONE.test(answer);
    const isLate = Date.now() > leaving.deadline + GIVE_UP;
    if (isGone || isLate) this.#servers.delete(key);
    // It is in maintenance; the next comparison with what should be there finds it.
    if (!isGone && isLate) this.log.debug(`server ${key} cannot be removed: ${answer.trim()}`);
  }

  async #removeBackend(backend: string, leaving: LeavingBackend): Promise<void> {
    if (this.#backends.get(backend) !== leaving) return;
    leaving.emptySince ??= Date.now();
    const answer = await this.ask(surely(`del backend ${word(backend)}`));
    const isGone = GONE.test(answer);
    const isLate = Date.now() > leaving.emptySince + GIVE_UP;
    if (isGone || isLate) this.#backends.delete(backend);
    if (!isGone && isLate) {
      this.log.debug(`backend ${backend} cannot be removed: ${answer.trim()}`);
    }
  }

  #lookSoon(): void {
    this.#wait = FIRST_LOOK;
    this.#schedule(0);
  }

  /** Looks after so long; less often where nothing happens, as connections may last for hours. */
  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#lookAndGoOn().catch((error: unknown) => this.log.failure(error));
    }, ms);
  }

  async #lookAndGoOn(): Promise<void> {
    // Who is added while it looks makes it look again when it is done.
    if (this.#isLooking) return;
    const before = this.#count;
    this.#isLooking = true;
    try {
      await this.#look();
    } catch (error) {
      // HAProxy may be restarting: what it does not have any more is found gone later.
      if (!(error instanceof GatewayError)) throw error;
      this.log.debug(`what is on its way out stays for now: ${errorMessage(error)}`);
    } finally {
      this.#isLooking = false;
    }
    this.#wait = this.#count === before ? Math.min(this.#wait * 1.5, LONGEST_LOOK) : FIRST_LOOK;
    if (this.#count > 0) this.#schedule(Math.min(this.#wait, this.#untilDeadline()));
  }

  get #count(): number {
    return this.#servers.size + this.#backends.size;
  }

  /** How long until connections are to be cut, in milliseconds; not sooner than a look takes. */
  #untilDeadline(): number {
    const deadlines = [...this.#servers.values()].map(({ deadline }) => deadline - Date.now());
    return Math.max(FIRST_LOOK, Math.min(...deadlines.filter((ms) => ms > 0)));
  }
}

/**
 * A deletion whose outcome is sure. HAProxy puts what it has to say of earlier commands before the
 * answer, other deletions too, and cuts off what exceeds 1 kB, the answer itself at times. Told
 * again, it says that there is none such.
 */
function surely(deletion: string): string {
  return `${deletion};${deletion}`;
}

/** The servers that have requests now, as `backend/server`. Source: section 9.1 (CSV format). */
function busyServers(csv: string): Set<string> {
  const busy = new Set<string>();
  for (const line of csv.split("\n")) {
    const [backend = "", server = "", queued = "0", , sessions = "0"] = line.split(",");
    if (!line.startsWith("#") && (Number(queued) > 0 || Number(sessions) > 0)) {
      busy.add(`${backend}/${server}`);
    }
  }
  return busy;
}
