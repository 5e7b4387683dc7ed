// Servers on their way out: they get no new requests, and are removed when nobody uses them any more.

import { inBackground } from "../../lib/async.ts";
import { errorMessage, GatewayError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { ServerLine } from "../../config/operations.ts";
import { serverPath, word } from "./commands.ts";

type OverrideState = "drain" | "maint" | "ready";

/** The servers that are drained, disabled or enabled at once, before that is planned. */
export class Overrides {
  /** When each was told so, as a count of all that were told: what was planned before knows nothing of it. */
  readonly #told = new Map<string, number>();
  #count = 0;
  /** What is to be sent, in its order. */
  readonly #unsent = new Map<string, OverrideState>();
  #sending: Promise<void> | undefined;

  constructor(
    private readonly send: (commands: readonly string[]) => Promise<void>,
    private readonly log: Logger,
  ) {}

  /** The servers that were told so and not changed since, as `backend/server`. */
  get keys(): ReadonlySet<string> {
    return new Set(this.#told.keys());
  }

  /** How many servers were told so up to now. */
  get count(): number {
    return this.#count;
  }

  has(key: string): boolean {
    return this.#told.has(key);
  }

  /** Whether a server was told so after the count was this. */
  isNewer(key: string, count: number): boolean {
    return (this.#told.get(key) ?? 0) > count;
  }

  /** Drains, disables or enables a server in the background. If that fails, the next pass does it. */
  set(backend: string, server: string, state: OverrideState): void {
    const key = `${backend}/${server}`;
    this.#note(key);
    // The last word counts, and comes last.
    this.#unsent.delete(key);
    this.#unsent.set(key, state);
    this.#sending ??= this.#sendAll();
  }

  /** Disables servers, given as `backend/server`. @throws GatewayError `haproxy` if that fails */
  async disable(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#note(key);
    // A drain that came later would let clients that are bound to a server come back to it.
    await this.sent();
    await this.send(keys.map((key) => `set server ${serverPath(key)} state maint`));
  }

  /** Waits until HAProxy knows all of them. A later command for such a server must not overtake it. */
  async sent(): Promise<void> {
    await this.#sending;
  }

  /** Notes that a server got another command since. */
  forget(backend: string, server: string): void {
    this.#told.delete(`${backend}/${server}`);
  }

  clear(): void {
    this.#told.clear();
  }

  #note(key: string): void {
    this.#told.set(key, ++this.#count);
  }

  /** Uses one connection at a time, as many containers may be told to end in the same moment. */
  async #sendAll(): Promise<void> {
    while (this.#unsent.size > 0) {
      const states = [...this.#unsent];
      this.#unsent.clear();
      try {
        await this.send(
          states.map(([key, state]) => `set server ${serverPath(key)} state ${state}`),
        );
      } catch (error) {
        const keys = states.map(([key]) => key).join(", ");
        // The next pass does it too, or reloads HAProxy.
        this.log.debug(`not drained: ${keys}: ${errorMessage(error)}`);
      }
    }
    this.#sending = undefined;
  }
}

/** How often it is checked whether they are idle: at first, and at the longest, in milliseconds. */
const FIRST_CHECK = 100;
const LONGEST_CHECK = 1_000;
/** What HAProxy answers about a server or a backend that it does not have. */
export const GONE = /No such (server|backend)/i;
/** The same, or that it has just removed it: of two deletions the first may come too early. */
const DELETED = /No such (server|backend)|(Server|Backend) deleted/i;
/** What HAProxy still does not remove so long after the deadline is given up, in milliseconds. */
const GIVE_UP = 60_000;

interface DrainingServer {
  readonly server: ServerLine;
  /** When its connections are closed, in milliseconds since 1970. */
  readonly deadline: number;
}

interface DrainingBackend {
  readonly defaults: string;
  /** Since when it has no server, in milliseconds since 1970. */
  emptySince: number | undefined;
}

/** Removes drained servers, and backends without servers, in the background. */
export class Removals {
  /** By `backend/server`. */
  readonly #servers = new Map<string, DrainingServer>();
  readonly #backends = new Map<string, DrainingBackend>();
  #timer: Timer | undefined;
  #interval = FIRST_CHECK;
  #isChecking = false;

  /**
   * @param ask sends one line of commands and returns the answer
   * @param exclusively runs a task while nothing else adds or removes
   */
  constructor(
    private readonly ask: (line: string) => Promise<string>,
    private readonly exclusively: <T>(task: () => Promise<T>) => Promise<T>,
    private readonly log: Logger,
  ) {}

  /** The servers that are being removed now, as `backend/server`, and the backends. */
  get names(): ReadonlySet<string> {
    return new Set([...this.#servers.keys(), ...this.#backends.keys()]);
  }

  /** Whether a server, given as `backend/server`, is being removed. */
  hasServer(key: string): boolean {
    return this.#servers.has(key);
  }

  /** The servers at one of these addresses that are being removed, as `backend/server`. */
  at(addresses: ReadonlySet<string>): string[] {
    const found = [...this.#servers].filter(([, { server }]) => addresses.has(server.address));
    return found.map(([key]) => key);
  }

  hasBackend(backend: string): boolean {
    return this.#backends.has(backend);
  }

  /** @param grace how long its connections may last, in milliseconds */
  addServer(backend: string, server: ServerLine, grace: number): void {
    this.#servers.set(`${backend}/${server.name}`, { server, deadline: Date.now() + grace });
    this.#checkSoon();
  }

  addBackend(backend: string, defaults: string): void {
    this.#backends.set(backend, { defaults, emptySince: undefined });
    this.#checkSoon();
  }

  /** Cancels the removal of a server. Returns the server, or undefined if it was not being removed. */
  cancelServer(backend: string, name: string): ServerLine | undefined {
    const key = `${backend}/${name}`;
    const draining = this.#servers.get(key);
    this.#servers.delete(key);
    return draining?.server;
  }

  /** Cancels the removal of a backend. Returns its defaults, or undefined if it was not being removed. */
  cancelBackend(backend: string): string | undefined {
    const draining = this.#backends.get(backend);
    this.#backends.delete(backend);
    return draining?.defaults;
  }

  /** Forgets them all: a new worker never had them. */
  clear(): void {
    this.#servers.clear();
    this.#backends.clear();
    clearTimeout(this.#timer);
  }

  /** Removes those that are idle or overdue. */
  async #removeIdle(): Promise<void> {
    const byBackend = Map.groupBy(this.#servers, ([key]) => key.slice(0, key.indexOf("/")));
    for (const [backend, servers] of byBackend) {
      const busy = busyServers(await this.ask(`show stat ${word(backend)} 4 -1`));
      for (const [key, draining] of servers) {
        const isOverdue = Date.now() >= draining.deadline;
        if (busy.has(key) && !isOverdue) continue;
        await this.exclusively(() => this.#removeServer(key, draining, isOverdue));
      }
    }
    for (const [backend, draining] of this.#backends) {
      const hasServers = [...this.#servers.keys()].some((key) => key.startsWith(`${backend}/`));
      if (!hasServers) await this.exclusively(() => this.#removeBackend(backend, draining));
    }
  }

  async #removeServer(key: string, draining: DrainingServer, isOverdue: boolean): Promise<void> {
    // The removal may have been cancelled since the check.
    if (this.#servers.get(key) !== draining) return;
    const name = serverPath(key);
    const answer = await this.ask(
      `${isOverdue ? `shutdown sessions server ${name};` : ""}set server ${name} state maint;` +
        deleteAndConfirm(`del server ${name}`),
    );
    const isGone = DELETED.test(answer);
    const isGivenUp = Date.now() > draining.deadline + GIVE_UP;
    if (isGone || isGivenUp) this.#servers.delete(key);
    // It stays in maintenance. The next comparison finds it as drift.
    if (!isGone && isGivenUp) this.log.debug(`server ${key} cannot be removed: ${answer.trim()}`);
  }

  async #removeBackend(backend: string, draining: DrainingBackend): Promise<void> {
    if (this.#backends.get(backend) !== draining) return;
    draining.emptySince ??= Date.now();
    const answer = await this.ask(deleteAndConfirm(`del backend ${word(backend)}`));
    const isGone = DELETED.test(answer);
    const isGivenUp = Date.now() > draining.emptySince + GIVE_UP;
    if (isGone || isGivenUp) this.#backends.delete(backend);
    if (!isGone && isGivenUp) {
      this.log.debug(`backend ${backend} cannot be removed: ${answer.trim()}`);
    }
  }

  #checkSoon(): void {
    this.#interval = FIRST_CHECK;
    this.#schedule(0);
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      inBackground(this.#checkAndRepeat(), (error) => this.log.failure(error));
    }, ms);
  }

  /** Checks again and again, ever more rarely while nothing changes: connections may last for hours. */
  async #checkAndRepeat(): Promise<void> {
    // What is added during a check is found by the one that follows it.
    if (this.#isChecking) return;
    const before = this.#count;
    this.#isChecking = true;
    try {
      await this.#removeIdle();
    } catch (error) {
      // HAProxy may be restarting. What it no longer has then is found to be gone later.
      if (!(error instanceof GatewayError)) throw error;
      this.log.debug(`what is on its way out stays for now: ${errorMessage(error)}`);
    } finally {
      this.#isChecking = false;
    }
    const isStuck = this.#count === before;
    this.#interval = isStuck ? Math.min(this.#interval * 1.5, LONGEST_CHECK) : FIRST_CHECK;
    if (this.#count > 0) this.#schedule(Math.min(this.#interval, this.#untilDeadline()));
  }

  get #count(): number {
    return this.#servers.size + this.#backends.size;
  }

  /** How long until the next deadline, in milliseconds; never shorter than the first interval. */
  #untilDeadline(): number {
    const deadlines = [...this.#servers.values()].map(({ deadline }) => deadline - Date.now());
    return Math.max(FIRST_CHECK, Math.min(...deadlines.filter((ms) => ms > 0)));
  }
}

/**
 * A deletion whose outcome is certain. HAProxy answers with its messages about earlier commands
 * first, and cuts the answer off after 1 kB, sometimes before the outcome. A second deletion answers
 * that there is no such server, or succeeds where the last connection ended in between.
 */
function deleteAndConfirm(deletion: string): string {
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
