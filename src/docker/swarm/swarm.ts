// The tasks of a swarm as its manager tells them. It has events for services and nodes, and none for tasks
// of other nodes: so it is asked again and again, beside the passes of the loop, at the pace of `pace.ts`.

import { isDeepStrictEqual } from "node:util";
import { Backoff, pause, Wakeup } from "../../lib/async.ts";
import { errorMessage, GatewayError } from "../../lib/errors.ts";
import { RepeatedFailure, type Logger } from "../../lib/log.ts";
import type { Container } from "../../model.ts";
import { Forbidden, type DockerClient, type SwarmWish } from "../client.ts";
import { readEvents } from "../events.ts";
import type { NodeAnswer, ServiceAnswer, SwarmInfo, TaskAnswer } from "./answers.ts";
import { nextPause } from "./pace.ts";
import { containerIdOf, isWanted, runs, taskToContainer } from "./task.ts";

/** What an Engine is asked for a swarm. */
export type SwarmClient = Pick<
  DockerClient,
  "swarmInfo" | "services" | "nodes" | "tasks" | "events"
>;

export interface SwarmListener {
  /** There is something new. */
  changed(): void;
  /** The task whose container has this ID is to end. */
  ending(id: string): void;
  /** It has ended. */
  ended(id: string): void;
}

/** What a task's container is, and what it was made of. */
interface Served {
  readonly task: TaskAnswer;
  readonly service: ServiceAnswer;
  readonly node: NodeAnswer | undefined;
  readonly container: Container;
}

/** The desired states of tasks that run, or are about to. */
const WANTED = ["running", "complete", "ready"];
/** The states of a task that is about to run. Source: Docker's documentation, "Swarm task states". */
const COMING = [
  "new",
  "allocated",
  "pending",
  "assigned",
  "accepted",
  "preparing",
  "ready",
  "starting",
];
/** An Engine may become a manager, or cease to be one. It is looked at so often, in milliseconds. */
const STANDING_EVERY = 60_000;
/** The first and the longest wait before a question that failed is asked again, in milliseconds. */
const FIRST_RETRY = 200;
const LONGEST_RETRY = 10_000;
/** So long the events of services and nodes are waited for after they broke off, in milliseconds. */
const EVENTS_RETRY = 1_000;
/** What stays the same is told again after this time, in milliseconds. */
const TELL_AGAIN_AFTER = 3_600_000;

export class Swarm {
  readonly #wakeup = new Wakeup();
  /** Set when events may be listened to. */
  readonly #mayListen = new Wakeup();
  readonly #backoff = new Backoff(FIRST_RETRY, LONGEST_RETRY);
  readonly #trouble: RepeatedFailure;
  /** The Engine's place in the swarm; undefined: it is no manager, or that is not known. */
  #own: SwarmInfo | undefined;
  /** When it is to be found out again, in milliseconds since 1970. */
  #standingAt = 0;
  #services = new Map<string, ServiceAnswer>();
  #nodes = new Map<string, NodeAnswer>();
  /** Whether services and nodes are to be read again. */
  #areMarked = true;
  /** The tasks that run, by the IDs of their containers. */
  #served = new Map<string, Served>();
  /** When tasks that are to end were noticed, by the IDs of their containers, in ms since 1970. */
  readonly #leaving = new Map<string, number>();
  /** The task that ended last of each service: the ID of its container by that of the service. */
  readonly #lastEnded = new Map<string, string>();
  /** The tasks that have ended since HAProxy served every change, by the IDs of their containers. */
  readonly #ended = new Set<string>();
  /** When each change that is not live yet was noticed, by the container's ID, in ms since 1970. */
  readonly #changedAt = new Map<string, number>();
  #lastChange = 0;
  #lastEvent = 0;
  #versions = "";
  #isUnderway = false;
  /** Ends the events of services and nodes; undefined: the Engine cannot be asked. */
  #connection: AbortController | undefined;
  #isKnown: boolean;
  #isServed = false;
  #isTold = false;
  readonly #first = Promise.withResolvers<void>();

  constructor(
    private readonly client: SwarmClient,
    private readonly wish: SwarmWish,
    private readonly listener: SwarmListener,
    private readonly log: Logger,
  ) {
    this.#trouble = new RepeatedFailure(log, TELL_AGAIN_AFTER);
    this.#isKnown = wish === "never";
  }

