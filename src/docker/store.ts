// What is known of the Docker host: events mark containers, and reading them tells what is true.

import { forEachLimited } from "../async.ts";
import type { Container, Snapshot } from "../model.ts";
import type { DockerClient } from "./client.ts";
import { signalNumber, toContainer, toStopSignal } from "./container.ts";
import type { DockerEvent } from "./events.ts";

interface Entry {
  readonly container: Container;
  /** The number of the signal that asks it to end. */
  readonly stopSignal: number;
}

interface Refreshed {
  /** When each container that was read had been marked, in milliseconds since 1970. */
  readonly marks: ReadonlyMap<string, number>;
  /** The containers that could not be read. */
  readonly failures: ReadonlyMap<string, unknown>;
}

/** So many containers are read at a time: more only queue up in the Engine. */
const WIDTH = 8;
/** A container that outlives its stop time by so much has survived, in milliseconds. */
const SURVIVED_AFTER = 1_000;
/** Podman has noted the outcome of a health check by then, in milliseconds: it does that next. */
const NOTED_AFTER = 300;
const SIGKILL = 9;
const SIGTERM = 15;
/** Containers in another state are of no interest. */
const LIVE_STATES = ["running", "paused", "restarting"];

/** The Docker host as it was last read. */
export class Store {
  readonly #entries = new Map<string, Entry>();
  /** What to read again, with the time it was first marked. */
  readonly #dirty = new Map<string, number>();
  /** When the signal that ends a container was sent, by its ID. */
  readonly #stopping = new Map<string, { readonly at: number; readonly timer: Timer }>();
  #networks: Pick<Snapshot, "drivers" | "gateways"> = { drivers: {}, gateways: [] };
  #everything = true;
  #networksChanged = true;
  /** When the last signal came, in milliseconds since 1970. */
  #lastSignal = 0;

  /** @param changed called when there is something to read */
  constructor(
    private readonly client: DockerClient,
    private readonly changed: () => void,
  ) {}

  /** Marks everything to be read again. */
  markAll(): void {
    this.#everything = true;
    this.changed();
  }

  /** Marks what an event is about. Gives the ID of a container that was told to end. */
  note(event: DockerEvent): string | undefined {
    let ending: string | undefined;
    if (event.kind === "networks") this.#networksChanged = true;
    else if (event.kind === "signal") {
      if (this.#signalled(event.id, event.signal)) ending = event.id;
    } else {
      if (event.action === "start" || event.action === "restart") this.#survived(event.id);
      this.#mark(event.id);
      if (event.action === "health_status") this.#markAgain(event.id);
    }
    this.changed();
    return ending;
  }

  /**
   * Reads again what is marked. A container that cannot be read costs only itself.
   * @throws GatewayError `docker` where nothing can be read; what was not read stays marked
   */
  async refresh(signal: AbortSignal): Promise<Refreshed> {
    if (this.#everything || this.#networksChanged) await this.#readNetworks(signal);
    if (this.#everything) await this.#markListed(signal);
    const marks = new Map(this.#dirty);
    const failures = new Map<string, unknown>();
    await forEachLimited([...marks.keys()], WIDTH, async (id) => {
      await this.#read(id, signal).catch((error: unknown) => failures.set(id, error));
    });
    return { marks, failures };
  }

  /** The running, pausing and restarting containers as they were last read. */
  snapshot(): Snapshot {
    // The same container is the same object as long as nothing about it changes.
    const containers = [...this.#entries].map(([id, { container }]) => {
      const stopping = this.#stopping.get(id)?.at;
      return stopping === undefined ? container : { ...container, stopping };
    });
    return { containers, ...this.#networks };
  }

  /** Whether a container was told to end, as far as is known. */
  isEnding(id: string): boolean {
    return this.#stopping.has(id);
  }

  /** Lets go of the timers. */
  close(): void {
    for (const { timer } of this.#stopping.values()) clearTimeout(timer);
  }

  /** Podman, which names no outcome in this event, sends it before it has noted the outcome. */
  #markAgain(id: string): void {
    setTimeout(() => {
      this.#mark(id);
      this.changed();
    }, NOTED_AFTER).unref();
  }

  #mark(id: string): void {
    if (!this.#dirty.has(id)) this.#dirty.set(id, Date.now());
  }

  async #markListed(signal: AbortSignal): Promise<void> {
    this.#everything = false;
    try {
      for (const { Id } of await this.client.listContainers(signal)) this.#mark(Id);
      for (const id of this.#entries.keys()) this.#mark(id);
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

  async #read(id: string, signal: AbortSignal): Promise<void> {
    // Taken off first: what happens while it is read marks it anew.
    const since = this.#dirty.get(id);
    this.#dirty.delete(id);
    try {
      const info = await this.client.inspect(id, signal);
      if (info === undefined || !LIVE_STATES.includes(toContainer(info, 0).state)) {
        this.#entries.delete(id);
        this.#survived(id);
      } else {
        this.#entries.set(id, { container: toContainer(info, 0), stopSignal: toStopSignal(info) });
        // A network that was made since: its driver decides whether it can be reached.
        const networks = Object.keys(info.NetworkSettings.Networks ?? {});
        if (networks.some((name) => !(name in this.#networks.drivers)))
          await this.#readNetworks(signal);
      }
    } catch (error) {
      if (!this.#dirty.has(id)) this.#dirty.set(id, since ?? Date.now());
      throw error;
    }
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
    this.#survived(id);
    const timer = setTimeout(() => {
      this.#survived(id);
      this.#mark(id);
      this.changed();
    }, entry.container.stopTimeout + SURVIVED_AFTER);
    // Not to be read again now: the Engine would not answer before the container has ended.
    this.#stopping.set(id, { at, timer });
    return true;
  }

  /** Forgets that a container was told to end: it did not, it was started again, or it is gone. */
  #survived(id: string): void {
    clearTimeout(this.#stopping.get(id)?.timer);
    this.#stopping.delete(id);
  }
}
