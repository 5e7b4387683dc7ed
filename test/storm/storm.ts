// Whatever may happen to containers, at random: started, stopped, killed, paused, ill, without a network.

import { createNetwork, connect, disconnect } from "../e2e/network.ts";
import { create, type Container } from "../lab/containers.ts";
import type { Engine } from "../lab/engine.ts";
import { importImage } from "../lab/images.ts";
import type { Dice } from "./dice.ts";

/** At most so many containers of each service. */
const MOST = 3;
/** What is paused or without a network goes on after so long at most, in milliseconds. */
const LONGEST_BREAK = 3_000;
/** How long a container goes on after the signal to stop, in milliseconds. */
const GRACE = 800;
/** What happens may be felt so long after it, in milliseconds. */
const FELT_FOR = 3_000;
const NETWORK = "storm";

/** A container and how it is. */
interface Actor {
  readonly service: string;
  readonly container: Container;
  state: "created" | "running" | "exited" | "paused" | "gone";
  isConnected: boolean;
  isHealthy: boolean;
  /** Ends with what is being done to it: one thing at a time. */
  turn: Promise<void>;
}

/** In milliseconds since 1970. */
interface Span {
  readonly from: number;
  to: number;
}

/** A time in which requests to a service may fail. */
interface Trouble extends Span {
  readonly service: string;
}

export class Storm {
  /** What was done and when, for a failure. */
  readonly told: string[] = [];
  readonly #actors: Actor[] = [];
  readonly #troubles: Trouble[] = [];
  readonly #alone: Span[] = [];
  /** What is being done. */
  readonly #under = new Set<Promise<void>>();
  #count = 0;

  private constructor(
    private readonly engine: Engine,
    private readonly dice: Dice,
    readonly services: readonly string[],
  ) {}

  static async begin(engine: Engine, dice: Dice, services: readonly string[]): Promise<Storm> {
    await createNetwork(engine, NETWORK);
    for (const [index, service] of services.entries()) {
      const check = index === 0 ? { healthcheck: {} } : {};
      await importImage(engine, service, { expose: [8000], ...check });
    }
    const storm = new Storm(engine, dice, services);
    for (const service of services) storm.#quiet(service);
    return storm;
  }

  /** The names of the containers of a service that serve now. */
  serving(service: string): string[] {
    return this.#of(service)
      .filter(serves)
      .map(({ container }) => container.name);
  }

  get all(): readonly Container[] {
    return this.#actors.map(({ container }) => container);
  }

  /** Begins to do one thing, beside what is still being done to other containers. */
  act(): void {
    const service = this.dice.pick(this.services) ?? "";
    const own = this.#of(service).filter(({ state }) => state !== "gone");
    const actor = this.dice.pick(own);
    const isNew = own.length < MOST && this.dice.below(4) === 0;
    if (actor === undefined || isNew) {
      this.#begin(this.#add(service));
      return;
    }
    this.#inTurn(actor, async () => {
      const [name, deed] = this.dice.pick(Object.entries(this.#deeds(actor))) ?? [];
      if (name === undefined || deed === undefined) return;
      this.#tell(`${name} ${actor.container.name}`);
      await deed();
      this.#note(service);
    });
  }