  /** Whether services of a swarm are served: the Engine is a manager, and its tasks were read. */
  get isServed(): boolean {
    return this.#isServed;
  }

  /** The ID of the swarm whose tasks are served; empty if none are, or it is not told. */
  get id(): string {
    return (this.#isServed && this.#own?.Cluster?.ID) || "";
  }

  /** Whether the last question was answered. */
  get isTold(): boolean {
    return this.#isTold;
  }

  /** Whether it is known which tasks run, or that there are none to serve. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** The tasks that run. One that did not change is the same object. */
  get containers(): readonly Container[] {
    return [...this.#served.values()].map(({ container }) => container);
  }

  /** Whether a task is to end, by the ID of its container. */
  isEnding(id: string): boolean {
    return this.#leaving.has(id) || this.#ended.has(id);
  }

  /** Whether a task is the last one that a service has had which still exists, by the ID of its container. */
  remains(id: string): boolean {
    return [...this.#lastEnded.values()].includes(id);
  }

  /** When a change of a task was noticed, by the ID of its container, in milliseconds since 1970. */
  noticedAt(id: string): number | undefined {
    return this.#changedAt.get(id);
  }

  /** Notes that HAProxy serves every change that was noticed. */
  settled(): void {
    this.#changedAt.clear();
    this.#ended.clear();
  }

  /** Has everything read again soon. */
  mark(): void {
    this.#areMarked = true;
    this.#standingAt = 0;
    this.#wakeup.set();
  }

  /** Notes whether the Engine can be asked. What is known stays as it is as long as it cannot. */
  setConnected(isConnected: boolean): void {
    this.#connection?.abort();
    this.#connection = isConnected ? new AbortController() : undefined;
    if (!isConnected) return;
    this.mark();
    this.#mayListen.set();
  }

  /** Waits until the tasks were read once, at most `ms` milliseconds. */
  async settle(ms: number): Promise<void> {
    if (this.#isKnown || ms <= 0) return;
    const ended = new AbortController();
    await Promise.race([this.#first.promise, pause(ms, ended.signal)]);
    ended.abort();
  }

  /**
   * Reads everything once. Where nobody may ask for a swarm there is none.
   * @throws GatewayError `docker` if it cannot be read
   */
  async readOnce(signal: AbortSignal): Promise<void> {
    if (this.wish === "never") return;
    try {
      await this.#read(signal);
    } catch (error) {
      if (this.wish === "always" || this.#own !== undefined) throw error;
      if (!(error instanceof Forbidden)) throw error;
      this.#noteHidden(error);
      this.#forget();
    }
  }

  /** Asks again and again until the signal is aborted. No failure ends it. */
  async watch(signal: AbortSignal): Promise<void> {
    if (this.wish === "never") return;
    const listening = this.#listen(signal);
    while (!signal.aborted) {
      const wait = this.#connection !== undefined ? await this.#look(signal) : LONGEST_RETRY;
      await this.#wakeup.wait(wait, signal);
    }
    await listening;
  }

  /** Asks once, and tells what is new. Returns how long to wait until the next time, in milliseconds. */
  async #look(signal: AbortSignal): Promise<number> {
    const begun = Date.now();
    try {
      await this.#read(signal);
      if (this.#trouble.forget()) this.log.info("the tasks of the swarm can be read again");
      this.#backoff.reset();
      this.#isTold = true;
    } catch (error) {
      if (signal.aborted || this.#connection === undefined) return FIRST_RETRY;
      return this.#fail(error);
    }
    const now = Date.now();
    if (this.#own === undefined) return Math.max(this.#standingAt - now, 0);
    return nextPause({
      now,
      took: now - begun,
      isUnderway: this.#isUnderway,
      changedAt: this.#lastChange,
      eventAt: this.#lastEvent,
    });
  }

  /** Tells once that the swarm cannot be read. What is known of it stays. */
  #fail(error: unknown): number {
    const wasTold = this.#isTold;
    this.#isTold = false;
    if (wasTold) this.listener.changed();
    // Who never spoke of a swarm, and does not let the gateway ask, wants none of it.
    if (error instanceof Forbidden && this.wish === "auto" && !this.#isServed) {
      if (this.#own === undefined) {
        this.#noteHidden(error);
      } else {
        this.#trouble.tell(
          error,
          "only containers are served (--no-swarm says that this is meant)",
          "warn",
        );
      }
      this.#forget();
      return this.#standingAt - Date.now();
    }
    if (this.#isKnown) {
      this.#trouble.tell(error, "the tasks that are known are served on; trying again", "warn");
    } else if (this.#own === undefined && this.wish === "auto") {
      const note = "whether there is a swarm to serve is not known; trying again";
      this.#trouble.tell(error, note, "warn");
    } else {
      this.#trouble.tell(error, "the services of the swarm are not served yet; trying again");
    }
    return this.#backoff.next();
  }

  #noteHidden(error: GatewayError): void {
    this.log.debug(`whether there is a swarm is not known: ${error.message}`);
  }

  /** There is no swarm to serve. */
  #forget(): void {
    this.#own = undefined;
    this.#standingAt = Date.now() + STANDING_EVERY;
    const isNew = this.#isServed || !this.#isKnown;
    this.#isServed = false;
    this.#served = new Map();
    this.#leaving.clear();
    this.#lastEnded.clear();
    this.#isKnown = true;
    this.#first.resolve();
    if (isNew) this.listener.changed();
  }

  /** Reads what is due. @throws GatewayError `docker` */
  async #read(signal: AbortSignal): Promise<void> {
    if (Date.now() >= this.#standingAt) {
      const own = await this.client.swarmInfo(signal);
      this.#standingAt = Date.now() + STANDING_EVERY;
      if (own?.ControlAvailable !== true) {
        if (this.wish === "auto") {
          this.#forget();
          return;
        }
        this.#standingAt = 0;
        throw new GatewayError(
          "docker",
          "Cannot serve the services of a swarm: the Engine is no manager of one",
          { hint: "name a manager with --docker-host, or leave --swarm out" },
        );
      }
      this.#own = own;
    }
    const { tasks, leaving } = await this.#readTasks(signal);
    this.#take(tasks, leaving);
  }

  async #readTasks(
    signal: AbortSignal,
  ): Promise<{ tasks: readonly TaskAnswer[]; leaving: readonly TaskAnswer[] }> {
    // At first those are asked for, too, that are to end: a gateway before this one may serve them.
    const filters = this.#isServed ? { "desired-state": WANTED } : undefined;
    const reading = this.client.tasks(filters, signal);
    const [tasks] = await Promise.all([
      reading,
      this.#areMarked ? this.#readRest(signal) : undefined,
    ]);
    if (tasks.some(({ ServiceID = "" }) => ServiceID !== "" && !this.#services.has(ServiceID))) {
      await this.#readRest(signal);
    }
    const listed = new Set(tasks.map(({ ID }) => ID));
    const gone = [...this.#served.values()]
      .map(({ task }) => task.ID)
      .filter((id) => !listed.has(id));
    const leaving = gone.length === 0 ? [] : await this.client.tasks({ id: gone }, signal);
    return { tasks, leaving };
  }

  async #readRest(signal: AbortSignal): Promise<void> {
    // The mark is removed before the request: a change during the request must mark it again.
    this.#areMarked = false;
    try {
      const [services, nodes] = await Promise.all([
        this.client.services(signal),
        this.client.nodes(signal),
      ]);
      this.#services = byId(services);
      this.#nodes = byId(nodes);
    } catch (error) {
      this.#areMarked = true;
      throw error;
    }
  }

  /** Takes over what was read, and tells what is new. */
  #take(tasks: readonly TaskAnswer[], leaving: readonly TaskAnswer[]): void {
    const now = Date.now();
    const before = this.#served;
    const all = [...tasks, ...leaving];
    this.#noteChange(all, now);
    const ending: string[] = [];
    const served = new Map<string, Served>();
    let isNew = !this.#isServed;
    const isLost = ({ NodeID = "" }: TaskAnswer): boolean =>
      this.#nodes.get(NodeID)?.Status.State === "down";
    const healthy = new Set(
      all
        .filter((task) => runs(task) && isWanted(task) && !isLost(task))
        .map(({ ServiceID }) => ServiceID),
    );
    for (const task of all) {
      const id = containerIdOf(task);
      // Of a service that is gone, tasks may still run.
      const service = this.#services.get(task.ServiceID ?? "") ?? before.get(id)?.service;
      const node = this.#nodes.get(task.NodeID ?? "");
      if (!runs(task) || service === undefined) continue;
      // Nobody tells whether the tasks of a node that is down still run. HAProxy's checks do, for the last
      // ones of a service: after a restart of its only manager a swarm takes all nodes for lost.
      if (isLost(task) && healthy.has(task.ServiceID)) continue;
      if (isWanted(task) && !isLost(task)) this.#leaving.delete(id);
      else if (!this.#leaving.has(id)) {
        this.#leaving.set(id, this.#uniqueTime(now));
        if (before.has(id)) ending.push(id);
      }
      const made = this.#describe(before.get(id), task, service, node);
      if (made.container !== before.get(id)?.container) {
        this.#changedAt.set(id, now);
        isNew = true;
      }
      served.set(id, made);
    }
    const ended = [...before].filter(([id]) => !served.has(id));
    for (const [id, { service }] of ended) {
      this.#leaving.delete(id);
      this.#changedAt.set(id, now);
      this.#ended.add(id);
      this.#lastEnded.set(service.ID, id);
    }
    const gone = [...this.#lastEnded.keys()].filter((id) => !this.#services.has(id));
    for (const id of gone) this.#lastEnded.delete(id);
    if (!this.#isServed) this.log.info("serving the services of the swarm, too");
    this.#served = served;
    if (!this.#isServed) this.#mayListen.set();
    this.#isServed = true;
    this.#isKnown = true;
    this.#first.resolve();
    for (const id of ending) this.listener.ending(id);
    for (const [id] of ended) this.listener.ended(id);
    if (isNew || ended.length + gone.length > 0) this.listener.changed();
  }

  /** A task as a container: the same object as long as nothing is new. */
  #describe(
    before: Served | undefined,
    task: TaskAnswer,
    service: ServiceAnswer,
    node: NodeAnswer | undefined,
  ): Served {
    const own = this.#own;
    if (own === undefined) throw new Error("a task was read without a manager");
    const stopping = this.#leaving.get(containerIdOf(task)) ?? 0;
    const made = taskToContainer(task, { service, node, own, stopping });
    const isSame = before !== undefined && isDeepStrictEqual(before.container, made);
    return { task, service, node, container: isSame ? before.container : made };
  }

  /** No two tasks get the same time, so that everybody agrees on which of a service was told last. */
  #uniqueTime(now: number): number {
    return Math.max(now, ...[...this.#leaving.values()].map((at) => at + 1));
  }

  /** Notes whether something is under way, and when it last changed. */
  #noteChange(tasks: readonly TaskAnswer[], now: number): void {
    const versions = tasks.map(({ ID, Version }) => `${ID} ${Version.Index}`).join("\n");
    if (versions !== this.#versions) this.#lastChange = now;
    this.#versions = versions;
    this.#isUnderway =
      tasks.some((task) => COMING.includes(task.Status.State) || (runs(task) && !isWanted(task))) ||
      [...this.#services.values()].some(({ UpdateStatus }) =>
        ["updating", "rollback_started"].includes(UpdateStatus?.State ?? ""),
      );
  }

  /** Listens to what happens to services and nodes: then the tasks are asked for at once. */
  async #listen(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#isServed && this.#connection !== undefined) {
        try {
          const either = AbortSignal.any([signal, this.#connection.signal]);
          const events = await this.client.events(undefined, either, ["service", "node"]);
          this.#note();
          for await (const event of readEvents(events)) if (event.kind === "swarm") this.#note();
        } catch (error) {
          // The tasks are asked for all the same, and a failure of that is told.
          if (!signal.aborted)
            this.log.debug(`no events of services and nodes: ${errorMessage(error)}`);
        }
      }
      await this.#mayListen.wait(EVENTS_RETRY, signal);
    }
  }

  #note(): void {
    this.#lastEvent = Date.now();
    this.#areMarked = true;
    this.#wakeup.set();
  }
}

function byId<T extends { readonly ID: string }>(all: readonly T[]): Map<string, T> {
  return new Map(all.map((each) => [each.ID, each]));
}
