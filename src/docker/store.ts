// What is known of the Docker host. Events only mark containers; reading those again tells what is true.

import { isDeepStrictEqual } from "node:util";
import type { ContainerInfo } from "dockerode";
import { HAS_ENDED, type Container, type Snapshot } from "../model.ts";
import type { DockerClient, Whereabouts } from "./client.ts";
import { Arrivals, STARTED_BY, type Arrived, type Sketch } from "./arrivals.ts";
import {
  asStarted,
  asStarting,
  fromImage,
  fromList,
  hasHealthCheck,
  isAsKnown,
  isTask,
  listNamesImage,
  signalNumber,
  toContainer,
  toStopSignal,
} from "./container.ts";
import type { DockerEvent } from "./events.ts";
import { Readings, type Ended, type Progress } from "./readings.ts";
import { Resource, TELL_AFTER } from "./resource.ts";

interface Entry {
  readonly container: Container;
  /** The number of the signal that asks it to end. */
  readonly stopSignal: number;
  /** When its process started, as the Engine writes it; empty if that is not known. */
  readonly startedAt: string;
  /** Whether it has a HEALTHCHECK. */
  readonly isChecked: boolean;
  /** Whether it was not inspected yet: what was said when it was created is not known. */
  readonly isSketch?: boolean;
}

/** A signal to end that a container got. */
interface Stop {
  /** In milliseconds since 1970, like `until`. */
  readonly at: number;
  /** When it must have ended, or has survived. */
  readonly until: number;
  /** Its place in the order of life events, signals and inspections. */
  readonly order: number;
}

/** What the networks tell about addresses. */
type Networks = Pick<Snapshot, "drivers" | "gateways">;

/** The result of inspecting one container. */
interface Inspection {
  /** When the container was marked, in milliseconds since 1970. */
  readonly markedAt: number;
  /** Its place in the order of life events, signals and inspections. */
  readonly order: number;
  /** Undefined if the container is gone or not in a live state. */
  readonly entry: Entry | undefined;
  /** The container if it does not run. */
  readonly dormant: Entry | undefined;
  /** Whether the container is gone: Docker does not know it any more. */
  readonly isGone: boolean;
}

/** An event that says that a container started or ended. */
interface LifeEvent {
  /** Its place in the order of life events, signals and inspections. */
  readonly order: number;
  readonly isStart: boolean;
}

/** What an event means for a container whose servers HAProxy has. */
type Noted =
  /** It was told to end, or it has ended. */
  | { readonly what: "ending" | "ended"; readonly id: string }
  /** It was known before it started, and runs now. */
  | { readonly what: "started"; readonly container: Container };

interface Refreshed {
  /** When each container that was read was last marked, by its ID, in milliseconds since 1970. */
  readonly marks: ReadonlyMap<string, number>;
  /** Why containers could not be read, by their IDs. */
  readonly failures: ReadonlyMap<string, unknown>;
  /** The IDs of containers that have been served as the list has them for too long now. */
  readonly unanswered: readonly string[];
  /** The containers that are what was known of them before they started, and run now. */
  readonly started: readonly Container[];
}

/** What the Engine tells of besides single containers. */
export type Part = "list" | "networks";

export interface StoreListener {
  /** There is something to read. */
  changed(): void;
  /** A part cannot be read. @param error undefined: the Engine gives no answer */
  failed(part: Part, error: unknown): void;
  /** A part was read. */
  worked(part: Part): void;
}

/**
 * How long a refresh waits for answers, in milliseconds. The Engine answers within a few
 * milliseconds. But while it starts or ends a container, it gives no answer about that one. The
 * others wait no longer than this.
 */
const PATIENCE = 20;
/** The same when everything is read again, as long as answers still come. In milliseconds. */
const PATIENCE_FOR_ALL = 1_000;
/**
 * How long the very first refresh waits for the list and for the networks, in milliseconds. The list
 * says which containers there are. The networks say which addresses cannot be reached, and a route
 * to such a one answers nobody. Both are known a few milliseconds later, or something is wrong.
 */
