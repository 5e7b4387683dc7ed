// What is known of the Docker host: events mark containers, and reading them tells what is true.

import type { ContainerInfo } from "dockerode";
import type { Container, Snapshot } from "../model.ts";
import type { DockerClient } from "./client.ts";
import { fromList, signalNumber, toContainer, toStopSignal } from "./container.ts";
import type { DockerEvent } from "./events.ts";
import { Readings, type Ended } from "./readings.ts";

interface Entry {
  readonly container: Container;
  /** The number of the signal that asks it to end. */
  readonly stopSignal: number;
}

/** What was read of a container. */
interface Read {
  /** When it was marked, in milliseconds since 1970. */
  readonly since: number;
  /** Its place in the order of events and readings. */
  readonly begun: number;
  /** Undefined where it does not live. */
  readonly entry: Entry | undefined;
}

/** What the last event said that started or ended a container. */
interface Turn {
  /** Its place in the order of events and readings. */
  readonly at: number;
  readonly lives: boolean;
}

interface Refreshed {
  /** When each container that was read was last marked, in milliseconds since 1970. */
  readonly marks: ReadonlyMap<string, number>;
  /** The containers that could not be read. */
  readonly failures: ReadonlyMap<string, unknown>;
  /** The first time: the containers about which the Engine gives no answer. */
  readonly heldBack: readonly string[];
}

/**
 * The Engine answers within a few milliseconds, but of a container that it is just starting or
 * ending only when that is done: the others do not wait for it longer than this, in milliseconds.
 */
const PATIENCE = 20;
/** When everything is read again, that takes its time. */
const PATIENCE_FOR_ALL = 1_000;
/** The first time, what is read decides what is served on: as long as some answers still come. */
export const PATIENCE_AT_FIRST = 2_000;
/** What could not be read is read again after this time, in milliseconds. */
const REREAD_AFTER = 1_000;
/** A container that outlives its stop time by so much has survived, in milliseconds. */
const SURVIVED_AFTER = 1_000;
/** Podman has noted the outcome of a health check by then, in milliseconds: it does that next. */
const NOTED_AFTER = 300;
/** What events say of a container that runs from now on, and of one that does no more. */
const COMES = ["start", "restart"];
const GOES = ["die", "died"];
/** In place of when it was told to end: of all that go, the last to be kept is one that still runs. */
const DEAD = 1;
const SIGKILL = 9;
const SIGTERM = 15;
/** Containers in another state are of no interest. */
const LIVE_STATES = ["running", "paused", "restarting"];

/** The Docker host as it was last read. */
export class Store {
  readonly #entries = new Map<string, Entry>();
  /** What to read again, with the time it was marked. */
  readonly #dirty = new Map<string, number>();
  readonly #readings: Readings<Read>;
  /** What events told of a container's life and no reading since has confirmed, by its ID. */
  readonly #turns = new Map<string, Turn>();
  #count = 0;
  /** Whether everything has been read once. */
  #complete = false;
  /** Containers that were told to end, by ID: when, and until when they must have, in ms since 1970. */
  readonly #stopping = new Map<string, { readonly at: number; readonly until: number }>();
  /** When a container is to be read again by itself, by its ID, in milliseconds since 1970. */
  readonly #rereads = new Map<string, number>();
  #networks: Pick<Snapshot, "drivers" | "gateways"> = { drivers: {}, gateways: [] };
  #everything = true;
  #networksChanged = true;
  /** When the last signal came, in milliseconds since 1970. */
  #lastSignal = 0;

  /** @param changed called when there is something to read */
  constructor(
    private readonly client: DockerClient,
    private readonly changed: () => void,
  ) {
    this.#readings = new Readings((id, signal) => this.#read(id, signal), changed);
  }

  /** Marks everything to be read again. */
  markAll(): void {
    this.#everything = true;
    this.changed();
  }

