// Sends requests to a service all the time, and keeps what came of each.

import { parseAnswer } from "../lab/containers.ts";
import { request } from "../lab/http.ts";

/** How often a request begins, in milliseconds. */
const EVERY = 60;
/** The longest that a container is asked to take, in milliseconds. */
const LONGEST = 400;
/** Nothing may keep a client waiting so long without a byte, in milliseconds. */
export const HANGS = 25_000;

/** A request and what came of it. */
export interface Asked {
  readonly service: string;
  /** When it began and when it ended, in milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
  /** 0 where there was no answer. */
  readonly status: number;
  /** The container that answered, by its name; else what went wrong. */
  readonly by: string;
}

export class Witness {
  readonly asked: Asked[] = [];
  readonly #pending = new Set<Promise<void>>();
  readonly #timer: Timer;
  #count = 0;

  constructor(
    private readonly service: string,
    private readonly port: number,
  ) {
    this.#timer = setInterval(() => {
      const one = this.#ask();
      this.#pending.add(one);
      void one.finally(() => this.#pending.delete(one));
    }, EVERY);
  }

  /** Sends no more, and waits for what is under way. */
  async stop(): Promise<readonly Asked[]> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
    return this.asked;
  }

  async #ask(): Promise<void> {
    const { service, port } = this;
    const from = Date.now();
    const target = `/${service}/slow?ms=${(++this.#count * 37) % LONGEST}`;
    let [status, by] = [0, ""];
    try {
      const response = await request({ port, target, timeoutMs: HANGS });
      status = response.status;
      by = status === 200 ? parseAnswer(response.body).name : response.statusText;
    } catch (error) {
      by = String(error);
    }
    this.asked.push({ service, from, to: Date.now(), status, by });
  }
}
