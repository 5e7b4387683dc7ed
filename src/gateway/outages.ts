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
  readonly port: string;
  /** `new`: it has not answered since it was there, or since it gets requests again. */
  readonly state: "new" | "up" | "down" | "off";
  /** When that began, in milliseconds since 1970. HAProxy has whole seconds. */
  readonly since: number;
}

/** A server to which something has happened. */
interface Noticed {
  readonly event: OutageChange["event"];
  readonly service: Service;
  readonly server: Server;
  /** The name of its backend in HAProxy. */
  readonly backend: string;
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
    const [known, noticed] = this.#compare(services, states);
    const changes = await this.#describe(noticed, states);
    this.#known = known;
    this.#answered.clear();
    if (this.#silent.size > 0) this.#forgetSilent(services);
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

  /** Compares all servers with what was known of them. Of thousands hardly any has changed. */
  #compare(
    services: readonly Service[],
    states: ReadonlyMap<string, ServerState>,
  ): [Map<string, Known>, Noticed[]] {
    const known = new Map<string, Known>();
    const noticed: Noticed[] = [];
    for (const service of services) {
      const backend = this.runningName(service.backend);
      for (const server of service.servers) {
        const key = `${backend}/${server.name}`;
        const state = states.get(key);
        if (state === undefined) continue;
        const before = this.#before(this.#known.get(key), server, state);
        const now = nowOf(before, server, state);
        known.set(key, now);
        if (now === before) continue;
        const event = this.#eventOf(server, before, now);
        if (event !== undefined) noticed.push({ event, service, server, backend, before, now });
      }
    }
    return [known, noticed];
  }

  /** What a server was; undefined: it was not there. */
  #before(
    known: Known | undefined,
    { name, startedAt }: Server,
    { address, port }: ServerState,
  ): Known | undefined {
    const isSame =
      known?.startedAt === startedAt && known.address === address && known.port === port;
    if (!this.#answered.has(name)) return isSame ? known : undefined;
    if (isSame && (known.state === "down" || known.state === "off")) return known;
    // The gateway itself brought it in, or back after it had taken it out: that is no outage.
    return { startedAt, address, port, state: "up", since: Infinity };
  }

  /** Forgets those that have answered, or are gone. */
  #forgetSilent(services: readonly Service[]): void {
    const [fresh, others] = [new Set<string>(), new Set<string>()];
    for (const { backend, servers } of services) {
      for (const { id, name } of servers) {
        const state = this.#known.get(`${this.runningName(backend)}/${name}`)?.state;
        if (state !== undefined) (state === "new" ? fresh : others).add(id);
      }
    }
    for (const id of this.#silent) {
      if (!fresh.has(id) || others.has(id)) this.#silent.delete(id);
    }
  }

  async #describe(
    noticed: readonly Noticed[],
    states: ReadonlyMap<string, ServerState>,
  ): Promise<OutageChange[]> {
    const changes: OutageChange[] = [];
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
  #eventOf(
    { id }: Server,
    before: Known | undefined,
    now: Known,
  ): OutageChange["event"] | undefined {
    if (now.state === "down" && before?.state === "up") return "down";
    if (now.state !== "up" || before === undefined) return undefined;
    if (before.state === "new") return this.#silent.has(id) ? "up" : undefined;
    if (before.state === "down") return "up";
    // It was down in between.
    return before.state === "up" && now.since - before.since > SAME_TIME ? "up" : undefined;
  }
}

/** What a server is now: the same object as before if nothing has changed. */
function nowOf(before: Known | undefined, server: Server, state: ServerState): Known {
  const { startedAt, disabled } = server;
  const { address, port } = state;
  // HAProxy may not have been told yet that it is to get no requests.
  const now = disabled ? "off" : stateOf(state, before);
  const since = Date.now() - state.seconds * 1_000;
  const isSame = before?.state === now && Math.abs(since - before.since) <= SAME_TIME;
  return isSame ? before : { startedAt, address, port, state: now, since };
}

function stateOf(
  { isUp, withoutRequests }: ServerState,
  before: Known | undefined,
): Known["state"] {
  if (withoutRequests) return "off";
  if (isUp) return "up";
  return before?.state === "up" || before?.state === "down" ? "down" : "new";
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
