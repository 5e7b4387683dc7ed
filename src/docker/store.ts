// What is known of the Docker host. Events only mark containers; reading those again tells what is true.

import { isDeepStrictEqual } from "node:util";
import type { ContainerInfo } from "dockerode";
import { ENDED_AT, type Container, type Snapshot } from "../model.ts";
import type { DockerClient } from "./client.ts";
import { fromList, signalNumber, toContainer, toStopSignal } from "./container.ts";
import type { DockerEvent } from "./events.ts";
import { Readings, type Ended } from "./readings.ts";

interface Entry {
  readonly container: Container;
  /** The number of the signal that asks it to end. */
  readonly stopSignal: number;
}

/** The result of inspecting one container. */
interface Inspection {
  /** When the container was marked, in milliseconds since 1970. */
  readonly markedAt: number;
  /** Its place in the order of life events and inspections. */
  readonly order: number;
  /** Undefined if the container is gone or not in a live state. */
  readonly entry: Entry | undefined;
  /** Whether the container is gone: Docker does not know it any more. */
  readonly isGone: boolean;
}

/** An event that says that a container started or ended. */
interface LifeEvent {
  /** Its place in the order of life events and inspections. */
  readonly order: number;
  readonly isStart: boolean;
}

/** A container that has ended or was told to. */
interface Ending {
  readonly id: string;
  readonly hasEnded: boolean;
}

interface Refreshed {
  /** When each container that was read was last marked, by its ID, in milliseconds since 1970. */
  readonly marks: ReadonlyMap<string, number>;
  /** Why containers could not be read, by their IDs. */
  readonly failures: ReadonlyMap<string, unknown>;
  /** The IDs of containers about which the Engine gave no answer. Empty after the first refresh. */
  readonly unanswered: readonly string[];
}

/**
 * How long a refresh waits for answers, in milliseconds. The Engine answers within a few
 * milliseconds. But while it starts or ends a container, it gives no answer about that one. The
 * others wait no longer than this.
 */
const PATIENCE = 20;
/** The same when everything is read again, which takes longer. In milliseconds. */
const PATIENCE_FOR_ALL = 1_000;
/**
 * The longest pause between answers at the first refresh, in milliseconds. That refresh decides
 * which routes are kept, so it waits as long as answers still come.
 */
export const PATIENCE_AT_FIRST = 2_000;
/** How long until a container that could not be read is read again, in milliseconds. */
const REREAD_AFTER = 1_000;
/** A container has survived its signal if it still runs this long after its stop time, in ms. */
const SURVIVED_AFTER = 1_000;
/**
 * How long after the event of a health check its outcome is read again, in milliseconds. Podman
 * sends the event just before it stores the outcome.
 */
const HEALTH_REREAD_AFTER = 300;
/** The events after which a container runs, and those after which it does not. */
const START_EVENTS = ["start", "restart"];
const END_EVENTS = ["die", "died"];
const SIGKILL = 9;
const SIGTERM = 15;
/** Only containers in these states can be served. */
const LIVE_STATES = ["running", "paused", "restarting"];

/** The Docker host as it was last read. */
export class Store {
  readonly #entries = new Map<string, Entry>();
  /** The containers that were in `#entries` and do not run now, by their IDs. Docker has them still. */
  readonly #stopped = new Set<string>();
  /** When each container that is to be read again was marked, by its ID, in ms since 1970. */
  readonly #marked = new Map<string, number>();
  readonly #readings: Readings<Inspection>;
  /** The last life event of each container that no later inspection has confirmed, by its ID. */
  readonly #lifeEvents = new Map<string, LifeEvent>();
  /** Counts life events and inspections. */
  #order = 0;
  /** Whether everything has been read once. */
  #wasReadOnce = false;
  /** When each container was told to end and when it must have ended, by its ID, in ms since 1970. */
  readonly #stopping = new Map<string, { readonly at: number; readonly until: number }>();
  /** When a container is read again without an event, by its ID, in milliseconds since 1970. */
  readonly #rereadTimes = new Map<string, number>();
  #networks: Pick<Snapshot, "drivers" | "gateways"> = { drivers: {}, gateways: [] };
  #allMarked = true;
  #networksMarked = true;
  /** The time that the last signal was given, in milliseconds since 1970. */
  #lastSignalAt = 0;

  /** @param changed called when there is something to read */
  constructor(
    private readonly client: DockerClient,
    private readonly changed: () => void,
  ) {
    this.#readings = new Readings((id, signal) => this.#inspect(id, signal), changed);
  }

  /** Marks everything to be read again. */
  markAll(): void {
    this.#allMarked = true;
    this.changed();
  }

