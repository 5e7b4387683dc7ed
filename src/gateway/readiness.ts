// Finds containers that are routed and do not answer, after a while: many are slow to start.

import { describeCheck, type Asked } from "./checks.ts";
import { labelsOf } from "../routing/intent.ts";
import { statsReader, type ServerStats } from "../haproxy/runtime/stats.ts";
import type { Runtime } from "../haproxy/runtime/runtime.ts";
import type { Model, Server, Service } from "../model.ts";
import { routeOf } from "./report.ts";
import type { OutageChange } from "./state.ts";

/** How long after a container was routed a warning is due, in milliseconds: most start faster. */
const WARN_AFTER = 10_000;
/** Many that were routed soon after each other are looked at together: at most so often, in milliseconds. */
const LOOK_EVERY = 1_000;

export class Readiness {
  /** When each container was routed, in milliseconds since 1970, by its ID. The first one is the oldest. */
  readonly #routedAt = new Map<string, number>();
  /** In milliseconds since 1970. */
  #lookedAt = 0;

  /**
   * @param runningName returns the name that a backend has in the running HAProxy
   * @param ask sends a command to the running HAProxy
   * @param labelPrefix what all labels begin with
   */
  constructor(
    private readonly runningName: (backend: string) => string,
    private readonly ask: Runtime["ask"],
    private readonly labelPrefix: string,
  ) {}

  /** When to call `look`, in milliseconds since 1970; undefined if there is nothing to look at. */
  get dueAt(): number | undefined {
    const [first] = this.#routedAt.values();
    if (first === undefined) return undefined;
    return Math.max(first + WARN_AFTER, this.#lookedAt + LOOK_EVERY);
  }

  /** Notes that containers are routed from now on, by their IDs. */
  note(ids: readonly string[]): void {
    for (const id of ids) {
      this.#routedAt.delete(id);
      this.#routedAt.set(id, Date.now());
    }
  }

  /**
   * Finds the containers that should answer by now and never did.
   * @throws GatewayError `haproxy` if HAProxy cannot be asked; the rest is due again after a while
   */
  async look({ services }: Model): Promise<OutageChange[]> {
    const changes: OutageChange[] = [];
    const now = Date.now();
    this.#lookedAt = now;
    const due = [...this.#routedAt].filter(([, routedAt]) => now - routedAt >= WARN_AFTER);
    const ids = new Set(due.map(([id]) => id));
    // At once and not at the end: a container may be routed again meanwhile.
    for (const id of ids) this.#routedAt.delete(id);
    const isDue = ({ id, disabled }: Server): boolean => ids.has(id) && !disabled;
    const readStatsOf = statsReader(this.ask, ids.size);
    for (const service of services) {
      const { name, backend, servers, settings } = service;
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
          const asked = { settings, prefix: labelsOf(name, this.labelPrefix) };
          changes.push(noAnswer(service, candidates, seen, asked));
        }
      }
    }
    return changes;
  }
}

/** Says that a container does not answer. @param servers its candidate ports @param seen how HAProxy has them */
function noAnswer(
  service: Service,
  servers: readonly Server[],
  seen: readonly ServerStats[],
  asked: Asked,
): OutageChange {
  const { container = "", id = "" } = servers[0] ?? {};
  const addresses = servers.map(addressOf).join(" or ");
  const answering = seen.find(({ check }) => /^L[67]/.test(check));
  const reason =
    answering === undefined
      ? `does not answer at ${addresses} and gets no requests until it does: ` +
        `is that its port? (label ${asked.prefix}port)`
      : `gets no requests at ${addresses}: ${describeCheck(answering, asked)}`;
  const since = Date.now() - Math.max(...seen.map((each) => each.since)) * 1000;
  const route = routeOf(service);
  return { event: "no answer", route, server: addresses, container, id, reason, since, left: "" };
}

/** Whether a server has been down from the start. One that broke down later is another matter. */
function hasNeverAnswered({ state, since }: ServerStats): boolean {
  // HAProxy counts whole seconds and begins a moment later than this clock: hence the 2 s less.
  return state === "down" && since * 1_000 >= WARN_AFTER - 2_000;
}

function addressOf({ address, port }: Server): string {
  return `${address}:${port}`;
}
