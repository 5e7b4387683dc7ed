// Servers that are to come up: their ports are reached for, sooner than HAProxy's checks could tell.

import { forEachLimited, pause } from "../../lib/async.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { Operation, ServerLine } from "../../config/operations.ts";
import { bareAddress, isChecked, hasIpAndPort } from "../../config/servers.ts";
import { answers, awaitAnswer } from "./probe.ts";

/** A server whose port does not answer by then is left to HAProxy's checks, in milliseconds. */
const PROBE_FOR = 500;
/** One that answers at all does so within a millisecond; what hangs holds up nobody, in ms. */
const AT_ONCE = 5;
const PROBES_AT_ONCE = 32;

interface Comer {
  readonly key: string;
  readonly server: ServerLine;
}

/** Servers that are to come up by some operations. */
interface Expected {
  /** Those whose ports answer at once, as `backend/server`: they can be up from the start. */
  atOnce(): Promise<readonly string[]>;
  /** Sets up the others, once HAProxy has them, when they answer; nobody waits for that. */
  follow(): void;
}

export class Arrivals {
  /** The last that was planned for each server, by `backend/server`: an older probe is void. */
  readonly #latest = new Map<string, Comer>();

  /** @param setUp tells HAProxy that servers, given as `backend/server`, are up */
  constructor(
    private readonly setUp: (keys: readonly string[]) => Promise<void>,
    private readonly log: Logger,
  ) {}

  /** Reaches for the ports of all that come up by these operations. */
  expect(operations: readonly Operation[]): Expected {
    const comers = operations.flatMap((operation) => this.#note(operation));
    const up: Comer[] = [];
    const late: Comer[] = [];
    const asking = forEachLimited(comers, PROBES_AT_ONCE, async (comer) => {
      const { server } = comer;
      const isUp = await answers(bareAddress(server), Number(server.port));
      (isUp ? up : late).push(comer);
    });
    return {
      atOnce: async () => {
        if (comers.length > 0) await Promise.race([asking, pause(AT_ONCE)]);
        return this.#take(up.splice(0));
      },
      follow: () => {
        const following = asking.then(async () => {
          await this.#follow(up);
          await forEachLimited(late, PROBES_AT_ONCE, async (comer) => {
            const { server } = comer;
            const isUp = await awaitAnswer(bareAddress(server), Number(server.port), PROBE_FOR);
            if (isUp) await this.#follow([comer]);
            else this.#take([comer]);
          });
        });
        following.catch((error: unknown) => {
          this.log.debug(`some servers are left to HAProxy's checks: ${errorMessage(error)}`);
        });
      },
    };
  }

  /** Forgets them all. */
  clear(): void {
    this.#latest.clear();
  }

  async #follow(comers: readonly Comer[]): Promise<void> {
    const keys = this.#take(comers);
    if (keys.length > 0) await this.setUp(keys);
  }

  /** Those that are still meant to come up; they are waited for no more. */
  #take(comers: readonly Comer[]): readonly string[] {
    const wanted = comers.filter((comer) => this.#latest.get(comer.key) === comer);
    for (const { key } of wanted) this.#latest.delete(key);
    return wanted.map(({ key }) => key);
  }

  #note(operation: Operation): Comer[] {
    if (!("server" in operation)) return [];
    const { backend, server } = operation;
    const comer = { key: `${backend}/${server.name}`, server };
    this.#latest.delete(comer.key);
    const comesUp = ["add server", "enable server", "move server"].includes(operation.do);
    // Where the check asks for more, that the port answers says too little.
    const isProbed = isChecked(server) && server.connectCheckOnly && hasIpAndPort(server);
    if (!comesUp || server.disabled || !isProbed) return [];
    this.#latest.set(comer.key, comer);
    return [comer];
  }
}
