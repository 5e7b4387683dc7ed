// The tasks of a swarm as its manager tells them. It has events for services and nodes, and none for tasks
// of other nodes: so it is asked again and again, beside the passes of the loop. `rota.ts` has the rule of what for.

import { isDeepStrictEqual } from "node:util";
import { Backoff, pause, Wakeup } from "../../lib/async.ts";
import { errorMessage, GatewayError } from "../../lib/errors.ts";
import { sameItems } from "../../lib/lists.ts";
import { RepeatedFailure, type Logger } from "../../lib/log.ts";
import type { Container } from "../../model.ts";
import { Forbidden, type DockerClient, type SwarmWish } from "../client.ts";
import { readEvents } from "../events.ts";
import type { Listed } from "../listed.ts";
import type { NodeAnswer, ServiceAnswer, SwarmInfo, TaskAnswer } from "./answers.ts";
import { Directory, type News } from "./directory.ts";
import { CALM, pauseAfter, QUICK, untilNextCount } from "./pace.ts";
import { PORTION, Rota } from "./rota.ts";
import { briefOf, taskToContainer, type Brief } from "./task.ts";

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

/**
 * What a task's container is, and what it was made of. The answer is not kept: ten thousand of them are a
 * million objects, and memory is looked through again and again.
 */
interface Served {
  readonly taskId: string;
  readonly version: number;
  readonly nodeId: string;
  readonly service: ServiceAnswer;
  readonly node: NodeAnswer | undefined;
  readonly own: SwarmInfo;
  readonly container: Container;
}

/** A task as it was told. */
interface Told {
  readonly brief: Brief;
  /** All that was told of it. */
  readonly listed: Listed<TaskAnswer>;
}