  /** Marks what an event is about. Gives the ID of a container that has ended or was told to. */
  note(event: DockerEvent): string | undefined {
    let ending: string | undefined;
    if (event.kind === "networks") this.#networksChanged = true;
    else if (event.kind === "signal") {
      if (this.#signalled(event.id, event.signal)) ending = event.id;
    } else {
      const lives = COMES.includes(event.action);
      if (lives) this.#survived(event.id);
      this.#mark(event.id);
      if (lives || GOES.includes(event.action)) {
        this.#turns.set(event.id, { at: ++this.#count, lives });
        if (!lives) ending = event.id;
      }
      // Podman, which names no outcome in this event, sends it before it has noted the outcome.
      if (event.action === "health_status") this.#rereads.set(event.id, Date.now() + NOTED_AFTER);
    }
    this.changed();
    return ending;
  }

  /**
   * Reads again what is marked. A container that cannot be read costs only itself.
   * @throws GatewayError `docker` where nothing can be read; what was not read stays marked
   */
  async refresh(signal: AbortSignal): Promise<Refreshed> {
    this.#markDue(Date.now());
    const all = this.#everything;
    if (all || this.#networksChanged) await this.#readNetworks(signal);
    const listed = all ? await this.#markListed(signal) : [];
    const { results, failures } = this.#complete
      ? (this.#readings.ended() ?? (await this.#take(all ? PATIENCE_FOR_ALL : PATIENCE, signal)))
      : await this.#takeAll(signal);
    const marks = new Map([...results].map(([id, read]) => [id, this.#note(id, read)]));
    for (const id of failures.keys()) this.#rereads.set(id, Date.now() + REREAD_AFTER);
    const heldBack = this.#complete ? [] : this.#readings.underWay;
    if (!this.#complete) this.#keepUnread(listed, results);
    this.#complete = true;
    // What is being read will say so itself.
    if ([...this.#dirty.keys()].some((id) => !this.#readings.has(id))) this.changed();
    return { marks, failures, heldBack };
  }

  /** The running, pausing and restarting containers as they were last read. */
  snapshot(): Snapshot {
    // The same container is the same object as long as nothing about it changes.
    const containers = [...this.#entries].map(([id, { container }]) => {
      const stopping = this.#isDead(id) ? DEAD : this.#stopping.get(id)?.at;
      return stopping === undefined ? container : { ...container, stopping };
    });
    return { containers, ...this.#networks };
  }

  /** Whether a container has ended or was told to, as far as is known. */
  isEnding(id: string): boolean {
    return this.#stopping.has(id) || this.#isDead(id);
  }

  /** When a container is to be read again by itself, in milliseconds since 1970. */
  get rereadAt(): number | undefined {
    const ends = [...this.#stopping.values()].map(({ until }) => until);
    const at = Math.min(...this.#rereads.values(), ...ends);
    return Number.isFinite(at) ? at : undefined;
  }

  #isDead(id: string): boolean {
    return this.#turns.get(id)?.lives === false;
  }

  /** Marks what is to be read again by now. What was told to end and did not has survived. */
  #markDue(now: number): void {
    for (const [id, at] of this.#rereads) if (at <= now) this.#mark(id);
    for (const [id, { until }] of this.#stopping) {
      if (until > now) continue;
      this.#stopping.delete(id);
      this.#mark(id);
    }
  }

  /** Waits for what is marked, but not long for any that the Engine holds back. */
  #take(ms: number, signal: AbortSignal): Promise<Ended<Read>> {
    return this.#readings.take([...this.#dirty.keys()], ms, signal);
  }

  /** Waits for what is marked as long as anything still ends. */
  async #takeAll(signal: AbortSignal): Promise<Ended<Read>> {
    const results = new Map<string, Read>();
    const failures = new Map<string, unknown>();
    for (;;) {
      const ended = await this.#take(PATIENCE_AT_FIRST, signal);
      for (const [id, read] of ended.results) results.set(id, read);
      for (const [id, error] of ended.failures) failures.set(id, error);
      const isOver = this.#readings.underWay.length === 0;
      if (isOver || ended.results.size + ended.failures.size === 0) return { results, failures };
    }
  }

  /** What cannot be read at first is taken for what the list says: HAProxy may serve it already. */
  #keepUnread(listed: readonly ContainerInfo[], results: ReadonlyMap<string, Read>): void {
    for (const info of listed) {
      if (results.has(info.Id)) continue;
      const container = fromList(info);
      if (!LIVE_STATES.includes(container.state)) continue;
      this.#entries.set(info.Id, { container, stopSignal: SIGTERM });
    }
  }

  #mark(id: string): void {
    this.#rereads.delete(id);
    if (!this.#dirty.has(id)) this.#dirty.set(id, Date.now());
  }

  async #markListed(signal: AbortSignal): Promise<ContainerInfo[]> {
    this.#everything = false;
    try {
      const listed = await this.client.listContainers(signal);
      for (const { Id } of listed) this.#mark(Id);
      for (const id of this.#entries.keys()) this.#mark(id);
      return listed;
    } catch (error) {
      this.#everything = true;
      throw error;
    }
  }

  async #readNetworks(signal: AbortSignal): Promise<void> {
    this.#networksChanged = false;
    try {
      const networks = await this.client.listNetworks(signal);
      this.#networks = {
        drivers: Object.fromEntries(networks.map(({ Name, Driver }) => [Name, Driver])),
        gateways: networks.flatMap(({ IPAM }) =>
          (IPAM?.Config ?? []).map(({ Gateway = "" }) => Gateway.replace(/\/.*$/, "")),
        ),
      };
    } catch (error) {
      this.#networksChanged = true;
      throw error;
    }
  }

  async #read(id: string, signal: AbortSignal): Promise<Read> {
    // Taken off first: what happens while it is read marks it anew.
    const since = this.#dirty.get(id) ?? Date.now();
    const begun = ++this.#count;
    this.#dirty.delete(id);
    const info = await this.client.inspect(id, signal);
    const container = info === undefined ? undefined : toContainer(info, 0);
    if (info === undefined || container === undefined || !LIVE_STATES.includes(container.state)) {
      return { since, begun, entry: undefined };
    }
    // A network that was made since: its driver decides whether it can be reached.
    const networks = Object.keys(info.NetworkSettings.Networks ?? {});
    if (networks.some((name) => !(name in this.#networks.drivers)))
      await this.#readNetworks(signal);
    return { since, begun, entry: { container, stopSignal: toStopSignal(info) } };
  }

  /** Takes over what was read of a container. Gives when it was last marked. */
  #note(id: string, { since, begun, entry }: Read): number {
    const turn = this.#turns.get(id);
    const isOlder = turn !== undefined && turn.at > begun;
    if (!isOlder) this.#turns.delete(id);
    if (entry !== undefined) this.#entries.set(id, entry);
    // Unless it was started since.
    else if (!(isOlder && turn.lives)) {
      this.#entries.delete(id);
      this.#survived(id);
    }
    return this.#dirty.get(id) ?? since;
  }

  /** Notes that a container was told to end; false where the signal says something else. */
  #signalled(id: string, signal: string): boolean {
    const number = signalNumber(signal);
    const entry = this.#entries.get(id);
    if (number === undefined || entry === undefined) return false;
    if (![SIGKILL, SIGTERM, entry.stopSignal].includes(number)) return false;
    // The first signal counts, and no two containers were told so at the same time: which one was
    // the last of its service must be the same whoever asks.
    this.#lastSignal = Math.max(Date.now(), this.#lastSignal + 1);
    const at = this.#stopping.get(id)?.at ?? this.#lastSignal;
    // Not to be read again before: the Engine would not answer until the container has ended.
    const until = Date.now() + entry.container.stopTimeout + SURVIVED_AFTER;
    this.#stopping.set(id, { at, until });
    return true;
  }

  /** Forgets that a container was told to end: it did not, it was started again, or it is gone. */
  #survived(id: string): void {
    this.#stopping.delete(id);
  }
}
