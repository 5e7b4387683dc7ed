// Containers that are routed and do not answer: told after a while, as many only take long to start.

import { readStats, type ServerStats } from "../haproxy/runtime/stats.ts";
import type { Runtime } from "../haproxy/runtime/runtime.ts";
import type { Logger } from "../lib/log.ts";
import type { Model, Server } from "../model.ts";

/** What does not answer by then is worth a word, in milliseconds: longer than most take to start. */
const LATE = 10_000;

export class Readiness {
  /** When each container was routed, in milliseconds since 1970, by its ID. */
  readonly #since = new Map<string, number>();

  /**
   * @param runningName the name that HAProxy has a backend under
   * @param ask asks the running HAProxy
   */
  constructor(
    private readonly runningName: (backend: string) => string,
    private readonly ask: Runtime["ask"],
    private readonly log: Logger,
  ) {}

  /** When to look at them, in milliseconds since 1970. */
  get dueAt(): number | undefined {
    const first = Math.min(...this.#since.values());
    return Number.isFinite(first) ? first + LATE : undefined;
  }

  /** Notes containers that are routed from now on, by their IDs. */
  note(ids: readonly string[]): void {
    for (const id of ids) this.#since.set(id, Date.now());
  }

  /** Tells of those that should answer by now and never did. @throws GatewayError `haproxy` */
  async look({ services }: Model): Promise<void> {
    const due = [...this.#since].filter(([, since]) => Date.now() - since >= LATE);
    const ids = new Set(due.map(([id]) => id));
    for (const id of ids) this.#since.delete(id);
    for (const { backend, servers } of services) {
      const own = servers.filter(({ id, disabled }) => ids.has(id) && !disabled);
      if (own.length === 0) continue;
      const stats = await readStats(this.ask, this.runningName(backend));
      for (const ofOne of Map.groupBy(own, ({ id }) => id).values()) {
        const addresses = ofOne.map(addressOf);
        const seen = stats.filter(({ address }) => addresses.includes(address));
        if (seen.length > 0 && seen.every(hasNeverAnswered)) this.#warn(ofOne);
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
