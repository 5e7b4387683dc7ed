// Notices servers that answer no more and those that do again, as HAProxy's checks have them. HAProxy tells it only
// to who reads its log, so it is asked.

import { describeCheck } from "./checks.ts";
import { routeOf } from "./report.ts";
import type { OutageChange } from "./state.ts";
import { readServerStates, type ServerState } from "../haproxy/process/server-states.ts";
import { statsReader } from "../haproxy/runtime/stats.ts";
import type { Runtime } from "../haproxy/runtime/runtime.ts";
import { WAITING_ROOM } from "../config/operations.ts";
import { labelsOf } from "../routing/intent.ts";
import { isForwarded, type Model, type Server, type Service } from "../model.ts";

/** What is known of a server. */
interface Known {
  /** When its container's process started, in Docker's words. */
  readonly startedAt: string;
  readonly address: string;
  /** `new`: it has not answered since it was there, or since it gets requests again. */
  readonly state: "new" | "up" | "down" | "off";
  /** When that began, in milliseconds since 1970. HAProxy has whole seconds. */
  readonly since: number;
}

/** A server that HAProxy has, and what it was. */
interface Seen {
  readonly service: Service;
  readonly server: Server;
  /** The name of its backend in HAProxy. */
  readonly backend: string;
  readonly key: string;
  readonly before: Known | undefined;
  readonly now: Known;
}

/** HAProxy tells times in whole seconds: two times that are closer are perhaps the same. In milliseconds. */
const SAME_TIME = 2_000;

export class Outages {
  /** By `backend/server` in HAProxy. */
  #known = new Map<string, Known>();
  /** The containers of which it was told that they never answered, by their IDs. */
  readonly #silent = new Set<string>();
  /** The servers that have answered the gateway since the last look, by their names. */
  readonly #answered = new Set<string>();
  /** The process that was asked last. */
  #pid: string | undefined;

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

