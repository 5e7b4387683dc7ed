// Clients that ask all the time, GET and POST, on new connections and on kept ones, and keep count.

import { connect, request, requestBytes, type RawConnection } from "../lab/http.ts";

export interface Tally {
  /** How many requests were answered with 200, by method. */
  answered: { GET: number; POST: number };
  /** What went wrong with the others. */
  failures: { method: "GET" | "POST"; what: string }[];
}

/** The header by which each request can be told from all others. */
export const MARK = "X-Mark";

/** Clients in the background, until they are stopped. */
export class Clients {
  readonly #end = new AbortController();
  readonly #tally: Tally = { answered: { GET: 0, POST: 0 }, failures: [] };
  readonly #running: Promise<void>[];
  #count = 0;

  /** @param each how many there are with new connections, and how many with kept ones */
  constructor(
    private readonly port: number,
    private readonly target: string,
    each: number,
  ) {
    this.#running = Array.from({ length: each }, () => [this.#renewing(), this.#keeping()]).flat();
  }

  /** Ends them, once all their requests are done. */
  async stop(): Promise<Tally> {
    this.#end.abort();
    await Promise.all(this.#running);
    return this.#tally;
  }

  async #renewing(): Promise<void> {
    await this.#ask((options) => request({ port: this.port, ...options }));
  }

  async #keeping(): Promise<void> {
    let connection: RawConnection | undefined;
    await this.#ask(async (options) => {
      const open = connection ?? (await connect({ port: this.port }));
      connection = open;
      try {
        open.send(
          requestBytes({
            port: this.port,
            ...options,
            headers: { ...options.headers, Connection: "keep-alive" },
          }),
        );
        const response = await open.response(options.method);
        if (response.header("Connection") === "close") connection = undefined;
        return response;
      } catch (error) {
        open.close();
        connection = undefined;
        throw error;
      }
    });
    connection?.close();
  }

  /** One question after the other. */
  async #ask(
    send: (options: {
      method: string;
      target: string;
      headers: Record<string, string>;
      body: string;
    }) => Promise<{ status: number }>,
  ): Promise<void> {
    while (!this.#end.signal.aborted) {
      const number = this.#count++;
      const method = number % 2 === 0 ? "GET" : "POST";
      try {
        const { status } = await send({
          method,
          target: this.target,
          headers: { [MARK]: String(number) },
          body: method === "POST" ? "something" : "",
        });
        if (status !== 200) throw new Error(`it is answered ${status}`);
        this.#tally.answered[method]++;
      } catch (error) {
        this.#tally.failures.push({ method, what: String(error) });
      }
      // Some hundred requests a second are enough.
      await Bun.sleep(5);
    }
  }
}