/** The desired states of tasks that run, or are about to. */
const WANTED = ["running", "complete", "ready"];
/** The states of a task that is about to run. Source: Docker's documentation, "Swarm task states". */
const COMING = new Set([
  "new",
  "allocated",
  "pending",
  "assigned",
  "accepted",
  "preparing",
  "ready",
  "starting",
]);
/** So many IDs of tasks fit into a question: 8 kB are too long for some proxies. */
const MOST_IDS = 100;
/** So often everything is read anew where services are removed while they are asked about. */
const MOST_TRIES = 3;
/** So many questions about what was counted otherwise are asked at the same time. */
const MOST_BESIDE = 2;
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
  readonly #directory: Directory;
  readonly #rota = new Rota();
  /** Whether every task is to be asked for, as something may have been missed. */
  #isStale = true;
  /** The tasks that run, by the IDs of their services and of their containers. */
  readonly #served = new Map<string, ReadonlyMap<string, Served>>();
  /** The containers of all of them; undefined: to be listed anew. */
  #containers: readonly Container[] | undefined;
  /** When tasks that are to end were noticed, by the IDs of their containers, in ms since 1970. */
  readonly #leaving = new Map<string, number>();
  /** The latest of these times. */
  #lastLeft = 0;
  /** The task that ended last of each service: the ID of its container by that of the service. */
  readonly #lastEnded = new Map<string, string>();
  /** The tasks that have ended since HAProxy served every change, by the IDs of their containers. */
  readonly #ended = new Set<string>();
  /** When each change that is not live yet was noticed, by the container's ID, in ms since 1970. */
  readonly #changedAt = new Map<string, number>();
  /** The tasks of each service as they were last told, by its ID. */
  readonly #told = new Map<string, readonly Brief[]>();
  /** The same of all tasks, by their texts. */
  readonly #briefs = new Map<bigint, Brief>();
  /** The questions that go on while others are asked. */
  readonly #beside = new Set<Promise<void>>();
  /** The longest time that an answer of the last reading took, in milliseconds. */
  #longest = 0;
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
    this.#directory = new Directory(client);
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
    if (this.#containers === undefined) {
      const containers: Container[] = [];
      for (const tasks of this.#served.values()) {
        for (const { container } of tasks.values()) containers.push(container);
      }
      this.#containers = containers;
    }
    return this.#containers;
  }

  /** Whether a task is to end, by the ID of its container. */
  isEnding(id: string): boolean {
    return this.#leaving.has(id) || this.#ended.has(id);
  }

  /** Whether a task is the last one that a service has had which still exists, by the ID of its container. */
  remains(id: string): boolean {
    return [...this.#lastEnded.values()].includes(id);
  }

  /** The task that has a container, by its ID, if it runs as far as the swarm has told. */
  task(id: string): Container | undefined {
    for (const tasks of this.#served.values()) {
      const served = tasks.get(id);
      if (served !== undefined) return served.container;
    }
    return undefined;
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
    this.#directory.markAll();
    this.#standingAt = 0;
    this.#wakeup.set();
  }

  /** Notes whether the Engine can be asked. What is known stays as it is as long as it cannot. */
  setConnected(isConnected: boolean): void {
    this.#connection?.abort();
    this.#connection = isConnected ? new AbortController() : undefined;
    if (!isConnected) return;
    this.#isStale = true;
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
    const beside = Promise.all([this.#listen(signal), this.#countAgain(signal)]);
    while (!signal.aborted) {
      const begun = Date.now();
      const wait = this.#connection !== undefined ? await this.#look(signal) : LONGEST_RETRY;
      const isWoken = await this.#wakeup.wait(wait, signal);
      // In a large swarm there may be many events a second: several of them are one question.
      if (isWoken && !this.#rota.isWhole)
        await pause(Math.max(0, begun + QUICK - Date.now()), signal);
    }
    await beside;
    await Promise.all(this.#beside);
  }

  /** Asks once, and tells what is new. Returns how long to wait until the next time, in milliseconds. */
  async #look(signal: AbortSignal): Promise<number> {
    this.#longest = 0;
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
    return pauseAfter(this.#longest, this.#rota.pause(now));
  }

  /** Tells once that the swarm cannot be read. What is known of it stays. */
  #fail(error: unknown): number {
    const wasTold = this.#isTold;
    this.#isTold = false;
    this.#isStale = true;
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
    this.#isStale = true;
    this.#served.clear();
    this.#containers = undefined;
    this.#told.clear();
    this.#briefs.clear();
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
      // The same object as long as nothing is new.
      if (!isDeepStrictEqual(own, this.#own)) this.#own = own;
    }
    for (let tries = 1; !(await this.#readTasks(signal)); tries++) {
      if (tries >= MOST_TRIES) {
        throw new GatewayError(
          "docker",
          "Cannot read the tasks of the swarm: services come and go",
        );
      }
      this.#directory.markAll();
    }
  }

  /** Reads the tasks that are due. Returns false if a service is gone that was asked about. */
  async #readTasks(signal: AbortSignal): Promise<boolean> {
    this.#note(await this.#timed(this.#directory.read(signal)));
    const isAll = this.#isStale;
    // Those questions are asked at the same time that are for what is due; everything is read one after the other.
    const asked = this.#rota.isWhole
      ? [[undefined]]
      : isAll
        ? this.#rota.portions().map((ids) => [ids])
        : [this.#rota.next(Date.now())];
    for (const questions of asked) {
      if (!(await this.#ask(questions, signal))) return false;
    }
    if (this.#briefs.size > 2 * this.#rota.tasks + PORTION) this.#briefs.clear();
    if (isAll) this.#isStale = false;
    if (!this.#isServed) this.#serve();
    return true;
  }

  /**
   * Asks for tasks, and takes over what is told.
   * @param questions the IDs of services, of which one question is for some; undefined: for all
   * @returns false if a service is gone that was asked about
   */
  async #ask(
    questions: readonly (readonly string[] | undefined)[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const question = this.#rota.question();
    const answers = await Promise.all(questions.map((ids) => this.#tasksOf(ids, signal)));
    // It is no manager any more.
    if (this.#own === undefined) return true;
    const told: Told[] = [];
    for (const tasks of answers) {
      if (tasks === undefined) return false;
      told.push(...tasks.map((each) => this.#toTold(each)));
    }
    const isUnknown = ({ brief: { serviceId } }: Told): boolean =>
      serviceId !== "" && !this.#directory.services.has(serviceId);
    if (told.some(isUnknown)) {
      this.#directory.markAll();
      this.#note(await this.#directory.read(signal));
    }
    const ids = questions.includes(undefined) ? undefined : questions.flatMap((each) => each ?? []);
    if (ids?.length !== 0) await this.#take(ids, told, question, signal);
    return true;
  }

  /** The tasks of services; undefined if one of them is gone. @param ids undefined: of all */
  async #tasksOf(
    ids: readonly string[] | undefined,
    signal: AbortSignal,
  ): Promise<readonly Listed<TaskAnswer>[] | undefined> {
    const service = ids?.filter((id) => this.#directory.services.has(id));
    if (service?.length === 0) return [];
    const filters = {
      ...(service === undefined ? {} : { service }),
      // At first those are asked for, too, that are to end: a gateway before this one may serve them.
      ...(this.#isServed ? { "desired-state": WANTED } : {}),
    };
    return this.#timed(this.client.tasks(filters, signal));
  }

  #toTold(listed: Listed<TaskAnswer>): Told {
    const known = this.#briefs.get(listed.mark);
    const brief = known ?? briefOf(listed.parse());
    if (known === undefined) this.#briefs.set(listed.mark, brief);
    return { brief, listed };
  }

  /** Notes of which services something may be new. */
  #note({ services, nodes }: News): void {
    const { services: all, nodes: machines } = this.#directory;
    for (const id of services) {
      const service = all.get(id);
      // Of a service that is gone, tasks may still run.
      if (service === undefined && !this.#served.has(id)) this.#rota.drop(id);
      if (service === undefined) continue;
      this.#rota.add(id, service.Spec.Mode?.Replicated?.Replicas ?? machines.size);
    }
    const gone = services.filter((id) => !all.has(id) && this.#lastEnded.delete(id));
    if (gone.length > 0) this.listener.changed();
    // At first everything is new.
    if (!this.#isServed || services.length + nodes.length === 0) return;
    this.#rota.note([...services, ...this.#servicesOn(new Set(nodes))], Date.now());
  }

  /** The IDs of the services that have tasks on these nodes. */
  #servicesOn(nodes: ReadonlySet<string>): string[] {
    if (nodes.size === 0) return [];
    return [...this.#served].flatMap(([id, tasks]) =>
      [...tasks.values()].some(({ nodeId }) => nodes.has(nodeId)) ? id : [],
    );
  }

  async #timed<T>(question: Promise<T>): Promise<T> {
    const begun = Date.now();
    const answer = await question;
    this.#longest = Math.max(this.#longest, Date.now() - begun);
    return answer;
  }

  #serve(): void {
    this.log.info("serving the services of the swarm, too");
    this.#isServed = true;
    this.#isKnown = true;
    this.#mayListen.set();
    this.#first.resolve();
    this.listener.changed();
  }

  /**
   * Takes over what was read, and tells what is new.
   * @param ids the services that were asked about; undefined: all
   * @param question which question that was: an answer to an earlier one may come later
   */
  async #take(
    ids: readonly string[] | undefined,
    tasks: readonly Told[],
    question: number,
    signal: AbortSignal,
  ): Promise<void> {
    const read = Map.groupBy(tasks, ({ brief }) => brief.serviceId);
    const isInTime = (id: string): boolean => id !== "" && !this.#rota.isLate(id, question);
    const asked = [
      ...(ids ??
        new Set([...this.#directory.services.keys(), ...this.#served.keys(), ...read.keys()])),
    ].filter(isInTime);
    const listed = new Set(tasks.map(({ brief }) => brief.id));
    const gone = asked.flatMap((id) =>
      [...(this.#served.get(id)?.values() ?? [])].filter(({ taskId }) => !listed.has(taskId)),
    );
    // Nobody wants them any more, whether they have ended or not.
    const leaving = this.#isServed ? gone.filter((each) => this.#leave(each.container.id)) : [];
    for (const each of leaving) this.#noteStopping(each);
    for (const { container } of leaving) this.listener.ending(container.id);
    // All others need not wait until it is told what has become of those.
    const incomplete = new Set(gone.map(({ service }) => service.ID));
    this.#takeServices(
      asked.filter((id) => !incomplete.has(id)),
      read,
      question,
    );
    if (gone.length === 0) return;
    const following = this.#follow(gone, [...incomplete], read, question, signal).then((isNews) => {
      if (!isNews && leaving.length > 0) this.listener.changed();
    });
    // At first everything is to be known. Later the next questions need not wait for it either.
    if (this.#isServed) void this.#goOnBeside(following, [...incomplete], signal);
    else await following;
  }

  /**
   * Asks what has become of tasks that nobody wants any more, and takes over their services.
   * @param ids the services
   * @param read the other tasks of these
   * @returns whether anything was told that is new
   */
  async #follow(
    gone: readonly Served[],
    ids: readonly string[],
    read: Map<string, Told[]>,
    question: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const told = await this.#tasksById(
      gone.map(({ taskId }) => taskId),
      signal,
    );
    // It is no manager any more.
    if (this.#own === undefined) return false;
    for (const task of told) {
      const { serviceId } = task.brief;
      const others = read.get(serviceId);
      if (others === undefined) read.set(serviceId, [task]);
      else others.push(task);
    }
    const isInTime = (id: string): boolean => !this.#rota.isLate(id, question);
    return this.#takeServices(ids.filter(isInTime), read, question);
  }

  /** Lets a question go on while others are asked. @param ids the services that are asked about again if it fails */
  #goOnBeside(
    question: Promise<unknown>,
    ids: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const answered = async (): Promise<void> => {
      try {
        await question;
      } catch (error) {
        if (signal.aborted) return;
        this.log.debug(`some tasks of the swarm cannot be read: ${errorMessage(error)}`);
        await pause(FIRST_RETRY, signal);
        this.#wake(ids);
      }
    };
    const ended = answered();
    this.#beside.add(ended);
    return ended.finally(() => this.#beside.delete(ended));
  }

  /** Tasks as they are, also those that are to end. One that is gone is not there. */
  async #tasksById(ids: readonly string[], signal: AbortSignal): Promise<readonly Told[]> {
    const portions: string[][] = [];
    for (let at = 0; at < ids.length; at += MOST_IDS) portions.push(ids.slice(at, at + MOST_IDS));
    const answers = await Promise.all(
      portions.map((id) => this.#timed(this.client.tasks({ id }, signal))),
    );
    return answers.flatMap((tasks) => (tasks ?? []).map((each) => this.#toTold(each)));
  }

  /** Takes over the tasks of services, and tells what is new. Returns whether anything is. */
  #takeServices(
    ids: readonly string[],
    read: ReadonlyMap<string, readonly Told[]>,
    question: number,
  ): boolean {
    const now = Date.now();
    const news = ids.map((id) => this.#takeService(id, read.get(id) ?? [], question, now));
    if (!news.some(({ isNew }) => isNew)) return false;
    this.#containers = undefined;
    for (const { ending } of news) for (const id of ending) this.listener.ending(id);
    for (const { ended } of news) for (const id of ended) this.listener.ended(id);
    if (this.#isServed) this.listener.changed();
    return true;
  }

  /** Takes over the tasks of a service. Returns the IDs of containers that are to end, and that have ended. */
  #takeService(
    serviceId: string,
    tasks: readonly Told[],
    question: number,
    now: number,
  ): { isNew: boolean; ending: readonly string[]; ended: readonly string[] } {
    const before: ReadonlyMap<string, Served> = this.#served.get(serviceId) ?? new Map();
    const known = this.#directory.services.get(serviceId);
    this.#tell(serviceId, tasks, question, now);
    const ending: string[] = [];
    const served = new Map<string, Served>();
    let isNew = false;
    const isLost = ({ nodeId }: Brief): boolean =>
      this.#directory.nodes.get(nodeId)?.Status.State === "down";
    const isHealthy = tasks.some(({ brief }) => brief.runs && brief.isWanted && !isLost(brief));
    for (const task of tasks) {
      const { brief } = task;
      const { containerId: id, isWanted } = brief;
      // Of a service that is gone, tasks may still run.
      const service = known ?? before.get(id)?.service;
      const node = this.#directory.nodes.get(brief.nodeId);
      if (!brief.runs || service === undefined) continue;
      // Nobody tells whether the tasks of a node that is down still run. HAProxy's checks do, for the last
      // ones of a service: after a restart of its only manager a swarm takes all nodes for lost.
      if (isLost(brief) && isHealthy) continue;
      if (isWanted && !isLost(brief)) this.#leaving.delete(id);
      else if (this.#leave(id) && before.has(id)) ending.push(id);
      const made = this.#describe(before.get(id), task, service, node);
      if (made.container !== before.get(id)?.container) {
        this.#changedAt.set(id, now);
        isNew = true;
      }
      served.set(id, made);
    }
    const ended = [...before.keys()].filter((id) => !served.has(id));
    for (const id of ended) {
      this.#leaving.delete(id);
      this.#changedAt.set(id, now);
      this.#ended.add(id);
      if (known !== undefined) this.#lastEnded.set(serviceId, id);
    }
    if (served.size > 0) this.#served.set(serviceId, served);
    else {
      this.#served.delete(serviceId);
      if (known === undefined) this.#rota.drop(serviceId);
    }
    return { isNew: isNew || ended.length > 0, ending, ended };
  }

  /** Notes that a task is to end, by the ID of its container. Returns false if that is known. */
  #leave(id: string): boolean {
    if (this.#leaving.has(id)) return false;
    // No two tasks get the same time, so that everybody agrees on which of a service was told last.
    this.#lastLeft = Math.max(Date.now(), this.#lastLeft + 1);
    this.#leaving.set(id, this.#lastLeft);
    return true;
  }

  /** Notes that a task is to end as its container has it: a pass may come before more is told of it. */
  #noteStopping(task: Served): void {
    const { service, container } = task;
    const stopping = this.#leaving.get(container.id) ?? 0;
    const tasks = new Map(this.#served.get(service.ID));
    tasks.set(container.id, { ...task, container: { ...container, stopping } });
    this.#served.set(service.ID, tasks);
    this.#containers = undefined;
  }

  /** A task as a container: the same object as long as nothing is new. */
  #describe(
    before: Served | undefined,
    { brief, listed }: Told,
    service: ServiceAnswer,
    node: NodeAnswer | undefined,
  ): Served {
    const own = this.#own;
    if (own === undefined) throw new Error("a task was read without a manager");
    const { id: taskId, version, nodeId, containerId } = brief;
    const stopping = this.#leaving.get(containerId) ?? 0;
    if (
      before?.version === version &&
      before.service === service &&
      before.node === node &&
      before.own === own &&
      before.container.stopping === stopping
    ) {
      return before;
    }
    const published = before?.container.task?.published ?? [];
    const made = taskToContainer(listed.parse(), { service, node, own, stopping, published });
    const isSame = before !== undefined && isDeepStrictEqual(before.container, made);
    const container = isSame ? before.container : made;
    return { taskId, version, nodeId, service, node, own, container };
  }

  /** Tells the rota of a service whether something is under way. */
  #tell(serviceId: string, tasks: readonly Told[], question: number, now: number): void {
    const state = this.#directory.services.get(serviceId)?.UpdateStatus?.State ?? "";
    const briefs = tasks.map(({ brief }) => brief);
    const told = {
      size: tasks.length,
      running: briefs.filter((each) => each.state === "running").length,
      hasChanged: !sameItems(briefs, this.#told.get(serviceId) ?? []),
      isUnderway:
        briefs.some((each) => COMING.has(each.state) || (each.runs && !each.isWanted)) ||
        ["updating", "rollback_started"].includes(state),
    };
    if (tasks.length === 0) this.#told.delete(serviceId);
    else this.#told.set(serviceId, briefs);
    this.#rota.told(serviceId, told, question, now);
  }

  /**
   * Asks a large swarm again and again how many tasks of each service run. Where that is not what was told, it is
   * asked for them at once, beside all other questions.
   */
  async #countAgain(signal: AbortSignal): Promise<void> {
    const asking = new Set<Promise<void>>();
    while (!signal.aborted) {
      const begun = Date.now();
      if (!this.#isServed || this.#connection === undefined || this.#rota.isWhole) {
        await pause(CALM, signal);
        continue;
      }
      try {
        const { running, isMarked } = await this.#directory.count(signal);
        if (isMarked) this.#wakeup.set();
        const due = this.#rota.counted(running, Date.now());
        // The next count does not wait for the answer. Where several are awaited, the rest is asked at the quick pace.
        if (due.length > 0 && asking.size < MOST_BESIDE) {
          const asked = this.#goOnBeside(this.#ask(due, signal), due.flat(), signal);
          asking.add(asked);
          void asked.finally(() => asking.delete(asked));
        }
      } catch (error) {
        // Where the tasks cannot be read either, that is told.
        if (!signal.aborted)
          this.log.debug(`the tasks of the swarm cannot be counted: ${errorMessage(error)}`);
      }
      await pause(untilNextCount(Date.now() - begun), signal);
    }
  }

  /** Listens to what happens to services and nodes: then the tasks are asked for at once. */
  async #listen(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#isServed && this.#connection !== undefined) {
        try {
          const either = AbortSignal.any([signal, this.#connection.signal]);
          const events = await this.client.events(undefined, either, ["service", "node"]);
          // What happened before is not told.
          this.#directory.markAll();
          this.#wake([]);
          for await (const event of readEvents(events)) {
            if (event.kind !== "swarm") continue;
            this.#directory.mark(event);
            this.#wake([event.id]);
          }
        } catch (error) {
          // The tasks are asked for all the same, and a failure of that is told.
          if (!signal.aborted)
            this.log.debug(`no events of services and nodes: ${errorMessage(error)}`);
        }
      }
      await this.#mayListen.wait(EVENTS_RETRY, signal);
    }
  }

  /** Has tasks asked for at once. @param services the IDs of those where something happens */
  #wake(services: readonly string[]): void {
    this.#rota.note(services, Date.now());
    this.#wakeup.set();
  }
}
