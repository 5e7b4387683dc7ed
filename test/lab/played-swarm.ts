// Plays the manager of a large swarm: it has the API on a unix socket, and services whose tasks come, go, are
// updated and die as those of a real one. All tasks publish a port of their node, and nodes are on loopback.

import { rmSync } from "node:fs";
import type { NodeAnswer, ServiceAnswer, TaskAnswer } from "../../src/docker/swarm/answers.ts";
import { pause } from "../../src/lib/async.ts";
import { recorded } from "../docker/swarm/answers.ts";

export interface SwarmSize {
  readonly nodes: number;
  readonly services: number;
  readonly tasks: number;
}

/** What the manager takes for an answer. */
export interface Slowness {
  /** In milliseconds. */
  readonly each: number;
  /** For each task that it looks at, and for each that it tells, in microseconds. */
  readonly perTask: readonly [looked: number, told: number];
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };
type State = "pending" | "ready" | "starting" | "running" | "shutdown" | "failed";
type Order = "start-first" | "stop-first";

/** A task as the manager knows it. */
export interface PlayedTask {
  readonly id: string;
  readonly containerId: string;
  readonly service: PlayedService;
  readonly slot: number;
  readonly node: PlayedNode;
  readonly port: number;
  readonly createdAt: string;
  state: State;
  desired: "ready" | "running" | "shutdown" | "remove";
  version: number;
  /** What is answered of it; empty: to be written anew. */
  text: string;
}

export interface PlayedService {
  readonly id: string;
  readonly name: string;
  readonly tasks: Set<PlayedTask>;
  readonly order: Order;
  replicas: number;
  version: number;
  updating: boolean;
  text: string;
}

export interface PlayedNode {
  readonly id: string;
  readonly address: string;
  state: "ready" | "down";
  version: number;
  /** The ports that no task of it has. The one that was free for longest is the next. */
  readonly ports: number[];
}

/** The first port of each node that a task publishes, and how many there are. */
export const FIRST_PORT = 31_000;
export const PORTS = 400;
const API_VERSION = "1.41";
/** Bun ends an answer that is silent for 10 s. Its types lack this option for unix sockets. */
const NO_IDLE_TIMEOUT: object = { idleTimeout: 0 };
/** What the parts of a task's life take, in milliseconds. A real container takes longer to start. */
const [PENDING, STARTING, GRACE] = [100, 300, 700];
/** How long it is until a task that has died is started again, in milliseconds. Docker's own default. */
const RESTART_DELAY = 5_000;
/** So many of the tasks that a slot has had are kept. Docker's own default. */
const HISTORY = 5;

interface Answer {
  readonly status: number;
  readonly text: string;
  /** How many tasks were looked at for it, and how many it tells. */
  readonly looked: number;
  readonly told: number;
}

const NOTHING: Answer = { status: 200, text: "", looked: 0, told: 0 };

/** A task of a real manager, and its service: what is not played is told as it told it. */
interface Models {
  readonly task: TaskAnswer;
  readonly service: ServiceAnswer;
  readonly node: NodeAnswer;
}

export class PlayedSwarm {
  readonly dockerHost: string;
  readonly services: PlayedService[] = [];
  readonly nodes: PlayedNode[] = [];
  /** How many bytes were answered, by the path. */
  readonly answered = new Map<string, { answers: number; bytes: number }>();
  /** Told of each task whose state changed. */
  onChange: (task: PlayedTask) => void = () => {};
  /** As measured with Docker 20.10, with 5,000 tasks. */
  slowness: Slowness = { each: 1, perTask: [5, 20] };
  readonly #byService = new Map<string, PlayedService>();
  readonly #byTask = new Map<string, PlayedTask>();
  readonly #listeners = new Set<ReadableStreamDefaultController<Uint8Array>>();
  readonly #ended = new AbortController();
  readonly #server: Bun.Server<undefined>;
  readonly #manager: PlayedNode;
  #count = 0;
  #turn = 0;