  /** What can happen to a container now. */
  #deeds(actor: Actor): Record<string, () => Promise<void>> {
    const { container, service } = actor;
    const raw = this.engine.docker.getContainer(container.id);
    const abruptly = (): void => this.#trouble(service);
    switch (actor.state) {
      case "created":
      case "exited":
        return {
          start: async () => {
            await container.start();
            actor.state = "running";
            await this.#heal(actor);
          },
          remove: async () => {
            actor.state = "gone";
            await container.remove();
          },
        };
      case "running":
        return {
          stop: async () => {
            actor.state = "exited";
            this.#note(service);
            await container.stop();
          },
          restart: async () => {
            actor.state = "exited";
            this.#note(service);
            await raw.restart({ t: 10 });
            actor.state = "running";
            await this.#heal(actor);
          },
          kill: async () => {
            abruptly();
            actor.state = "exited";
            await container.kill();
          },
          "remove by force": async () => {
            abruptly();
            actor.state = "gone";
            await container.remove();
          },
          pause: async () => {
            abruptly();
            actor.state = "paused";
            await raw.pause();
            this.#later(actor, "paused", async () => {
              await raw.unpause();
              actor.state = "running";
            });
          },
          disconnect: async () => {
            if (!actor.isConnected) return;
            abruptly();
            actor.isConnected = false;
            await disconnect(this.engine, NETWORK, container.id);
            this.#later(actor, "running", async () => {
              await connect(this.engine, NETWORK, container.id);
              actor.isConnected = true;
            });
          },
          sicken: async () => {
            if (service !== this.services[0] || !actor.isHealthy) return;
            actor.isHealthy = false;
            this.#note(service);
            await container.setHealthy(false);
            this.#later(actor, "running", () => this.#heal(actor));
          },
        };
      case "paused":
      case "gone":
        return {};
    }
  }

  /** Ends what was begun, and makes everything well. */
  async calm(): Promise<void> {
    while (this.#under.size > 0) await Promise.all(this.#under);
    for (const actor of this.#actors) {
      if (actor.state !== "gone" && !actor.isConnected) {
        await connect(this.engine, NETWORK, actor.container.id);
        actor.isConnected = true;
      }
    }
  }

  /** Does without a gateway until another one runs: nobody tells HAProxy that a container is gone. */
  async withoutGateway(task: () => Promise<void>): Promise<void> {
    this.#tell("the gateway is killed");
    const alone = { from: Date.now(), to: Infinity };
    this.#alone.push(alone);
    await task();
    alone.to = Date.now();
    this.#tell("another one runs");
  }

  /** Whether a request that ended then may have got to another service's container. */
  mayStray(end: number): boolean {
    return this.#alone.some((each) => isFelt(each, end, end));
  }

  /** Whether a request in this time may have failed. */
  mayFail(service: string, from: number, to: number): boolean {
    const own = this.#troubles.filter((each) => each.service === service);
    return [...this.#alone, ...own].some((each) => isFelt(each, from, to));
  }

  /** Waits a moment and does the rest, if the container is still as it was made. */
  #later(actor: Actor, state: Actor["state"], act: () => Promise<void>): void {
    const later = async (): Promise<void> => {
      await Bun.sleep(this.dice.below(LONGEST_BREAK));
      this.#inTurn(actor, async () => {
        if (actor.state !== state) return;
        this.#tell(`end of that: ${actor.container.name}`);
        await act();
        this.#note(actor.service);
      });
    };
    this.#begin(later());
  }

  #inTurn(actor: Actor, task: () => Promise<void>): void {
    actor.turn = actor.turn.then(task);
    this.#begin(actor.turn);
  }

  #begin(task: Promise<void>): void {
    this.#under.add(task);
    const end = (): void => void this.#under.delete(task);
    // What fails is told once all is calm.
    task.then(end, () => undefined);
  }

  async #heal(actor: Actor): Promise<void> {
    if (actor.service !== this.services[0]) return;
    await actor.container.setHealthy(true);
    actor.isHealthy = true;
  }

  async #add(service: string): Promise<void> {
    const name = `${service.replaceAll("/", "-")}-${++this.#count}`;
    this.#tell(`add ${name}`);
    const options = { name, network: NETWORK, graceMs: GRACE };
    const container = await create(this.engine, service, options);
    const actor: Actor = {
      service,
      container,
      state: "created",
      isConnected: true,
      isHealthy: service !== this.services[0],
      turn: Promise.resolve(),
    };
    this.#actors.push(actor);
    if (this.dice.below(10) === 0) return;
    this.#inTurn(actor, async () => {
      await container.start();
      actor.state = "running";
      await this.#heal(actor);
      this.#note(service);
    });
  }

  #of(service: string): Actor[] {
    return this.#actors.filter((actor) => actor.service === service);
  }

  /** Notes whether a service has nobody who serves it. */
  #note(service: string): void {
    const now = Date.now();
    const open = this.#troubles.findLast(
      (each) => each.service === service && each.to === Infinity,
    );
    const isServed = this.#of(service).some(serves);
    if (isServed && open !== undefined) open.to = now;
    else if (!isServed && open === undefined) this.#quiet(service);
  }

  #quiet(service: string): void {
    this.#troubles.push({ service, from: Date.now(), to: Infinity });
  }

  #trouble(service: string): void {
    const now = Date.now();
    this.#troubles.push({ service, from: now, to: now });
  }

  #tell(what: string): void {
    this.told.push(`${new Date().toISOString()} - ${what}`);
  }
}

/** Whether a request in this time may have felt what was then. */
function isFelt(span: Span, from: number, to: number): boolean {
  return span.from <= to && span.to + FELT_FOR >= from;
}

function serves({ state, isConnected, isHealthy }: Actor): boolean {
  return state === "running" && isConnected && isHealthy;
}
