// Whether the gateway is well and ready, for who looks after it: an orchestrator, a load balancer, a person.

import { statsSocket, sectionsOf } from "../../config/sections.ts";
import type { State } from "../../gateway/state.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Subject } from "../api.ts";

/** So long Docker or HAProxy may be away before that is told: either may be restarted. In milliseconds. */
const LONGEST_LOSS = 30_000;
/** HAProxy answers within milliseconds, but it may hang. In milliseconds. */
const HAPROXY_PATIENCE = 2_000;
/** HAProxy takes few connections at a time: it is not asked again so soon. In milliseconds. */
const ASK_AGAIN = 1_000;

export class Health {
  /** Since when each Engine is away, by its name, in milliseconds since 1970. The only one has none. */
  readonly #dockerLost = new Map<string, number>();
  /** The same for HAProxy; undefined: it is there. */
  #haproxyLost: number | undefined;
  /** Whether HAProxy once ran all that was to be served. */
  #wasReady = false;
  #asked = { at: -Infinity, answer: Promise.resolve("") };

  /** @param now returns milliseconds since 1970 */
  constructor(
    private readonly subject: Pick<Subject, "state" | "files" | "running" | "isComplete">,
    private readonly now: () => number = Date.now,
  ) {
    for (const { name } of enginesOf(subject.state())) this.#dockerLost.set(name, now());
    this.#haproxyLost = now();
  }

  /** Notes a new state. */
  note(state: State): void {
    const { haproxy, applied } = state;
    for (const { name, connected } of enginesOf(state)) {
      if (connected) this.#dockerLost.delete(name);
      else if (!this.#dockerLost.has(name)) this.#dockerLost.set(name, this.now());
    }
    if (haproxy.version !== undefined) this.#haproxyLost = undefined;
    if (applied !== undefined && this.subject.isComplete()) this.#wasReady = true;
  }

  /** Why it is not well, a sentence each; empty: it is. */
  async problems(): Promise<readonly string[]> {
    const problem = await this.#askHaproxy();
    return [
      ...enginesOf(this.subject.state()).flatMap(({ name, shown }) =>
        this.#lossOf(this.#dockerLost.get(name), `Docker (${shown}) does not answer`, ""),
      ),
      ...this.#lossOf(this.#haproxyLost, "HAProxy does not answer", problem),
    ];
  }

  /** Why it is not ready, a sentence each; empty: HAProxy runs, and has once been told of all containers. */
  async unready(): Promise<readonly string[]> {
    const problem = await this.#askHaproxy();
    if (problem !== "") return [problem];
    if (this.#wasReady) return [];
    const { problem: lines = [] } = this.subject.state();
    return lines.length > 0 ? lines : ["Docker's containers have not all been read yet"];
  }

  #lossOf(since: number | undefined, what: string, why: string): readonly string[] {
    if (since === undefined) return [];
    const ms = this.now() - since;
    if (ms < LONGEST_LOSS) return [];
    const told = `${what} for ${Math.floor(ms / 1000)} s`;
    return [why === "" ? told : `${told}: ${why}`];
  }

  /** Asks HAProxy whether it is there. @returns why not; empty: it is, or there is no way to ask */
  #askHaproxy(): Promise<string> {
    const now = this.now();
    if (now - this.#asked.at >= ASK_AGAIN) this.#asked = { at: now, answer: this.#ask() };
    return this.#asked.answer;
  }

  async #ask(): Promise<string> {
    const { applied } = this.subject.files();
    // A template of the user's own may give no way to ask.
    if (applied !== undefined && statsSocket(sectionsOf(applied)) === undefined) {
      this.#haproxyLost = undefined;
      return "";
    }
    try {
      await this.subject.running(AbortSignal.timeout(HAPROXY_PATIENCE)).ask("show version");
      this.#haproxyLost = undefined;
      return "";
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      this.#haproxyLost ??= this.now();
      return error.message;
    }
  }
}

/** Each Engine, with its name as a person reads it. */
function enginesOf({ engine, engines }: State) {
  return engines.length === 0
    ? [{ name: "", shown: engine.name, connected: engine.connected }]
    : engines.map(({ name, url, connected }) => ({ name, shown: `${name}, ${url}`, connected }));
}
