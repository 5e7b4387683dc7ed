// Servers that get no new requests from now on, which is said to HAProxy before anything else.

import { errorMessage } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { serverPath } from "./commands.ts";

export class Drains {
  readonly #keys = new Set<string>();
  readonly #waiting = new Set<string>();
  #sending: Promise<void> | undefined;

  constructor(
    private readonly send: (commands: readonly string[]) => Promise<void>,
    private readonly log: Logger,
  ) {}

  /** What was drained and not changed since, as `backend/server`. */
  get keys(): ReadonlySet<string> {
    return this.#keys;
  }

  add(backend: string, server: string): void {
    const key = `${backend}/${server}`;
    this.#keys.add(key);
    this.#waiting.add(key);
    this.#sending ??= this.#sendAll();
  }

  /** Waits until HAProxy has them all: what is said of a server later must not come before. */
  async sent(): Promise<void> {
    await this.#sending;
  }

  /** Notes that something else is said of a server. */
  forget(backend: string, server: string): void {
    this.#keys.delete(`${backend}/${server}`);
  }

  clear(): void {
    this.#keys.clear();
  }

  /** On one connection at a time: many containers may be told to end in one moment. */
  async #sendAll(): Promise<void> {
    while (this.#waiting.size > 0) {
      const keys = [...this.#waiting];
      this.#waiting.clear();
      try {
        await this.send(keys.map((key) => `set server ${serverPath(key)} state drain`));
      } catch (error) {
        // The pass that comes next says the same to HAProxy, or reloads it.
        this.log.debug(`not drained: ${keys.join(", ")}: ${errorMessage(error)}`);
      }
    }
    this.#sending = undefined;
  }
}
