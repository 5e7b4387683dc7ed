// Requests of all kinds that may have to wait: GET, HEAD, and POST with a body, one after the other.

import { request } from "../lab/http.ts";

/** What became of a request. All times are of `performance.now()`. */
export interface Outcome {
  readonly method: "GET" | "HEAD" | "POST";
  readonly start: number;
  readonly end: number;
  /** Why it failed; empty if it was answered 200. */
  readonly failure: string;
}

/** The body of a POST, in bytes. It does not fit into one packet. */
const BODY = "x".repeat(3_000);
/** Longer than anybody may wait, in milliseconds. */
const TIMEOUT = 20_000;
const METHODS = ["GET", "HEAD", "POST"] as const;

/** Requests on new connections that go on until they are stopped. */
export class WaitingTraffic {
  readonly #outcomes: Outcome[] = [];
  readonly #pending = new Set<Promise<void>>();
  readonly #timer: Timer;
  #count = 0;

  constructor(
    private readonly port: number,
    private readonly target: string,
    perSecond: number,
  ) {
    this.#timer = setInterval(() => {
      const method = METHODS[this.#count++ % METHODS.length] ?? "GET";
      const sent = this.#send(method).finally(() => this.#pending.delete(sent));
      this.#pending.add(sent);
    }, 1000 / perSecond);
  }

  /** Ends it. Returns what became of all requests. */
  async stop(): Promise<readonly Outcome[]> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
    return this.#outcomes;
  }

  async #send(method: Outcome["method"]): Promise<void> {
    const start = performance.now();
    let failure = "";
    try {
      const { port, target } = this;
      const body = method === "POST" ? BODY : "";
      const { status } = await request({ port, target, method, body, timeoutMs: TIMEOUT });
      if (status !== 200) failure = `it is answered ${status}`;
    } catch (error) {
      failure = String(error);
    }
    this.#outcomes.push({ method, start, end: performance.now(), failure });
  }
}