const PATIENCE_AT_FIRST = 100;
/**
 * The longest pause between answers when the listed containers are read for the first time, in
 * milliseconds. What has not answered by then is served as the list has it.
 */
const LONGEST_PAUSE = 2_000;
/** The shortest such pause, in milliseconds, and how many times longer than an answer it is. */
const SHORTEST_PAUSE = 100;
const PAUSE_PER_ANSWER = 4;
/** How long until a container that could not be read is read again, in milliseconds. */
const REREAD_AFTER = 1_000;
/**
 * A container has survived its signal if it still runs this long afterwards, in milliseconds. Docker
 * does not tell how long `docker stop --time` waits, so this is longer than such a wait mostly is.
 */
const SURVIVED_AFTER = 600_000;
/**
 * How long after the event of a health check its outcome is read again, in milliseconds. Podman
 * sends the event just before it stores the outcome.
 */
const HEALTH_REREAD_AFTER = 300;
/**
 * How long after a container has lost its last address it is read again, in milliseconds. The Engine
 * takes it away some 100 ms before it says that the container has ended.
 */
const LOST_REREAD_AFTER = 500;
/** A container that was known before it started is inspected so long after that, in milliseconds. */
const CONFIRM_AFTER = 50;
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
  /** The containers that do not run and whose description is known, by their IDs. */
  readonly #dormant = new Map<string, Entry>();
  readonly #arrivals: Arrivals;
  /** Those that are read before a refresh asks for it, by their IDs. */
  readonly #ahead = new Set<string>();
  /** When containers that were known before started, by their IDs, in milliseconds since 1970. */
  readonly #started = new Map<string, number>();
  /** When each container that is to be read again was marked, by its ID, in ms since 1970. */
  readonly #marked = new Map<string, number>();
  readonly #readings: Readings<Inspection>;
  /** The last life event of each container that no later inspection has confirmed, by its ID. */
  readonly #lifeEvents = new Map<string, LifeEvent>();
  /** Counts life events, signals and inspections. */
  #order = 0;
  /** The containers that were told to end, by their IDs. */
  readonly #stopping = new Map<string, Stop>();
  /** When a container is read again without an event, by its ID, in milliseconds since 1970. */
  readonly #rereadTimes = new Map<string, number>();
  /**
   * The containers that are known from the list only, by their IDs. The value is when somebody is
   * told, in milliseconds since 1970; Infinity if that is done.
   */
  readonly #fromList = new Map<string, number>();
  /**
   * The containers that have just lost their last address, by their IDs: most of them are ending. The
   * value is when that must show, in milliseconds since 1970.
   */
  readonly #lost = new Map<string, number>();
  readonly #list: Resource<readonly ContainerInfo[]>;
  readonly #networks: Resource<Networks>;
  #known: Networks = { drivers: {}, gateways: [] };
  #wasRefreshed = false;
  #isComplete = false;
  /** The IDs of the containers that were read while there was no list. */
  readonly #knownIds = new Set<string>();
  #allMarked = true;
  /** The time that the last signal was given, in milliseconds since 1970. */
  #lastSignalAt = 0;

  constructor(
    private readonly client: DockerClient,
    private readonly listener: StoreListener,
  ) {
    const changed = (): void => listener.changed();
    this.#readings = new Readings((id, signal) => this.#inspect(id, signal), changed);
    this.#arrivals = new Arrivals(client, changed);
    const listenerOf = (part: Part) => ({
      changed,
      failed: (error: unknown) => listener.failed(part, error),
      worked: () => listener.worked(part),
    });
    this.#list = new Resource((signal) => client.listContainers(signal), listenerOf("list"));
    this.#networks = new Resource((signal) => this.#readNetworks(signal), listenerOf("networks"));
  }

  /** Marks everything to be read again. */
  markAll(): void {
    this.#allMarked = true;
    // Those that are known do not wait for the list.
    for (const id of [...this.#entries.keys(), ...this.#stopped]) this.#mark(id);
    this.#list.markNow();
    this.#networks.markNow();
    this.listener.changed();
  }

  /** Marks what an event is about. Returns what cannot wait until it is read, if anything. */
  note(event: DockerEvent): Noted | undefined {
    let noted: Noted | undefined;
    if (event.kind === "swarm") return undefined;
    if (event.kind === "networks") this.#networks.mark();
    else if (event.kind === "signal") {
      if (this.#noteSignal(event.id, event.signal)) noted = { id: event.id, what: "ending" };
    } else {
      const isStart = START_EVENTS.includes(event.action);
      if (isStart) this.#stopping.delete(event.id);
      const isKnown = isStart ? this.#begin(event.id) : this.#noteArrival(event);
      if (!isKnown) this.#mark(event.id);
      else if (isStart) {
        const container = this.#ready(event.id);
        if (container !== undefined) noted = { what: "started", container };
      }
      if (isStart || END_EVENTS.includes(event.action)) {
        this.#lifeEvents.set(event.id, { order: ++this.#order, isStart });
        if (!isStart) noted = { id: event.id, what: "ended" };
      }
      if (event.action === "health_status")
        this.#rereadTimes.set(event.id, Date.now() + HEALTH_REREAD_AFTER);
    }
    this.listener.changed();
    return noted;
  }

  /**
   * Begins to read what an event has marked, if it is about to start or has started: the next refresh comes a
   * moment later, and by then the Engine may give no answer until the container runs.
   */
  readAhead(event: DockerEvent, signal: AbortSignal): void {
    if (event.kind !== "container" || !this.#marked.has(event.id)) return;
    if (event.action !== "create" && !START_EVENTS.includes(event.action)) return;
    this.#ahead.add(event.id);
    this.#readings.begin([event.id], signal);
  }

  /** A container that may get requests as soon as its port answers; undefined if it may not. */
  #ready(id: string): Container | undefined {
    const { container } = this.#entries.get(id) ?? {};
    return container?.state === "running" && container.health === "none" ? container : undefined;
  }

  /** Reads again what is marked. What cannot be read does not affect anything else. */
  async refresh(signal: AbortSignal): Promise<Refreshed> {
    const begunAt = Date.now();
    const patience = this.#wasRefreshed ? PATIENCE : PATIENCE_AT_FIRST;
    this.#markDue(begunAt);
    this.#list.begin(signal);
    const isReading = this.#networks.begin(signal);
    if (!this.#wasRefreshed) await this.#list.settle(patience);
    this.#wasRefreshed = true;

    const isKnown = (id: string): boolean => this.#description(id) !== undefined;
    const arriving = this.#arrivals.read(isKnown, PATIENCE, signal);
    const ended = await this.#readWhatIsDue(signal);
    for (const [id, arrived] of await arriving) this.#takeArrival(id, arrived);
    const settle = (): Promise<void> => this.#networks.settle(begunAt + patience - Date.now());
    if (isReading) await settle();
    this.#takeNetworks();
    // The driver of a network decides whether it can be reached, so a new network is read too.
    if (this.#hasUnknownNetwork(ended)) {
      this.#networks.mark();
      if (this.#networks.begin(signal)) await settle();
      this.#takeNetworks();
    }
    return this.#finish(ended);
  }

  /**
   * Reads everything once. Nothing comes later to mend it, so it waits longer than a refresh.
   * @throws GatewayError `docker` if there is no list
   */
  async readAll(signal: AbortSignal): Promise<Refreshed> {
    const begunAt = Date.now();
    this.#networks.markNow();
    this.#networks.begin(signal);
    const listed = await this.client.listContainers(signal);
    const ended = await this.#readListed(listed, LONGEST_PAUSE, signal);
    await this.#networks.settle(begunAt + LONGEST_PAUSE - Date.now());
    this.#networks.tell();
    this.#takeNetworks();
    for (const id of this.#fromList.keys()) this.#fromList.set(id, 0);
    return this.#finish(ended);
  }

  /** Whether the list was read once, so that every container is known. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /**
   * Reads containers that neither the list nor an event has named, by the first digits of their IDs:
   * the Engine takes those too.
   * @returns whether all of them are known: how they are, or that they are gone
   */
  learn(ids: readonly string[]): boolean {
    if (this.#isComplete) return true;
    const known = [...this.#knownIds];
    const unknown = ids.filter((id) => !known.some((each) => each.startsWith(id)));
    for (const id of unknown) {
      if (this.#readings.has(id) || this.#rereadTimes.has(id) || this.#marked.has(id)) continue;
      this.#mark(id);
      this.listener.changed();
    }
    return unknown.length === 0;
  }

  /** Whether the networks were read once. */
  get knowsNetworks(): boolean {
    return Object.keys(this.#known.drivers).length > 0;
  }

  /** The name of a container by its ID; undefined if it was never read. */
  nameOf(id: string): string | undefined {
    return this.#entries.get(id)?.container.name;
  }

  /** Whether a container, by its ID, is known from the list only. */
  isFromList(id: string): boolean {
    return this.#fromList.has(id);
  }

  /** The running, paused and restarting containers as they were last read. */
  snapshot(): Snapshot {
    // A container that was not read again is the same object: what was made of it is reused.
    const ending = this.#endingSince();
    const containers: Container[] = [];
    for (const [id, { container }] of this.#entries) {
      const stopping = ending.size === 0 ? undefined : ending.get(id);
      containers.push(stopping === undefined ? container : { ...container, stopping });
    }
    return { containers, ...this.#known };
  }

  /** The containers that have ended or were told to, by their IDs, with `Container.stopping`. */
  #endingSince(): ReadonlyMap<string, number> {
    const ending = new Map<string, number>();
    for (const [id, { at }] of this.#stopping) ending.set(id, at);
    for (const id of this.#lifeEvents.keys()) if (this.#hasEnded(id)) ending.set(id, HAS_ENDED);
    for (const id of this.#lost.keys()) ending.set(id, HAS_ENDED);
    return ending;
  }

  /** Whether a container has ended or was told to, by its ID. */
  isEnding(id: string): boolean {
    return this.#stopping.has(id) || this.#hasEnded(id);
  }

  /** Whether Docker still has a container that ran before and does not run now, by its ID. */
  remains(id: string): boolean {
    // One that is about to end has lost its addresses already.
    return this.#stopped.has(id) || (this.#entries.has(id) && this.#hasEnded(id));
  }

  /**
   * When a container started that was known before and that no refresh has told of yet, by its ID, in
   * milliseconds since 1970; undefined if it is none.
   */
  begunAt(id: string): number | undefined {
    return this.#started.get(id);
  }

  /** When something is read again without an event, in milliseconds since 1970. */
  get rereadAt(): number | undefined {
    const at = Math.min(
      ...this.#rereadTimes.values(),
      ...[...this.#stopping.values()].map(({ until }) => until),
      ...this.#fromList.values(),
      this.#list.dueAt ?? Infinity,
      this.#networks.dueAt ?? Infinity,
    );
    return Number.isFinite(at) ? at : undefined;
  }

  /** Whether a container has ended, or is about to, and no inspection has confirmed it yet. */
  #hasEnded(id: string): boolean {
    return this.#lifeEvents.get(id)?.isStart === false || this.#lost.has(id);
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

  /**
   * Reads what is marked. What has been read meanwhile is taken at once and waits for nothing, unless all is
   * read.
   */
  async #readWhatIsDue(signal: AbortSignal): Promise<Ended<Inspection>> {
    const listed = this.#list.take();
    if (listed !== undefined && !this.#isComplete) {
      // A loaded Engine is slow with everything, so the list tells how long its answers take.
      const pause = Math.max(SHORTEST_PAUSE, PAUSE_PER_ANSWER * listed.ms);
      return this.#readListed(listed.value, pause, signal);
    }
    for (const { Id } of listed?.value ?? []) if (!this.#entries.has(Id)) this.#mark(Id);
    const isAll = this.#allMarked || listed !== undefined;
    this.#allMarked = false;
    // Those that are being read already are waited for, too.
    const ahead = [...this.#ahead].filter((id) => this.#readings.has(id));
    this.#ahead.clear();
    const marked = [...new Set([...this.#marked.keys(), ...ahead])];
    if (isAll) {
      const end = Date.now() + PATIENCE_FOR_ALL;
      const goesOn = ({ silence }: Progress): boolean => silence < PATIENCE && Date.now() < end;
      return this.#readings.takeWhile(marked, PATIENCE, goesOn, signal);
    }
    return this.#readings.ended() ?? this.#readings.take(marked, PATIENCE, signal);
  }

  /**
   * Reads the listed containers for the first time. What gives no answer is taken from the list.
   * @param pause how long it waits for the next answer at least, in milliseconds
   */
  async #readListed(
    listed: readonly ContainerInfo[],
    pause: number,
    signal: AbortSignal,
  ): Promise<Ended<Inspection>> {
    this.#allMarked = false;
    for (const { Id } of listed) this.#mark(Id);
    const vague = new Set(listed.filter((info) => !listNamesImage(info)).map(({ Id }) => Id));
    // What events mark during this reading is left to the next one. It must not prolong this one.
    const ids = [...this.#marked.keys()];
    const goesOn = ({ silence, longest, unread }: Progress): boolean => {
      // A container whose image the list does not name would lose its route: it is waited for.
      if (unread.some((id) => vague.has(id))) return silence < LONGEST_PAUSE;
      return silence < Math.min(LONGEST_PAUSE, Math.max(pause, PAUSE_PER_ANSWER * longest));
    };
    const ended = await this.#readings.takeWhile(ids, PATIENCE, goesOn, signal);
    this.#keepUnread(listed, ended.results);
    this.#isComplete = true;
    return ended;
  }

  /** Takes over what was read. */
  #finish({ results, failures }: Ended<Inspection>): Refreshed {
    const now = Date.now();
    const started: Container[] = [];
    const read = new Map(
      [...results].map(([asked, inspection]) => {
        const id = inspection.entry?.container.id ?? asked;
        if (!this.#isComplete) this.#knownIds.add(asked).add(id);
        const { container: before } = this.#entries.get(id) ?? {};
        const markedAt = this.#takeOver(id, inspection);
        const after = this.#ready(id);
        if (before?.state === "starting" && after !== undefined && isAsKnown(before, after)) {
          started.push(after);
        }
        return [id, markedAt];
      }),
    );
    const marks = new Map([...this.#started, ...read]);
    this.#started.clear();
    for (const id of failures.keys()) {
      this.#rereadTimes.set(id, now + REREAD_AFTER);
      // The failure is told, not that there is no answer.
      if (this.#fromList.has(id)) this.#fromList.set(id, Infinity);
    }
    const unanswered = [...this.#fromList].filter(([, at]) => at <= now).map(([id]) => id);
    for (const id of unanswered) this.#fromList.set(id, Infinity);
    // An inspection that is still under way calls `changed` itself when it ends.
    if ([...this.#marked.keys()].some((id) => !this.#readings.has(id))) this.listener.changed();
    return { marks, failures, unanswered, started };
  }

  /** Takes unread containers as the list describes them: HAProxy may serve them already. */
  #keepUnread(listed: readonly ContainerInfo[], results: ReadonlyMap<string, Inspection>): void {
    const tellAt = Date.now() + TELL_AFTER;
    for (const info of listed) {
      if (results.has(info.Id) || this.#entries.has(info.Id)) continue;
      const container = fromList(info, this.client.whereabouts);
      if (!LIVE_STATES.includes(container.state)) continue;
      const entry = { container, stopSignal: SIGTERM, startedAt: "", isChecked: false };
      this.#entries.set(info.Id, entry);
      this.#fromList.set(info.Id, tellAt);
    }
  }

  #takeNetworks(): void {
    this.#known = this.#networks.take()?.value ?? this.#known;
  }

  /** Whether a container that was read is in a network that is not known yet. */
  #hasUnknownNetwork({ results }: Ended<Inspection>): boolean {
    return [...results.values()].some(({ entry }) =>
      entry?.container.attachments.some(({ network }) => !(network in this.#known.drivers)),
    );
  }

  #mark(id: string): void {
    this.#rereadTimes.delete(id);
    if (!this.#marked.has(id)) this.#marked.set(id, Date.now());
  }

  async #readNetworks(signal: AbortSignal): Promise<Networks> {
    const networks = await this.client.listNetworks(signal);
    return {
      drivers: Object.fromEntries(networks.map(({ Name, Driver }) => [Name, Driver])),
      gateways: networks.flatMap(({ IPAM }) =>
        (IPAM?.Config ?? []).map(({ Gateway = "" }) => Gateway.replace(/\/.*$/, "")),
      ),
    };
  }

  async #inspect(id: string, signal: AbortSignal): Promise<Inspection> {
    // The mark is removed before the request: an event during the request must mark it again.
    const markedAt = this.#marked.get(id) ?? Date.now();
    const order = ++this.#order;
    this.#marked.delete(id);
    const info = await this.client.inspect(id, signal);
    if (info === undefined) {
      return { markedAt, order, entry: undefined, dormant: undefined, isGone: true };
    }
    const container = toContainer(info, 0, this.client.whereabouts);
    const { StartedAt: startedAt } = info.State;
    const isChecked = hasHealthCheck(info);
    const read: Entry = { container, stopSignal: toStopSignal(info), startedAt, isChecked };
    const [entry, dormant] = LIVE_STATES.includes(container.state)
      ? [read, undefined]
      : [undefined, read];
    return { markedAt, order, entry, dormant, isGone: false };
  }

  /** Takes over an inspection. Returns when the container was last marked, in ms since 1970. */
  #takeOver(id: string, { markedAt, order, entry, dormant, isGone }: Inspection): number {
    const event = this.#lifeEvents.get(id);
    const isOlder = event !== undefined && event.order > order;
    if (dormant === undefined) this.#dormant.delete(id);
    else this.#dormant.set(id, dormant);
    // It has got its addresses, and will run.
    if (dormant !== undefined && this.#arrivals.has(id)) {
      const { container, isSketch } = this.#entries.get(id) ?? {};
      if (container !== undefined && isSketch === true) {
        this.#entries.set(id, toStarting(dormant, container.attachments));
      }
      return this.#marked.get(id) ?? markedAt;
    }
    this.#arrivals.delete(id);
    if (!isOlder) this.#lifeEvents.delete(id);
    this.#fromList.delete(id);
    const before = this.#entries.get(id);
    this.#noteAddress(id, before, entry);
    if (isGone || entry !== undefined) this.#stopped.delete(id);
    else if (before !== undefined && mayReturn(before)) this.#stopped.add(id);
    if (entry !== undefined) {
      const stop = this.#stopping.get(id);
      // Another process than the one that got the signal: nobody told that it was started.
      const isAnother = (before?.startedAt ?? "") !== "" && before?.startedAt !== entry.startedAt;
      if (isAnother && stop !== undefined && stop.order < order) this.#stopping.delete(id);
      // An equal one keeps its identity: what was made of it can be used again.
      if (!isDeepStrictEqual(before, entry)) this.#entries.set(id, entry);
    }
    // A container that was started after the inspection began is not gone.
    else if (!(isOlder && event.isStart)) {
      this.#entries.delete(id);
      this.#stopping.delete(id);
    }
    return this.#marked.get(id) ?? markedAt;
  }

  /**
   * Notes that a container that does not run got or lost an address.
   * @returns false if it must be inspected
   */
  #noteArrival({ id, action, network }: Extract<DockerEvent, { kind: "container" }>): boolean {
    // Which ports of another machine it gets is not known before it runs.
    const isHere = this.client.whereabouts?.address === undefined;
    if (isHere && action === "connect" && network !== undefined && !this.#runs(id)) {
      this.#arrivals.note(id, network);
      return true;
    }
    // It runs already, or does not start after all.
    this.#arrivals.delete(id);
    const entry = this.#entries.get(id);
    if (entry?.container.state !== "starting") return false;
    if (this.#lifeEvents.get(id)?.isStart !== true) this.#entries.delete(id);
    // It has run, though it was not inspected yet: its service is not forgotten for that.
    else if (END_EVENTS.includes(action)) {
      this.#entries.set(id, { ...entry, container: asStarted(entry.container, entry.isChecked) });
    }
    return false;
  }

  #runs(id: string): boolean {
    const { state } = this.#entries.get(id)?.container ?? {};
    return (state === "running" || state === "paused") && !this.#hasEnded(id);
  }

  /** What is known of a container that does not run; undefined if it is not known or runs. */
  #description(id: string): Entry | undefined {
    return this.#runs(id) ? undefined : (this.#entries.get(id) ?? this.#dormant.get(id));
  }

  /** Takes over what is known of a container that is about to start. */
  #takeArrival(id: string, { attachments, sketch }: Arrived): void {
    const description =
      this.#description(id) ?? (sketch && sketched(sketch, this.client.whereabouts));
    if (description === undefined || attachments.length === 0) {
      this.#mark(id);
      return;
    }
    const before = this.#entries.get(id);
    if (before !== undefined && mayReturn(before)) this.#stopped.add(id);
    this.#entries.set(id, toStarting(description, attachments));
    this.#lifeEvents.delete(id);
    // If it never starts, nobody may tell.
    this.#rereadTimes.set(id, Date.now() + STARTED_BY);
  }

  /**
   * Notes that a container has started. One that was known before needs no inspection for it.
   * @returns false if it must be inspected
   */
  #begin(id: string): boolean {
    const hasAddresses = !this.#arrivals.isUnread(id);
    this.#arrivals.delete(id);
    const entry = this.#entries.get(id);
    if (entry?.container.state !== "starting" || entry.isSketch === true) return false;
    if (!hasAddresses) return false;
    this.#entries.set(id, { ...entry, container: asStarted(entry.container, entry.isChecked) });
    this.#dormant.delete(id);
    this.#started.set(id, Date.now());
    this.#rereadTimes.set(id, Date.now() + CONFIRM_AFTER);
    return true;
  }

  /** Notes whether a container that runs has just lost its last address. */
  #noteAddress(id: string, before: Entry | undefined, entry: Entry | undefined): void {
    const now = Date.now();
    const until =
      before !== undefined && hasAddress(before) ? now + LOST_REREAD_AFTER : this.#lost.get(id);
    const runs = entry?.container.state === "running" && !hasAddress(entry);
    if (runs && until !== undefined && until > now) {
      this.#lost.set(id, until);
      this.#rereadTimes.set(id, until);
    } else this.#lost.delete(id);
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
    const until = Date.now() + Math.max(entry.container.stopTimeout, SURVIVED_AFTER);
    this.#stopping.set(id, { at, until, order: ++this.#order });
    return true;
  }
}

/** What is known of a container that is about to start. Its process will be another one than before. */
function toStarting({ container, ...rest }: Entry, attachments: Container["attachments"]): Entry {
  return { ...rest, startedAt: "", container: asStarting(container, attachments) };
}

function sketched({ info, image }: Sketch, where: Whereabouts | undefined): Entry {
  return {
    container: fromImage(info, image, where),
    stopSignal: toStopSignal(image),
    startedAt: "",
    isChecked: hasHealthCheck(image),
    isSketch: true,
  };
}

/** Whether a container that ran and does not run now may run again. */
function mayReturn({ container }: Entry): boolean {
  return container.state !== "starting" && !isTask(container);
}

function hasAddress({ container: { attachments } }: Entry): boolean {
  return attachments.some(({ ipv4, ipv6 }) => ipv4 !== "" || ipv6 !== "");
}
