// Notices what somebody removes from under the gateway, such as a cleaner of temporary files, and makes
// the gateway's own folder and lock again. What HAProxy has there comes back by a comparison.

import { existsSync, mkdirSync, watch, type FSWatcher } from "node:fs";
import { dirname } from "node:path";
import { errorMessage, GatewayError } from "../lib/errors.ts";
import type { Lock } from "../lib/lock.ts";
import type { Logger } from "../lib/log.ts";
import { makePrivate } from "./host.ts";
import type { Paths } from "./paths.ts";

interface UpkeepOptions {
  readonly paths: Paths;
  readonly lock: Lock;
  /** Whether systemd makes the folder, which it does only when it starts the gateway. */
  readonly folderIsSystemds: boolean;
}

/** A socket of the gateway's own. */
interface Socket {
  readonly path: string;
  /** Makes it again if it was removed. */
  mend(): Promise<void>;
}

export class Upkeep {
  /** What was there when it was last looked. */
  #there = new Set<string>();
  #watching: FSWatcher | undefined;
  #removed: (() => void) | undefined;
  readonly #lost = new AbortController();
  readonly #sockets: Socket[] = [];

  constructor(
    private readonly options: UpkeepOptions,
    private readonly log: Logger,
  ) {}

  /** Aborted, with the reason, when the gateway has to be started anew. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Looks after a socket of the gateway's own, too. */
  keep(socket: Socket): void {
    this.#sockets.push(socket);
  }

  /**
   * Begins to watch the folder. Without it, a removal is noticed by the comparison of each minute.
   * @param removed called when something was removed
   */
  watch(removed: () => void): void {
    this.#removed = removed;
    this.#watch();
  }

  #watch(): void {
    this.#watching?.close();
    const folder = dirname(this.options.paths.output);
    if (!existsSync(folder)) return;
    this.#look();
    this.#watching = watch(folder, () => {
      if (this.#look()) this.#removed?.();
    }).on("error", (error) => this.log.debug(`${folder} is not watched: ${error.message}`));
  }

  close(): void {
    this.#watching?.close();
  }

  /**
   * Makes again what was removed.
   * @throws GatewayError `config` if that cannot be done, or another gateway has the lock now
   */
  async mend(): Promise<void> {
    const { paths, lock, folderIsSystemds } = this.options;
    const folder = dirname(paths.output);
    const isGone = paths.managed && !existsSync(folder);
    const what = `folder ${folder} was removed by somebody else`;
    if (isGone && folderIsSystemds) {
      this.#lost.abort(
        new GatewayError("config", `Cannot go on: ${what}`, {
          hint: "systemd makes it when it starts the gateway again; HAProxy goes on",
        }),
      );
      this.#lost.signal.throwIfAborted();
    }
    if (isGone) {
      makeOutputFolder(paths);
      this.log.warn(`${what}: it is made again`);
    }
    if (await lock.renew()) {
      this.log.warn(`the lock of ${paths.output} was removed by somebody else: it is made again`);
    }
    for (const socket of this.#sockets) await socket.mend();
    if (isGone && this.#removed !== undefined) this.#watch();
  }

  /** Looks at what is there. Whether something has gone since the last time. */
  #look(): boolean {
    const { output, masterSocket, haproxy } = this.options.paths;
    const wanted = [
      dirname(output),
      output,
      masterSocket,
      haproxy.statsSocket,
      this.options.lock.path,
      ...this.#sockets.map(({ path }) => path),
    ];
    const before = this.#there;
    this.#there = new Set(wanted.filter((path) => existsSync(path)));
    return [...before].some((path) => !this.#there.has(path));
  }
}

/** Makes the folder of the configuration. @throws GatewayError `config` */
export function makeOutputFolder({ output, privateFolders }: Paths): void {
  const path = dirname(output);
  try {
    for (const folder of privateFolders) makePrivate(folder);
    mkdirSync(path, { recursive: true, mode: 0o755 });
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    throw new GatewayError("config", `Cannot make folder "${path}": ${errorMessage(error)}`, {
      hint: "name another --output-file",
      cause: error,
    });
  }
}