  /**
   * Finds the servers that went down, or are up again, since the last call. What the gateway itself takes out of
   * use, and what has just been added and never answered, is no such server.
   * @throws GatewayError `haproxy` if HAProxy cannot be asked; what is new is found by the next call then
   */
  async look({ services }: Model): Promise<OutageChange[]> {
    const answer = await this.ask("show info;show servers state");
    const pid = /^Pid: (\d+)$/m.exec(answer)?.[1];
    const isAnother = pid !== this.#pid;
    this.#pid = pid;
    // A process that has just started may not have checked anything yet, and counts times anew.
    if (isAnother && this.#known.size > 0) {
      for (const [key, each] of this.#known) {
        if (each.state === "up") this.#known.set(key, { ...each, since: Infinity });
      }
      return [];
    }
    const states = readServerStates(answer);
    const seen = services.flatMap((service) => this.#see(service, states));
    const changes = await this.#changes(seen, states);
    this.#known = new Map(seen.map(({ key, now }) => [key, now]));
    for (const { server, now } of seen) if (now.state !== "new") this.#silent.delete(server.id);
    this.#answered.clear();
    const ids = new Set(seen.map(({ server }) => server.id));
    for (const id of this.#silent) if (!ids.has(id)) this.#silent.delete(id);
    return changes;
  }

  /** Notes that servers have answered, by their names: one may be down again before anybody looks. */
  note(servers: readonly string[]): void {
    for (const name of servers) this.#answered.add(name);
  }

  /** Notes that it was told of containers that they never answered. Once they do, that is told, too. */
  expect(ids: readonly string[]): void {
    for (const id of ids) this.#silent.add(id);
  }

  #see(service: Service, states: ReadonlyMap<string, ServerState>): Seen[] {
    const backend = this.runningName(service.backend);
    return service.servers.flatMap((server): Seen[] => {
      const key = `${backend}/${server.name}`;
      const state = states.get(key);
      if (state === undefined) return [];
      const { startedAt } = server;
      const address = `${state.address}:${state.port}`;
      const known = this.#known.get(key);
      const isSame = known?.startedAt === startedAt && known.address === address;
      const isNew = !isSame || known.state === "new";
      const before =
        isNew && this.#answered.has(server.name)
          ? ({ startedAt, address, state: "up", since: Infinity } as const)
          : isSame
            ? known
            : undefined;
      const now = {
        startedAt,
        address,
        // HAProxy may not have been told yet that it is to get no requests.
        state: server.disabled ? ("off" as const) : stateOf(state, before),
        since: sinceOf(state),
      };
      return [{ service, server, backend, key, before, now }];
    });
  }

  async #changes(
    seen: readonly Seen[],
    states: ReadonlyMap<string, ServerState>,
  ): Promise<OutageChange[]> {
    const changes: OutageChange[] = [];
    const noticed = seen.flatMap((each) => {
      const event = this.#eventOf(each);
      return event === undefined ? [] : [{ event, ...each }];
    });
    const byBackend = Map.groupBy(noticed, (each) => each.backend);
    const readStatsOf = statsReader(this.ask, byBackend.size);
    for (const [backend, own] of byBackend) {
      const rows = own.some(({ event }) => event === "down") ? await readStatsOf(backend) : [];
      for (const { event, service, server, before, now } of own) {
        const row = rows.find(({ name }) => name === server.name);
        const prefix = labelsOf(service.name, this.labelPrefix);
        const reason =
          event === "up" || row === undefined
            ? ""
            : describeCheck(row, { settings: service.settings, prefix });
        const { id, container, address, port } = server;
        // By HAProxy's whole seconds it may be up again before it went down.
        const ms = Math.max(0, now.since - (before?.since ?? now.since));
        changes.push({
          event,
          route: routeOf(service),
          server: `${address}:${port}`,
          container,
          id,
          reason,
          since: now.since,
          // Of one that was down between two looks it is not known.
          seconds: event === "up" && before?.state !== "up" ? Math.round(ms / 1_000) : undefined,
          left: describeLeft(service, backend, states),
        });
      }
    }
    return changes;
  }

  /** Undefined: nothing has happened. */
  #eventOf({ server, before, now }: Seen): OutageChange["event"] | undefined {
    if (now.state === "down" && before?.state === "up") return "down";
    if (now.state !== "up" || before === undefined) return undefined;
    if (before.state === "new") return this.#silent.has(server.id) ? "up" : undefined;
    if (before.state === "down") return "up";
    // It was down in between.
    return before.state === "up" && now.since - before.since > SAME_TIME ? "up" : undefined;
  }
}

function stateOf(
  { isUp, withoutRequests }: ServerState,
  before: Known | undefined,
): Known["state"] {
  if (withoutRequests) return "off";
  if (isUp) return "up";
  return before?.state === "up" || before?.state === "down" ? "down" : "new";
}

function sinceOf({ seconds }: ServerState): number {
  return Date.now() - seconds * 1000;
}

/** How many containers of a service are up, and what that means for its clients. */
function describeLeft(
  service: Service,
  backend: string,
  states: ReadonlyMap<string, ServerState>,
): string {
  const isUp = (name: string): boolean => {
    const state = states.get(`${backend}/${name}`);
    return state?.isUp === true && !state.withoutRequests;
  };
  const all = new Set(service.servers.map(({ id }) => id)).size;
  const up = new Set(service.servers.filter(({ name }) => isUp(name)).map(({ id }) => id)).size;
  if (up > 0) return all === 1 ? "" : `${up} of ${all} containers ${up === 1 ? "is" : "are"} up`;
  const none = all === 1 ? "there is no other" : `none of ${all} containers is up`;
  if (isForwarded(service)) return `${none}, so connections are closed`;
  return `${none}, so ${isUp(WAITING_ROOM) ? "requests wait" : "clients get 503"}`;
}
