// Warns of containers that are routed and do not answer, after a while: many are slow to start.

import { describeCheck, type Asked } from "./checks.ts";
import { labelsOf } from "../routing/intent.ts";
import { readStats, type ServerStats } from "../haproxy/runtime/stats.ts";
import type { Runtime } from "../haproxy/runtime/runtime.ts";
import type { Logger } from "../lib/log.ts";
import type { Model, Server } from "../model.ts";

/** How long after a container was routed a warning is due, in milliseconds: most start faster. */
const WARN_AFTER = 10_000;

/** For so many containers it costs less to read the servers of all backends than those of each. */
const MANY = 50;

export class Readiness {
  /** When each container was routed, in milliseconds since 1970, by its ID. The first one is the oldest. */
  readonly #routedAt = new Map<string, number>();

  /**
   * @param runningName returns the name that a backend has in the running HAProxy
   * @param ask sends a command to the running HAProxy
   * @param labelPrefix what all labels begin with
   */
  constructor(
    private readonly runningName: (backend: string) => string,
    private readonly ask: Runtime["ask"],
    private readonly log: Logger,
    private readonly labelPrefix: string,
  ) {}

  /** When to call `look`, in milliseconds since 1970; undefined if there is nothing to look at. */
  get dueAt(): number | undefined {
    const [first] = this.#routedAt.values();
    return first === undefined ? undefined : first + WARN_AFTER;
  }

  /** Notes that containers are routed from now on, by their IDs. */
  note(ids: readonly string[]): void {
    for (const id of ids) {
      this.#routedAt.delete(id);
      this.#routedAt.set(id, Date.now());
    }
  }

  /**
   * Warns of containers that should answer by now and never did.
   * @throws GatewayError `haproxy` if HAProxy cannot be asked; the rest is due again after a while
   */
  async look({ services }: Model): Promise<void> {
    const due = [...this.#routedAt].filter(([, routedAt]) => Date.now() - routedAt >= WARN_AFTER);
    const ids = new Set(due.map(([id]) => id));
    // At once and not at the end: a container may be routed again meanwhile.
    for (const id of ids) this.#routedAt.delete(id);
    const isDue = ({ id, disabled }: Server): boolean => ids.has(id) && !disabled;
    const readStatsOf = this.#statsReader(ids.size > MANY);
    for (const { name, backend, servers, settings } of services) {
      if (!servers.some(isDue)) continue;
      const own = servers.filter(isDue);
      let stats: readonly ServerStats[];
      try {
        stats = await readStatsOf(this.runningName(backend));
      } catch (error) {
        this.note([...ids].filter((id) => !this.#routedAt.has(id)));
        throw error;
      }
      for (const [id, candidates] of Map.groupBy(own, (server) => server.id)) {
        ids.delete(id);
        const addresses = candidates.map(addressOf);
        const seen = stats.filter(({ address }) => addresses.includes(address));
        if (seen.length > 0 && seen.every(hasNeverAnswered)) {
          this.#warn(candidates, seen, { settings, prefix: labelsOf(name, this.labelPrefix) });
        }
      }
    }
  }

  /** Makes the function that reads the servers of a backend. @param atOnce whether it reads those of all */
  #statsReader(atOnce: boolean): (backend: string) => Promise<readonly ServerStats[]> {
    if (!atOnce) return (backend) => readStats(this.ask, backend);
    let all: Map<string, ServerStats[]> | undefined;
    return async (backend) => {
      all ??= Map.groupBy(await readStats(this.ask), (server) => server.backend);
      return all.get(backend) ?? [];
    };
  }

  /** Warns of one container. @param servers its candidate ports @param seen how HAProxy has them */
  #warn(servers: readonly Server[], seen: readonly ServerStats[], asked: Asked): void {
    const { container = "", id = "" } = servers[0] ?? {};
    const addresses = servers.map(addressOf).join(" or ");
    const answering = seen.find(({ check }) => /^L[67]/.test(check));
    const what =
      answering === undefined
        ? `does not answer at ${addresses} and gets no requests until it does: ` +
          `is that its port? (label ${asked.prefix}port)`
        : `gets no requests at ${addresses}: ${describeCheck(answering, asked)}`;
    this.log.warn(`container ${container} ${what}`, {
      event: "no answer",
      container,
      id,
      server: addresses,
    });
  }
}

/** Whether a server has been down from the start. One that broke down later is another matter. */
function hasNeverAnswered({ state, since }: ServerStats): boolean {
  // HAProxy counts whole seconds and begins a moment later than this clock: hence the 2 s less.
  return state === "down" && since * 1_000 >= WARN_AFTER - 2_000;
}

function addressOf({ address, port }: Server): string {
  return `${address}:${port}`;
}
