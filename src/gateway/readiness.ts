// Containers that are new and do not answer: told after a while, as many only take long to start.

import { errorMessage, GatewayError } from "../lib/errors.ts";
import type { Runtime } from "../haproxy/runtime/runtime.ts";
import { readStats, type ServerStats } from "../haproxy/runtime/stats.ts";
import type { Logger } from "../lib/log.ts";
import type { Model, Server } from "../model.ts";

/** What does not answer by then is worth a word, in milliseconds: longer than most take to start. */
const LATE = 10_000;

export class Newcomers {
  /** When each container was routed, in milliseconds since 1970, by its ID. */
  readonly #since = new Map<string, number>();
  #timer: Timer | undefined;

  /**
   * @param served what is served now
   * @param runningName the name that HAProxy has a backend under
   * @param ask asks the running HAProxy
   */
  constructor(
    private readonly served: () => Model,
    private readonly runningName: (backend: string) => string,
    private readonly ask: Runtime["ask"],
    private readonly log: Logger,
  ) {}

  /** Notes containers that are routed from now on, by their IDs. */
  note(ids: readonly string[]): void {
    for (const id of ids) this.#since.set(id, Date.now());
    if (ids.length > 0) this.#schedule(LATE);
  }

  /** Forgets them all. */
  close(): void {
    this.#since.clear();
    clearTimeout(this.#timer);
  }

  #schedule(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#look();
    }, ms);
  }

  async #look(): Promise<void> {
    const due = [...this.#since].filter(([, since]) => Date.now() - since >= LATE);
    for (const [id] of due) this.#since.delete(id);
    const next = Math.min(...this.#since.values());
    if (Number.isFinite(next)) this.#schedule(Math.max(1, next + LATE - Date.now()));
    if (due.length === 0) return;
    try {
      await this.#tell(new Set(due.map(([id]) => id)));
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      this.log.debug(`cannot tell which containers answer: ${errorMessage(error)}`);
    }
  }

  async #tell(ids: ReadonlySet<string>): Promise<void> {
    for (const { name, servers } of this.served().backends) {
      const due = servers.filter(({ id, disabled }) => ids.has(id) && !disabled);
      if (due.length === 0) continue;
      const stats = await readStats(this.ask, this.runningName(name));
      for (const own of Map.groupBy(due, ({ id }) => id).values()) {
        const addresses = own.map(addressOf);
        const seen = stats.filter(({ address }) => addresses.includes(address));
        if (seen.length > 0 && seen.every(hasNeverAnswered)) this.#warn(own);
      }
    }
  }

  #warn(servers: readonly Server[]): void {
    const { container = "", id = "" } = servers[0] ?? {};
    const addresses = servers.map(addressOf).join(" or ");
    this.log.warn(
      `container ${container} does not answer at ${addresses} and gets no requests until it does: ` +
        "is that its port? (label gateway.port)",
      { event: "no answer", container, id, server: addresses },
    );
  }
}

/** Whether a server is down, and was so from the start: one that broke down is another matter. */
function hasNeverAnswered({ state, since }: ServerStats): boolean {
  // HAProxy counts whole seconds, from a moment later.
  return state === "down" && since * 1_000 >= LATE - 2_000;
}

function addressOf({ address, port }: Server): string {
  return `${address}:${port}`;
}
