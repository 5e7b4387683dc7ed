// src/api/traffic keeps what HAProxy counted in the last hour, for the page at --admin and whoever asks. This file
// looks at HAProxy again and again; ring.ts keeps what it sees, document.ts tells it. It is wholly beside the loop.

import { grown, readTotals, type Totals } from "../../haproxy/runtime/stats.ts";
import { pause } from "../../lib/async.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { Subject } from "../api.ts";
import { POINT, POINTS, Ring, type Point } from "./ring.ts";

/** HAProxy answers within milliseconds, but it may hang. In milliseconds. */
const HAPROXY_PATIENCE = 2_000;
/** So many services have points of their own, 17 MB. Others are counted with all. */
const MOST_RINGS = 4_000;

/** What is kept of a service. */
interface Kept {
  readonly ring: Ring;
  /** For how many points it has not been served. */
  gone: number;
}

export class Traffic {
  readonly all = new Ring();
  /** By the names of backends in the configuration. Who had no request for an hour may have none. */
  readonly #kept = new Map<string, Kept>();
  /** What was counted at the last look, by the names of backends in HAProxy; undefined: there was none. */
  #before: ReadonlyMap<string, Totals> | undefined;
  /** When that was, and when the newest point ended, by the clock. */
  #lookedAt = 0;
  #pointAt: number | undefined;
  /** The ring of all services without one, once somebody asked for it since the last look. */
  #idle: Ring | undefined;
  readonly #end = new AbortController();

  /** @param now returns milliseconds of a clock that only runs forward */
  constructor(
    private readonly subject: Pick<Subject, "state" | "running" | "runningName">,
    private readonly log: Pick<Logger, "failure">,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Begins to look. */
  async run(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      try {
        await this.look();
      } catch (error) {
        this.log.failure(error, "counting what goes on");
      }
      await pause(POINT * 1000, signal);
    }
  }

  /** Ends it. */
  close(): void {
    this.#end.abort();
  }

  /** How long ago the newest point ended, in milliseconds; undefined: there is none. */
  get age(): number | undefined {
    return this.#pointAt === undefined ? undefined : this.now() - this.#pointAt;
  }

  /** The points of a service. @param backend its name in the configuration */
  ringOf(backend: string): Ring {
    return this.#kept.get(backend)?.ring ?? (this.#idle ??= Ring.idleBeside(this.all));
  }

  /** Looks at what HAProxy has counted. Where it does not answer, nothing is known of the time since the last look. */
  async look(): Promise<void> {
    const totals = await this.#read();
    const now = this.now();
    const before = this.#before;
    this.#idle = undefined;
    if (this.#pointAt !== undefined) this.#skip((now - this.#pointAt) / 1000 / POINT - 1);
    if (totals === undefined) {
      if (this.#pointAt !== undefined) this.#skip(1);
      this.#pointAt &&= now;
      return;
    }
    const after = new Map(totals.map((each) => [each.backend, each]));
    if (before !== undefined) {
      this.#note(before, after, Math.max(1, now - this.#lookedAt) / 1000);
      this.#pointAt = now;
    }
    this.#before = after;
    this.#lookedAt = now;
  }

  /** Undefined: HAProxy cannot be asked. */
  async #read(): Promise<readonly Totals[] | undefined> {
    try {
      return await readTotals(this.subject.running(AbortSignal.timeout(HAPROXY_PATIENCE)).ask);
    } catch (error) {
      if (error instanceof GatewayError) return undefined;
      throw error;
    }
  }

  /** Adds a point for each service, and for all of them together. */
  #note(
    before: ReadonlyMap<string, Totals>,
    after: ReadonlyMap<string, Totals>,
    seconds: number,
  ): void {
    const services = this.subject.state().applied?.services ?? [];
    let [requests, errors, time] = [0, 0, 0];
    const seen = new Set<string>();
    for (const { backend } of services) {
      const running = this.subject.runningName(backend);
      const counted = after.get(running);
      if (counted === undefined) continue;
      const was = before.get(running);
      const more = grown(was?.requests ?? 0, counted.requests) / seconds;
      const bad = grown(was?.errors ?? 0, counted.errors) / seconds;
      requests += more;
      errors += bad;
      time += more * counted.meanTime;
      seen.add(backend);
      const kept = this.#kept.get(backend) ?? (more > 0 ? this.#keep(backend) : undefined);
      if (kept === undefined) continue;
      kept.gone = 0;
      kept.ring.add(pointOf(more, bad, counted.meanTime));
    }
    for (const [backend, kept] of this.#kept) {
      if (seen.has(backend)) continue;
      kept.ring.skip();
      kept.gone += 1;
      if (kept.gone >= POINTS) this.#kept.delete(backend);
    }
    this.all.add(pointOf(requests, errors, time / requests));
  }

  /** Undefined: there are too many already. */
  #keep(backend: string): Kept | undefined {
    if (this.#kept.size >= MOST_RINGS) {
      const [gone] = [...this.#kept].toSorted(([, a], [, b]) => b.gone - a.gone);
      if (gone === undefined || gone[1].gone === 0) return undefined;
      this.#kept.delete(gone[0]);
    }
    const kept = { ring: Ring.idleBeside(this.all), gone: 0 };
    this.#kept.set(backend, kept);
    return kept;
  }

  /** Of so many points nothing is known. */
  #skip(count: number): void {
    for (let left = Math.min(Math.round(count), POINTS); left > 0; left--) {
      this.all.skip();
      for (const { ring } of this.#kept.values()) ring.skip();
    }
  }
}

/** @param time the mean until the headers of an answer, in milliseconds */
function pointOf(requests: number, errors: number, time: number): Point {
  return { requests, errors, times: requests === 0 ? Number.NaN : time };
}
