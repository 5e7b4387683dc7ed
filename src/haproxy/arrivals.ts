// Servers that are to come up: their ports are reached for, sooner than HAProxy's checks could tell.

import { forEachLimited } from "../async.ts";
import { errorMessage } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Operation, ServerLine } from "../operations.ts";
import { bareAddress, isChecked, isLiteral } from "../server-lines.ts";
import { awaitAnswer } from "./probe.ts";

/** A server whose port does not answer by then is left to HAProxy's checks, in milliseconds. */
const PROBE_FOR = 500;
const PROBES_AT_ONCE = 32;

interface Comer {
  readonly key: string;
  readonly server: ServerLine;
}

export class Arrivals {
  /** The last that was planned for each server, by `backend/server`: an older probe is void. */
  readonly #latest = new Map<string, Comer>();

  /** @param setUp tells HAProxy that servers, given as `backend/server`, are up */
  constructor(
    private readonly setUp: (keys: readonly string[]) => Promise<void>,
    private readonly log: Logger,
  ) {}

  /**
   * Reaches for the ports of all that come up by these operations.
   * @returns what to call when HAProxy has the servers: it sets up those that answered by then;
   * later ones are set up when they answer, which nobody waits for
   */
  expect(operations: readonly Operation[]): () => Promise<void> {
    const comers = operations.flatMap((operation) => this.#note(operation));
    const up: string[] = [];
    let report = (key: string): void => void up.push(key);
    const probing = forEachLimited(comers, PROBES_AT_ONCE, async (comer) => {
      const { key, server } = comer;
      const answered = await awaitAnswer(bareAddress(server), Number(server.port), PROBE_FOR);
      if (this.#latest.get(key) !== comer) return;
      if (answered) report(key);
      this.#latest.delete(key);
    });
    probing.catch((error: unknown) => this.log.failure(error));
    return async () => {
      report = (key) => {
        this.setUp([key]).catch((error: unknown) => {
          this.log.debug(`server ${key} is left to HAProxy's checks: ${errorMessage(error)}`);
        });
      };
      await this.setUp(up);
    };
  }

  /** Forgets them all. */
  clear(): void {
    this.#latest.clear();
  }

  #note(operation: Operation): Comer[] {
    if (!("server" in operation)) return [];
    const { backend, server } = operation;
    const comer = { key: `${backend}/${server.name}`, server };
    this.#latest.delete(comer.key);
    const comesUp = ["add server", "enable server", "move server"].includes(operation.do);
    // Where the check asks for more, that the port answers says too little.
    const isProbed = isChecked(server) && server.connecting && isLiteral(server);
    if (!comesUp || server.disabled || !isProbed) return [];
    this.#latest.set(comer.key, comer);
    return [comer];
  }
}
