// Readiness of servers: their ports are probed directly, which is sooner than HAProxy's checks can tell.

import { bareAddress, hasIpAndPort, isChecked } from "../../config/servers.ts";
import type { Operation, ServerLine } from "../../config/operations.ts";
import { forEachLimited, inBackground, pause } from "../../lib/async.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";

/** A container on this host answers within a millisecond, or it is not there yet. In ms. */
const CONNECT_TIMEOUT = 100;
/** A connection that gets no answer at all cannot be given up: so many are made to one place at a time. */
const MAX_UNANSWERED = 8;
/**
 * The first wait before a probe is repeated and the longest, in milliseconds. Most containers answer
 * within 20 ms. The waits grow slowly, so that an answer is noticed within a few milliseconds.
 */
const FIRST_RETRY = 1;
const LONGEST_RETRY = 20;
const GROWTH = 1.1;
/** Each server is probed so long, in milliseconds. Most answer by then. */
const PROBE_FOR = 500;
/** A ready server answers within a millisecond. One that hangs must not hold up the others. In ms. */
const FIRST_ANSWERS = 5;
/** So many ports are probed at a time. */
const MAX_PARALLEL = 32;
/** So many of those that did not answer in `PROBE_FOR` are probed on at a time: it may be for long. */
const MAX_LATE = 8;

/** A server that should get requests soon. */
interface Candidate {
  /** `backend/server` */
  readonly key: string;
  readonly server: ServerLine;
}

/** The probes of the servers that some operations add, move or enable. */
interface Probes {
  /** The servers that are probed, as `backend/server`. */
  readonly keys: readonly string[];
  /** Returns the servers that answered at once, as `backend/server`. They can start as up. */
  readyAtOnce(): Promise<readonly string[]>;
  /** Goes on in the background with the others. Call it when HAProxy has these servers. */
  goOn(): void;
}

export class ReadinessProbes {
  /** The newest candidate for each key. The probe of an older one no longer counts. */
  readonly #candidates = new Map<string, Candidate>();

  /**
   * @param setUp tells HAProxy that these servers, given as `backend/server`, are up
   * @param patience how long a server is probed for which requests may wait, in milliseconds. It is
   * left to HAProxy's checks after that. Of many servers, only some are probed so long
   */
  constructor(
    private readonly setUp: (keys: readonly string[]) => Promise<void>,
    private readonly patience: number,
    private readonly log: Logger,
  ) {}

  /** Starts to probe the servers that these operations add, move or enable. */
  start(operations: readonly Operation[]): Probes {
    const candidates = operations.flatMap((operation) => this.#toCandidate(operation));
    const ready: Candidate[] = [];
    const silent: Candidate[] = [];
    const firstProbes = forEachLimited(candidates, MAX_PARALLEL, async (candidate) => {
      const { server } = candidate;
      const isReady = await answers(bareAddress(server), Number(server.port));
      (isReady ? ready : silent).push(candidate);
    });
    const goOn = async (): Promise<void> => {
      await firstProbes;
      await this.#setUp(ready);
      const late: Candidate[] = [];
      await forEachLimited(silent, MAX_PARALLEL, async (candidate) => {
        if (await this.#awaitAnswer(candidate, PROBE_FOR)) await this.#setUp([candidate]);
        else late.push(candidate);
      });
      const deadline = Date.now() + Math.max(0, this.patience - PROBE_FOR);
      await forEachLimited(late, MAX_LATE, async (candidate) => {
        const isReady = await this.#awaitAnswer(candidate, deadline - Date.now());
        if (isReady) await this.#setUp([candidate]);
        else this.#settle([candidate]);
      });
    };
    return {
      keys: candidates.map(({ key }) => key),
      readyAtOnce: async () => {
        if (candidates.length > 0) await Promise.race([firstProbes, pause(FIRST_ANSWERS)]);
        this.#forgetSecondChoices(ready);
        return this.#settle(ready.splice(0));
      },
      goOn: () => {
        inBackground(goOn(), (error) => {
          this.log.debug(`some servers are left to HAProxy's checks: ${errorMessage(error)}`);
        });
      },
    };
  }

  /** Forgets a candidate, given as `backend/server`. */
  cancel(key: string): void {
    this.#candidates.delete(key);
  }

  /** Forgets all candidates. */
  clear(): void {
    this.#candidates.clear();
  }

  /** Waits until a server answers, at most `ms` milliseconds. False if it does not. */
  async #awaitAnswer(candidate: Candidate, ms: number): Promise<boolean> {
    const { key, server } = candidate;
    const deadline = Date.now() + ms;
    let wait = FIRST_RETRY;
    // A newer operation for the server ends the wait.
    while (this.#candidates.get(key) === candidate) {
      if (await answers(bareAddress(server), Number(server.port))) return true;
      if (Date.now() >= deadline) return false;
      await pause(wait);
      wait = Math.min(wait * GROWTH, LONGEST_RETRY);
    }
    return false;
  }

  async #setUp(candidates: readonly Candidate[]): Promise<void> {
    const keys = this.#settle(candidates);
    this.#forgetSecondChoices(candidates);
    if (keys.length > 0) await this.setUp(keys);
  }

