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

/** The time in which a container did not answer. All times are of `performance.now()`. */
export interface Outage {
  readonly from: number;
  readonly to: number;
}

/** What outages cost. */
export interface Cost {
  readonly requests: number;
  /** What became of the requests that failed. */
  readonly lost: readonly string[];
  /** How many POSTs a container had taken when it ended: they cannot be sent again. */
  readonly cut: number;
  /** How much longer a request took than the container was away, at the most, in milliseconds. */
  readonly excess: number;
}

/** Adds up what outages cost. */
export function costOf(outcomes: readonly Outcome[], outages: readonly Outage[]): Cost {
  const failed = outcomes.filter(({ failure }) => failure !== "");
  // HAProxy answers 502 where a container took the request and closed the connection. What it could
  // not send is a 503.
  const cut = failed.filter(({ method, failure }) => method === "POST" && failure.endsWith(" 502"));
  const waits = outcomes.map(({ start, end }) => {
    const during = outages.find(({ from, to }) => start < to && end > from);
    return during === undefined ? 0 : end - Math.max(start, during.to);
  });
  return {
    requests: outcomes.length,
    lost: failed
      .filter((each) => !cut.includes(each))
      .map(({ method, failure }) => `${method}: ${failure}`),
    cut: cut.length,
    excess: Math.max(...waits),
  };
}
