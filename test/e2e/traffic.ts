// A client in the background whose every request counts.

import { request } from "../lab/http.ts";

export interface TrafficOptions {
  /** 127.0.0.1 by default. */
  host?: string;
  port: number;
  target: string;
  /** Requests per second, each on a connection of its own. */
  perSecond: number;
  /** A request that takes longer has failed; one takes milliseconds. */
  timeoutMs?: number;
}

export interface TrafficReport {
  requests: number;
  /** What was wrong with the others. */
  failures: string[];
  /** How many requests each container answered, by its name. */
  answered: Map<string, number>;
  slowestMs: number;
}

/** Requests that go on until they are stopped. */
export class Traffic {
  readonly #report: TrafficReport = {
    requests: 0,
    failures: [],
    answered: new Map(),
    slowestMs: 0,
  };
  readonly #pending = new Set<Promise<void>>();
  readonly #timer: Timer;
  readonly #started = performance.now();

  constructor(private readonly options: TrafficOptions) {
    this.#timer = setInterval(() => this.#send(), 1000 / options.perSecond);
  }

  /** Ends it, and tells how it went once every request has been answered. */
  async stop(): Promise<TrafficReport> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
    return this.#report;
  }

  #send(): void {
    const sent = this.#request();
    this.#pending.add(sent);
    void sent.finally(() => this.#pending.delete(sent));
  }

  async #request(): Promise<void> {
    const { host = "127.0.0.1", port, target, timeoutMs = 5_000 } = this.options;
    const start = performance.now();
    this.#report.requests++;
    try {
      const response = await request({ host, port, target, timeoutMs });
      if (response.status !== 200) throw new Error(`it is answered ${response.status}`);
      const name = response.header("X-Container") ?? "nobody";
      this.#report.answered.set(name, (this.#report.answered.get(name) ?? 0) + 1);
    } catch (error) {
      const [at, took] = [start - this.#started, performance.now() - start].map(Math.round);
      this.#report.failures.push(`request at ${at} ms, after ${took} ms: ${String(error)}`);
    }
    this.#report.slowestMs = Math.max(this.#report.slowestMs, performance.now() - start);
  }
}