  /** Ends the wait for these candidates. Returns the keys of those that still count. */
  #settle(candidates: readonly Candidate[]): readonly string[] {
    const current = candidates.filter((each) => this.#candidates.get(each.key) === each);
    for (const { key } of current) this.#candidates.delete(key);
    return current.map(({ key }) => key);
  }

  /** Leaves the second choices at the places of these candidates to HAProxy's checks. */
  #forgetSecondChoices(ready: readonly Candidate[]): void {
    const places = new Set(ready.map(placeOf));
    for (const [key, candidate] of this.#candidates) {
      const isSecond = candidate.server.settings.includes("backup");
      if (isSecond && places.has(placeOf(candidate))) this.#candidates.delete(key);
    }
  }

  #toCandidate(operation: Operation): Candidate[] {
    if (!("server" in operation)) return [];
    const { backend, server } = operation;
    const candidate = { key: `${backend}/${server.name}`, server };
    this.#candidates.delete(candidate.key);
    const getsRequests = ["add server", "enable server", "move server"].includes(operation.do);
    // An open port is not enough if the server's check asks for more.
    const canBeProbed = isChecked(server) && server.connectCheckOnly && hasIpAndPort(server);
    if (!getsRequests || server.disabled || !canBeProbed) return [];
    this.#candidates.set(candidate.key, candidate);
    return [candidate];
  }
}

/** The connections that have no answer yet, by place. */
const unanswered = new Map<string, Set<Promise<boolean>>>();

/** Whether something accepts connections there now. */
export async function answers(host: string, port: number): Promise<boolean> {
  const place = `${host} ${port}`;
  const all = unanswered.get(place) ?? new Set();
  unanswered.set(place, all);
  if (all.size < MAX_UNANSWERED) {
    const connected = canConnect(host, port).finally(() => {
      all.delete(connected);
      if (all.size === 0) unanswered.delete(place);
    });
    all.add(connected);
  }
  const ended = new AbortController();
  const late = pause(CONNECT_TIMEOUT, ended.signal).then(() => false);
  // An earlier one may be answered, as the kernel repeats it.
  return Promise.race([...all, late]).finally(() => ended.abort());
}

/** Bun's own way: it takes half the time that `node:net` takes, and the first one a tenth. */
async function canConnect(hostname: string, port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname, port, socket: { data: () => undefined } });
    socket.end();
    return true;
  } catch {
    return false;
  }
}

/** The backend and address of a candidate, which are those of all ports of its container. */
function placeOf({ key, server }: Candidate): string {
  return `${key.slice(0, key.indexOf("/"))} ${server.address}`;
}