  private constructor(
    private readonly socket: string,
    { nodes, services, tasks }: SwarmSize,
    private readonly models: Models,
  ) {
    // The first one is the manager, which has no tasks.
    this.#manager = this.#makeNode(0);
    for (let index = 1; index <= nodes; index++) this.nodes.push(this.#makeNode(index));
    for (let index = 0; index < services; index++) {
      const service = this.#addService(index);
      service.replicas =
        Math.round(((index + 1) * tasks) / services) - Math.round((index * tasks) / services);
      for (let slot = 1; slot <= service.replicas; slot++) {
        // Each slot has had a task before.
        this.#addTask(service, slot, "shutdown", "shutdown");
        this.#addTask(service, slot, "running", "running");
      }
    }
    rmSync(socket, { force: true });
    this.dockerHost = `unix://${socket}`;
    this.#server = Bun.serve({
      unix: socket,
      ...NO_IDLE_TIMEOUT,
      fetch: (request) => this.#answer(new URL(request.url)),
    });
  }

  static async start(socket: string, size: SwarmSize): Promise<PlayedSwarm> {
    const { services, nodes, tasks } = await recorded("docker-20.10");
    const task = tasks.find(({ Status }) => (Status.PortStatus?.Ports ?? []).length > 0);
    const service = services.find(({ ID }) => ID === task?.ServiceID);
    const node = nodes.find(({ ManagerStatus }) => ManagerStatus === undefined);
    if (task === undefined || service === undefined || node === undefined) {
      throw new Error("no task with a port was recorded");
    }
    return new PlayedSwarm(socket, size, { task, service, node });
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    for (const listener of this.#listeners) listener.close();
    await this.#server.stop(true);
    rmSync(this.socket, { force: true });
  }

  /** All tasks that the manager has. */
  get tasks(): Iterable<PlayedTask> {
    return this.#byTask.values();
  }

  /** Replaces all tasks of a service, one after the other, as its order says. */
  async update(service: PlayedService): Promise<void> {
    if (service.updating) return;
    this.#tellService(service, { updating: true });
    for (let slot = 1; slot <= service.replicas; slot++) {
      const old = this.#atSlot(service, slot);
      if (service.order === "stop-first") {
        await Promise.all(old.map((task) => this.#end(task, "shutdown")));
        await this.#begin(service, slot);
      } else {
        await this.#begin(service, slot);
        await Promise.all(old.map((task) => this.#end(task, "shutdown")));
      }
    }
    this.#tellService(service, { updating: false });
  }

  /** Gives a service so many tasks. */
  async scale(service: PlayedService, replicas: number): Promise<void> {
    const before = service.replicas;
    this.#tellService(service, { replicas });
    const gone = [...service.tasks].filter(
      ({ slot, desired }) => slot > replicas && (desired === "running" || desired === "ready"),
    );
    const ending = gone.map((task) => this.#end(task, "remove"));
    const beginning: Promise<void>[] = [];
    for (let slot = before + 1; slot <= replicas; slot++)
      beginning.push(this.#begin(service, slot));
    await Promise.all([...ending, ...beginning]);
  }

  /** A task dies, and another one comes in its place. No event tells of it. */
  async die(task: PlayedTask, delay: number = RESTART_DELAY): Promise<void> {
    if (task.state !== "running" || task.desired !== "running") return;
    this.#change(task, "failed", "shutdown");
    this.#release(task);
    await this.#begin(task.service, task.slot, delay);
  }

  /** A node is down: its tasks come on others. What they are doing nobody knows. */
  async lose(node: PlayedNode): Promise<void> {
    this.#tellNode(node, "down");
    const lost = [...this.tasks].filter((task) => task.node === node && task.desired === "running");
    for (const task of lost) this.#change(task, task.state, "shutdown");
    await Promise.all(lost.map(({ service, slot }) => this.#begin(service, slot)));
  }

  /** It is there again, and tells that its tasks have ended. */
  regain(node: PlayedNode): void {
    const ended = [...this.tasks].filter(
      ({ node: of, desired }) => of === node && desired === "shutdown",
    );
    for (const task of ended.filter(({ state }) => state === "running")) {
      this.#change(task, "shutdown", "shutdown");
      this.#release(task);
    }
    this.#tellNode(node, "ready");
  }

  async #begin(service: PlayedService, slot: number, delay = 0): Promise<void> {
    const task = this.#addTask(service, slot, "pending", delay > 0 ? "ready" : "running");
    this.onChange(task);
    await this.#wait(delay > 0 ? delay : PENDING);
    if (task.desired === "ready") this.#change(task, "starting", "running");
    else if (task.desired === "running") this.#change(task, "starting", "running");
    await this.#wait(STARTING);
    if (task.desired === "running" && task.node.state === "ready") {
      this.#change(task, "running", "running");
    }
  }

  async #end(task: PlayedTask, desired: "shutdown" | "remove"): Promise<void> {
    this.#change(task, task.state, desired);
    await this.#wait(GRACE);
    if (desired === "remove") {
      task.service.tasks.delete(task);
      this.#byTask.delete(task.id);
    }
    this.#change(task, "shutdown", desired);
    this.#release(task);
  }

  async #wait(ms: number): Promise<void> {
    await pause(ms, this.#ended.signal);
  }

  #atSlot(service: PlayedService, slot: number): PlayedTask[] {
    return [...service.tasks].filter((task) => task.slot === slot && task.desired === "running");
  }

  #change(task: PlayedTask, state: State, desired: PlayedTask["desired"]): void {
    if (this.#ended.signal.aborted) return;
    Object.assign(task, { state, desired, version: ++this.#count, text: "" });
    if (state === "shutdown" || state === "failed") this.#forgetOldest(task);
    this.onChange(task);
  }

  #forgetOldest({ service, slot }: PlayedTask): void {
    const had = [...service.tasks].filter(
      (each) => each.slot === slot && (each.state === "shutdown" || each.state === "failed"),
    );
    for (const old of had.slice(0, -HISTORY)) {
      service.tasks.delete(old);
      this.#byTask.delete(old.id);
    }
  }

  #release({ node, port }: PlayedTask): void {
    if (!node.ports.includes(port)) node.ports.push(port);
  }

  #makeNode(index: number): PlayedNode {
    const ports = Array.from({ length: PORTS }, (_, port) => FIRST_PORT + port);
    const address = `127.31.${Math.floor(index / 250)}.${(index % 250) + 1}`;
    return { id: this.#id("n"), address, state: "ready", version: ++this.#count, ports };
  }

  #addService(index: number): PlayedService {
    const service: PlayedService = {
      id: this.#id("s"),
      name: `app-${index}`,
      tasks: new Set(),
      order: index % 2 === 0 ? "start-first" : "stop-first",
      replicas: 0,
      version: ++this.#count,
      updating: false,
      text: "",
    };
    this.services.push(service);
    this.#byService.set(service.id, service);
    return service;
  }

  #addTask(
    service: PlayedService,
    slot: number,
    state: State,
    desired: PlayedTask["desired"],
  ): PlayedTask {
    const live = this.nodes.filter((each) => each.state === "ready");
    // What has ended is on the node of the next one, so that every node has as many that run.
    const node = live[this.#turn % live.length];
    if (state !== "shutdown") this.#turn++;
    if (node === undefined) throw new Error("no node is left");
    const id = this.#id("t");
    const port = state === "shutdown" ? FIRST_PORT : node.ports.shift();
    if (port === undefined) throw new Error(`node ${node.id} has no port left`);
    const task: PlayedTask = {
      id,
      containerId: new Bun.CryptoHasher("sha256").update(id).digest("hex"),
      service,
      slot,
      node,
      port,
      createdAt: new Date().toISOString(),
      state,
      desired,
      version: ++this.#count,
      text: "",
    };
    service.tasks.add(task);
    this.#byTask.set(id, task);
    return task;
  }

  /** An ID as the manager makes them: 25 letters and digits. */
  #id(letter: string): string {
    return `${letter}${(++this.#count).toString(36).padStart(24, "0")}`;
  }

  #tellService(service: PlayedService, change: Partial<Writable<PlayedService>>): void {
    if (this.#ended.signal.aborted) return;
    Object.assign(service, change, { version: ++this.#count, text: "" });
    this.#tell("service", service.id, "update");
  }

  #tellNode(node: PlayedNode, state: PlayedNode["state"]): void {
    Object.assign(node, { state, version: ++this.#count });
    this.#tell("node", node.id, "update");
  }

  #tell(type: "service" | "node", id: string, action: string): void {
    const event = { Type: type, Action: action, Actor: { ID: id, Attributes: {} }, scope: "swarm" };
    const line = new TextEncoder().encode(`${JSON.stringify(event)}\n`);
    for (const listener of this.#listeners) listener.enqueue(line);
  }

  async #answer({ pathname, searchParams }: URL): Promise<Response> {
    const path = pathname.replace(/^\/v[\d.]+(?=\/)/, "");
    if (path === "/_ping") return new Response("OK", { headers: { "Api-Version": API_VERSION } });
    if (path === "/events") return new Response(this.#events(searchParams));
    const filters = readFilters(searchParams);
    const { status, text, looked, told } = this.#find(path, filters, searchParams.has("status"));
    const before = this.answered.get(path) ?? { answers: 0, bytes: 0 };
    this.answered.set(path, {
      answers: before.answers + 1,
      bytes: before.bytes + text.length,
    });
    const { each, perTask } = this.slowness;
    await this.#wait(each + (looked * perTask[0] + told * perTask[1]) / 1_000);
    return new Response(text, { status, headers: { "Content-Type": "application/json" } });
  }

  #find(path: string, filters: ReadonlyMap<string, readonly string[]>, hasStatus: boolean): Answer {
    if (path === "/info") return { ...NOTHING, text: JSON.stringify(this.#info()) };
    if (path === "/containers/json") return found([]);
    if (path === "/networks")
      return found([JSON.stringify({ Name: "bridge", Driver: "bridge", IPAM: { Config: [] } })]);
    if (path === "/nodes") {
      const ids = filters.get("id");
      const nodes = [this.#manager, ...this.nodes].filter(({ id }) => ids?.includes(id) ?? true);
      return found(nodes.map((node) => this.#nodeText(node)));
    }
    if (path === "/services") {
      const ids = filters.get("id");
      const services = ids?.flatMap((id) => this.#byService.get(id) ?? []) ?? this.services;
      const looked = hasStatus ? services.reduce((sum, { tasks }) => sum + tasks.size, 0) : 0;
      return found(
        services.map((service) => this.#serviceText(service, hasStatus)),
        looked,
      );
    }
    if (path === "/tasks") {
      const unknown = (filters.get("service") ?? []).find((id) => !this.#byService.has(id));
      // As a real one: it looks for each service first, and answers nothing where one is gone.
      if (unknown !== undefined) return refusal(`service ${unknown} not found`);
      const { tasks, looked } = this.#filtered(filters);
      return found(
        tasks.map((task) => this.#taskText(task)),
        looked,
        tasks.length,
      );
    }
    return refusal("page not found");
  }

  /** As a manager does it: by the IDs, else those of the services, else all; then every other filter. */
  #filtered(filters: ReadonlyMap<string, readonly string[]>): {
    tasks: PlayedTask[];
    looked: number;
  } {
    const [ids, services] = [filters.get("id"), filters.get("service")];
    const candidates =
      ids !== undefined
        ? ids.flatMap((id) => this.#byTask.get(id) ?? [])
        : services !== undefined
          ? services.flatMap((id) => [...(this.#byService.get(id)?.tasks ?? [])])
          : [...this.tasks];
    const [desired, nodes] = [filters.get("desired-state"), filters.get("node")];
    const tasks = candidates.filter(
      (task) =>
        (services?.includes(task.service.id) ?? true) &&
        (desired?.includes(task.desired) ?? true) &&
        (nodes?.includes(task.node.id) ?? true),
    );
    return { tasks, looked: candidates.length };
  }

  #info() {
    return {
      Swarm: {
        NodeID: this.#manager.id,
        NodeAddr: this.#manager.address,
        LocalNodeState: "active",
        ControlAvailable: true,
        Cluster: { ID: "played" },
      },
    };
  }

  #taskText(task: PlayedTask): string {
    if (task.text === "") {
      const { task: model } = this.models;
      const ran = task.state !== "pending";
      const ports = (model.Status.PortStatus?.Ports ?? []).map((port) => ({
        ...port,
        PublishedPort: task.port,
      }));
      const answer: TaskAnswer = {
        ...model,
        ID: task.id,
        Version: { Index: task.version },
        CreatedAt: task.createdAt,
        ServiceID: task.service.id,
        Slot: task.slot,
        NodeID: task.node.id,
        DesiredState: task.desired,
        Spec: {
          ...model.Spec,
          ContainerSpec: { ...model.Spec.ContainerSpec, Image: `acme/${task.service.name}:1.0` },
        },
        Status: {
          ...model.Status,
          State: task.state,
          ContainerStatus: ran
            ? { ...model.Status.ContainerStatus, ContainerID: task.containerId }
            : {},
          PortStatus: task.state === "running" ? { Ports: ports } : {},
        },
      };
      task.text = JSON.stringify(answer);
    }
    return task.text;
  }

  #serviceText(service: PlayedService, hasStatus: boolean): string {
    if (service.text === "") {
      const { service: model } = this.models;
      const answer: ServiceAnswer = {
        ...model,
        ID: service.id,
        Version: { Index: service.version },
        Spec: { ...model.Spec, Name: service.name, Labels: {} },
        ...(service.updating ? { UpdateStatus: { State: "updating" } } : {}),
      };
      service.text = JSON.stringify(answer);
    }
    if (!hasStatus) return service.text;
    const tasks = [...service.tasks];
    const status = {
      RunningTasks: tasks.filter(({ state }) => state === "running").length,
      DesiredTasks: service.replicas,
      CompletedTasks: 0,
    };
    return `${service.text.slice(0, -1)},"ServiceStatus":${JSON.stringify(status)}}`;
  }

  #nodeText({ id, address, state, version }: PlayedNode): string {
    const answer: NodeAnswer = {
      ...this.models.node,
      ID: id,
      Version: { Index: version },
      Status: { State: state, Addr: address },
    };
    return JSON.stringify(answer);
  }

  #events(query: URLSearchParams): ReadableStream<Uint8Array> {
    const listeners = this.#listeners;
    const isOfSwarm = readFilters(query).get("type")?.includes("service") ?? false;
    let own: ReadableStreamDefaultController<Uint8Array> | undefined;
    return new ReadableStream({
      start(controller) {
        own = controller;
        if (isOfSwarm) listeners.add(controller);
        // Without a byte the head of the answer would wait for the first event.
        controller.enqueue(new TextEncoder().encode("\n"));
      },
      cancel() {
        if (own !== undefined) listeners.delete(own);
      },
    });
  }
}

function found(all: readonly string[], looked = 0, told = 0): Answer {
  return { status: 200, text: `[${all.join(",")}]`, looked, told };
}

function refusal(message: string): Answer {
  return { ...NOTHING, status: 404, text: JSON.stringify({ message }) };
}

function readFilters(query: URLSearchParams): Map<string, string[]> {
  const text = query.get("filters") ?? "{}";
  return new Map(Object.entries(JSON.parse(text) as Record<string, string[]>));
}