  /** Marks what an event is about. Returns the container that has ended or was told to, if any. */
  note(event: DockerEvent): Ending | undefined {
    let ending: Ending | undefined;
    if (event.kind === "networks") this.#networksMarked = true;
    else if (event.kind === "signal") {
      if (this.#noteSignal(event.id, event.signal)) ending = { id: event.id, hasEnded: false };
    } else {
      const isStart = START_EVENTS.includes(event.action);
      if (isStart) this.#stopping.delete(event.id);
      this.#mark(event.id);
      if (isStart || END_EVENTS.includes(event.action)) {
        this.#lifeEvents.set(event.id, { order: ++this.#order, isStart });
        if (!isStart) ending = { id: event.id, hasEnded: true };
      }
      if (event.action === "health_status")
        this.#rereadTimes.set(event.id, Date.now() + HEALTH_REREAD_AFTER);
    }
    this.changed();
    return ending;
  }

  /**
   * Reads again what is marked. A container that cannot be read does not affect the others.
   * @throws GatewayError `docker` if nothing can be read; what was not read stays marked
   */
  async refresh(signal: AbortSignal): Promise<Refreshed> {
    this.#markDue(Date.now());
    const all = this.#allMarked;
    if (all || this.#networksMarked) await this.#readNetworks(signal);
    const listed = all ? await this.#markListed(signal) : [];
    // What has been read meanwhile is taken over at once and waits for nothing.
    const { results, failures } = this.#wasReadOnce
      ? (this.#readings.ended() ??
        (await this.#readMarked(all ? PATIENCE_FOR_ALL : PATIENCE, signal)))
      : await this.#readMarkedAtFirst(signal);
    const marks = new Map(
      [...results].map(([id, inspection]) => [id, this.#takeOver(id, inspection)]),
    );
    for (const id of failures.keys()) this.#rereadTimes.set(id, Date.now() + REREAD_AFTER);
    const unanswered = this.#wasReadOnce ? [] : this.#readings.underWay;
    if (!this.#wasReadOnce) this.#keepUnread(listed, results);
    this.#wasReadOnce = true;
    // An inspection that is still under way calls `changed` itself when it ends.
    if ([...this.#marked.keys()].some((id) => !this.#readings.has(id))) this.changed();
    return { marks, failures, unanswered };
  }

  /** The running, paused and restarting containers as they were last read. */
  snapshot(): Snapshot {
    // A container that was not read again is the same object: what was made of it is reused.
    const containers = [...this.#entries].map(([id, { container }]) => {
      const stopping = this.#hasEnded(id) ? ENDED_AT : this.#stopping.get(id)?.at;
      return stopping === undefined ? container : { ...container, stopping };
    });
    return { containers, ...this.#networks };
  }

  /** Whether a container has ended or was told to, by its ID. */
  isEnding(id: string): boolean {
    return this.#stopping.has(id) || this.#hasEnded(id);
  }

  /** Whether Docker still has a container that ran before and does not run now, by its ID. */
  remains(id: string): boolean {
    return this.#stopped.has(id);
  }

  /** When the next container is read again without an event, in milliseconds since 1970. */
  get rereadAt(): number | undefined {
    const ends = [...this.#stopping.values()].map(({ until }) => until);
    const at = Math.min(...this.#rereadTimes.values(), ...ends);
    return Number.isFinite(at) ? at : undefined;
  }

  /** Whether an event said that a container has ended and no inspection has confirmed it yet. */
  #hasEnded(id: string): boolean {
    return this.#lifeEvents.get(id)?.isStart === false;
  }

  /** Marks the containers whose time has come, and those that should have ended by now. */
  #markDue(now: number): void {
    for (const [id, at] of this.#rereadTimes) if (at <= now) this.#mark(id);
    for (const [id, { until }] of this.#stopping) {
      if (until > now) continue;
      this.#stopping.delete(id);
      this.#mark(id);
    }
  }

  /** Reads what is marked and waits at most `ms` milliseconds. Returns what has been read. */
  #readMarked(ms: number, signal: AbortSignal): Promise<Ended<Inspection>> {
    return this.#readings.take([...this.#marked.keys()], ms, signal);
  }

  /** Reads what is marked and waits as long as answers still come. */
  async #readMarkedAtFirst(signal: AbortSignal): Promise<Ended<Inspection>> {
    const results = new Map<string, Inspection>();
    const failures = new Map<string, unknown>();
    let lastAnswerAt = Date.now();
    // What events mark during this reading is left to the next one. It must not prolong this one.
    let ids: readonly string[] = [...this.#marked.keys()];
    for (;;) {
      const ended = await this.#readings.take(ids, PATIENCE, signal);
      for (const [id, inspection] of ended.results) results.set(id, inspection);
      for (const [id, error] of ended.failures) failures.set(id, error);
      if (ended.results.size + ended.failures.size > 0) lastAnswerAt = Date.now();
      ids = this.#readings.underWay;
      const isTooLong = Date.now() - lastAnswerAt >= PATIENCE_AT_FIRST;
      if (ids.length === 0 || isTooLong) return { results, failures };
    }
  }

  /** Takes unread containers as the list describes them: HAProxy may serve them already. */
  #keepUnread(listed: readonly ContainerInfo[], results: ReadonlyMap<string, Inspection>): void {
    for (const info of listed) {
      if (results.has(info.Id)) continue;
      const container = fromList(info);
      if (!LIVE_STATES.includes(container.state)) continue;
      this.#entries.set(info.Id, { container, stopSignal: SIGTERM });
    }
  }

  #mark(id: string): void {
    this.#rereadTimes.delete(id);
    if (!this.#marked.has(id)) this.#marked.set(id, Date.now());
  }

  async #markListed(signal: AbortSignal): Promise<ContainerInfo[]> {
    this.#allMarked = false;
    try {
      const listed = await this.client.listContainers(signal);
      for (const { Id } of listed) this.#mark(Id);
      for (const id of this.#entries.keys()) this.#mark(id);
      for (const id of this.#stopped) this.#mark(id);
      return listed;
    } catch (error) {
      this.#allMarked = true;
      throw error;
    }
  }

  async #readNetworks(signal: AbortSignal): Promise<void> {
    this.#networksMarked = false;
    try {
      const networks = await this.client.listNetworks(signal);
      this.#networks = {
        drivers: Object.fromEntries(networks.map(({ Name, Driver }) => [Name, Driver])),
        gateways: networks.flatMap(({ IPAM }) =>
          (IPAM?.Config ?? []).map(({ Gateway = "" }) => Gateway.replace(/\/.*$/, "")),
        ),
      };
    } catch (error) {
      this.#networksMarked = true;
      throw error;
    }
  }

  async #inspect(id: string, signal: AbortSignal): Promise<Inspection> {
    // The mark is removed before the request: an event during the request must mark it again.
    const markedAt = this.#marked.get(id) ?? Date.now();
    const order = ++this.#order;
    this.#marked.delete(id);
    const info = await this.client.inspect(id, signal);
    const container = info === undefined ? undefined : toContainer(info, 0);
    if (info === undefined || container === undefined || !LIVE_STATES.includes(container.state)) {
      return { markedAt, order, entry: undefined, isGone: info === undefined };
    }
    // The driver of a network decides whether it can be reached, so a new network is read too.
    const networks = Object.keys(info.NetworkSettings.Networks ?? {});
    if (networks.some((name) => !(name in this.#networks.drivers)))
      await this.#readNetworks(signal);
    const entry = { container, stopSignal: toStopSignal(info) };
    return { markedAt, order, entry, isGone: false };
  }

  /** Takes over an inspection. Returns when the container was last marked, in ms since 1970. */
  #takeOver(id: string, { markedAt, order, entry, isGone }: Inspection): number {
    const event = this.#lifeEvents.get(id);
    const isOlder = event !== undefined && event.order > order;
    if (!isOlder) this.#lifeEvents.delete(id);
    if (isGone || entry !== undefined) this.#stopped.delete(id);
    else if (this.#entries.has(id)) this.#stopped.add(id);
    if (entry !== undefined) {
      // An equal one keeps its identity: what was made of it can be used again.
      if (!isDeepStrictEqual(this.#entries.get(id), entry)) this.#entries.set(id, entry);
    }
    // A container that was started after the inspection began is not gone.
    else if (!(isOlder && event.isStart)) {
      this.#entries.delete(id);
      this.#stopping.delete(id);
    }
    return this.#marked.get(id) ?? markedAt;
  }

  /** Notes that a container was told to end. Returns false if the signal means something else. */
  #noteSignal(id: string, signal: string): boolean {
    const number = signalNumber(signal);
    const entry = this.#entries.get(id);
    if (number === undefined || entry === undefined) return false;
    if (![SIGKILL, SIGTERM, entry.stopSignal].includes(number)) return false;
    // The first signal counts. No two containers get the same time, so that everybody agrees on
    // which container of a service was told last.
    this.#lastSignalAt = Math.max(Date.now(), this.#lastSignalAt + 1);
    const at = this.#stopping.get(id)?.at ?? this.#lastSignalAt;
    // It is not read again earlier: the Engine gives no answer while it ends the container.
    const until = Date.now() + entry.container.stopTimeout + SURVIVED_AFTER;
    this.#stopping.set(id, { at, until });
    return true;
  }
}
