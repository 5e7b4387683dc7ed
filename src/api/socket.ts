// A unix socket at which a running gateway is asked: the one beside its other sockets, or that of --admin.

import { chmodSync, chownSync, lstatSync, rmSync } from "node:fs";
import type { Handler } from "./api.ts";
import { errorMessage, systemCode } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";

/** Who may ask: the gateway's user and the group. */
const MODE = 0o660;
/** While it is made, nobody may. */
const CLOSED = 0o777;
/** Requests have no body. In bytes. */
const LARGEST_BODY = 4_096;
/** Bun ends an answer that is silent for 10 s, on unix sockets too, though its types know of none. */
const PATIENT: object = { idleTimeout: 0 };

export class ApiSocket {
  #server: Bun.Server<undefined> | undefined;
  /** The number of the file that was made. */
  #inode: number | undefined;

  /** @param group the number of the group that may ask, too; undefined: the gateway's own */
  constructor(
    readonly path: string,
    private readonly handler: Handler,
    private readonly group: number | undefined,
    private readonly log: Logger,
  ) {}

  /** Begins to answer. Where that is not possible a warning says so: the gateway serves all the same. */
  async open(): Promise<void> {
    try {
      await this.listen();
    } catch (error) {
      this.log.warn(`nobody can ask this gateway at ${this.path}: ${errorMessage(error)}`);
    }
  }

  /** The same, for who cannot do without it. @throws Error if that is not possible */
  async listen(): Promise<void> {
    await this.close();
    this.#makeRoom();
    const mask = process.umask(CLOSED);
    try {
      const { path: unix, handler: fetch } = this;
      this.#server = Bun.serve({ unix, fetch, maxRequestBodySize: LARGEST_BODY, ...PATIENT });
    } finally {
      process.umask(mask);
    }
    this.#inode = inodeOf(this.path);
    this.#giveTo(this.group);
    chmodSync(this.path, MODE);
  }

  /** Makes the socket again if somebody removed it. Who listens for changes has to come again. */
  async mend(): Promise<void> {
    if (this.#server === undefined || inodeOf(this.path) === this.#inode) return;
    this.log.warn(`${this.path} was removed by somebody else: it is made again`);
    await this.open();
  }

  /** Ends all answers and removes the socket. */
  async close(): Promise<void> {
    await this.#server?.stop(true);
    this.#server = undefined;
  }

  /** Removes what a gateway left that was killed. @throws Error if something else is there */
  #makeRoom(): void {
    const found = lstatSync(this.path, { throwIfNoEntry: false });
    if (found === undefined) return;
    if (!found.isSocket()) throw new Error("there is something else than a socket");
    rmSync(this.path);
  }

  #giveTo(group: number | undefined): void {
    if (group === undefined) return;
    try {
      chownSync(this.path, -1, group);
    } catch (error) {
      // Without root's rights only the groups of its own user can have it.
      if (systemCode(error) !== "EPERM") throw error;
      this.log.debug(`${this.path} stays the gateway's own: ${errorMessage(error)}`);
    }
  }
}

function inodeOf(path: string): number | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.ino;
}
