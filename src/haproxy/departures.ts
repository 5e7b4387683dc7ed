// Servers and backends on their way out: drained, then removed when nobody uses them any more.

import { errorMessage, GatewayError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { word } from "./commands.ts";

/** How often it is looked whether they can be removed, in milliseconds. */
const LOOK_EVERY = 100;
/** A backend that HAProxy will not let go of is given up after so long, in milliseconds. */
const GIVE_UP = 60_000;

interface Leaving {
  readonly since: number;
  /** When its connections are cut, in milliseconds since 1970. */
  readonly deadline: number;
}

/** Removes what is on its way out, in the background. */
export class Departures {
  /** By `backend/server`. */
  readonly #servers = new Map<string, Leaving>();
  readonly #backends = new Map<string, Leaving>();
  #timer: Timer | undefined;

  /**
   * @param ask sends one line of commands and gives the answer
   * @param exclusively runs a task while nothing else adds or removes
   */
  constructor(
    private readonly ask: (line: string) => Promise<string>,
    private readonly exclusively: <T>(task: () => Promise<T>) => Promise<T>,
    private readonly log: Logger,
  ) {}

  /** Whether a server is on its way out. */
  hasServer(backend: string, server: string): boolean {
    return this.#servers.has(`${backend}/${server}`);
  }

  hasBackend(backend: string): boolean {
    return this.#backends.has(backend);
  }

  /** @param grace how long its connections may last, in milliseconds */
  addServer(backend: string, server: string, grace: number): void {
    const now = Date.now();
    this.#servers.set(`${backend}/${server}`, { since: now, deadline: now + grace });
    this.#schedule(0);
  }

  addBackend(backend: string): void {
    this.#backends.set(backend, { since: Date.now(), deadline: Date.now() + GIVE_UP });
    this.#schedule(0);
  }

  /** Keeps a server after all. True where it was on its way out. */
  keepServer(backend: string, server: string): boolean {
    return this.#servers.delete(`${backend}/${server}`);
  }

  keepBackend(backend: string): boolean {
    return this.#backends.delete(backend);
  }

  /** Forgets them all: a new worker never had them. */
  clear(): void {
    this.#servers.clear();
    this.#backends.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** One look at all of them. */
  async #look(): Promise<void> {
    const byBackend = Map.groupBy(this.#servers, ([key]) => key.slice(0, key.indexOf("/")));
    for (const [backend, servers] of byBackend) {
      const busy = busyServers(await this.ask(`show stat ${word(backend)} 4 -1`));
      for (const [key, { deadline }] of servers) {
        const overdue = Date.now() >= deadline;
        if (busy.has(key) && !overdue) continue;
        await this.exclusively(() => this.#removeServer(key, overdue));
      }
    }
    for (const [backend, { deadline }] of this.#backends) {
      const hasServers = [...this.#servers.keys()].some((key) => key.startsWith(`${backend}/`));
      if (!hasServers) await this.exclusively(() => this.#removeBackend(backend, deadline));
    }
  }

  async #removeServer(key: string, cut: boolean): Promise<void> {
    // Wanted again since it was looked at.
    if (!this.#servers.has(key)) return;
    const name = key.split("/").map(word).join("/");
    const answer = await this.ask(
      `${cut ? `shutdown sessions server ${name};` : ""}set server ${name} state maint;del server ${name}`,
    );
    if (/Server deleted|No such (server|backend)/i.test(answer)) this.#servers.delete(key);
  }

  async #removeBackend(backend: string, deadline: number): Promise<void> {
    if (!this.#backends.has(backend)) return;
    const answer = await this.ask(`del backend ${word(backend)}`);
    const isGone = /Backend deleted|No such backend|cannot find/i.test(answer);
    if (isGone || Date.now() > deadline) this.#backends.delete(backend);
    if (!isGone) this.log.debug(`backend ${backend} cannot be removed yet: ${answer.trim()}`);
  }

  #schedule(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#look()
        .catch((error: unknown) => {
          // HAProxy may be restarting: what it does not have any more is found gone later.
          if (!(error instanceof GatewayError)) throw error;
          this.log.debug(`what is on its way out stays for now: ${errorMessage(error)}`);
        })
        .finally(() => {
          if (this.#servers.size + this.#backends.size > 0) this.#schedule(LOOK_EVERY);
        })
        .catch((error: unknown) => this.log.failure(error));
    }, ms);
  }
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
