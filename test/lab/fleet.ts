// Containers that start, stop, pause, fail and move at random. The same seed gives the same moves.

import { randomNumbers } from "./make.ts";
import type { Service } from "./proxy.ts";

/** An address on which a container may listen. */
export interface Place {
  address: string;
  port: number;
  alive: boolean;
}

/** HAProxy before 3.4 has spare backends for this many services. */
const IMAGES = 40;
const MOST_CONTAINERS = 25;
/** At times this many come at once, so that the whole map is replaced. */
const CROWD = 110;

export class Fleet {
  readonly #random: () => number;
  readonly #services = new Map<string, Service>();
  #count = 0;
  /** What happened last, to find the reason if a test fails. */
  history: string[] = [];

  /** @param crowds whether very many containers may come at once */
  constructor(
    seed: number,
    private readonly places: readonly Place[],
    private readonly crowds: boolean,
  ) {
    this.#random = randomNumbers(seed);
  }

  /** The containers that there are now. */
  get services(): Service[] {
    return [...this.#services.values()];
  }

  /** Changes one container, or up to four before anybody looks. */
  step(): void {
    const changes = 1 + this.#number(4);
    for (let count = 0; count < changes; count++) this.#change();
    this.history = this.history.slice(-30);
  }

  /** A whole number from 0 to `below` - 1. */
  #number(below: number): number {
    return Math.floor(this.#random() * below);
  }

  #pick<T>(items: readonly T[]): T {
    const item = items[this.#number(items.length)];
    if (item === undefined) throw new Error("there is nothing to pick from");
    return item;
  }

  #change(): void {
    const names = [...this.#services.keys()];
    if (names.length > MOST_CONTAINERS * 2) {
      this.history.push("all stop");
      this.#services.clear();
    } else if (this.crowds && this.#number(400) === 0) {
      this.history.push("a crowd comes");
      for (let count = 0; count < CROWD; count++) this.#start(`crowd${count}`);
    } else if (names.length === 0 || (names.length < MOST_CONTAINERS && this.#number(3) === 0)) {
      const number = this.#number(IMAGES);
      this.#start(number % 3 === 0 ? `group/image${number}` : `image${number}`);
    } else this.#happen(this.#pick(names));
  }

  #start(image: string): void {
    const name = `n${this.#count++}`;
    const service: Service = { image, name, ...this.#place(), ...this.#health() };
    this.#note(name, `starts as ${image}`);
    this.#services.set(name, service);
  }

  #happen(name: string): void {
    const service = this.#services.get(name);
    if (service === undefined) return;
    const set = (what: string, change: Partial<Service>): void => {
      this.#note(name, what);
      this.#services.set(name, { ...service, ...change });
    };
    switch (this.#number(8)) {
      case 0:
      case 1:
        this.#note(name, "stops");
        this.#services.delete(name);
        break;
      case 2:
        set("pauses or goes on", { state: service.state === "paused" ? "running" : "paused" });
        break;
      case 3:
        set("is well or not", this.#health());
        break;
      case 4:
        set("moves", { ...this.#place(), state: "running" });
        break;
      case 5:
        set("crashes or restarts", {
          state: service.state === "restarting" ? "running" : "restarting",
        });
        break;
      case 6:
        set("is told to end or survived", {
          stopping: (service.stopping ?? 0) === 0 ? ++this.#count : 0,
        });
        break;
      default:
        // Its label names its port, or it exposes nothing and its port is guessed.
        set("exposes other ports", { ...this.#place(), ...this.#ports() });
    }
  }

  #place(): Partial<Service> & Pick<Service, "address"> {
    const { address, port } = this.#pick(this.places);
    return { address, port };
  }

  #ports(): Partial<Service> {
    return this.#number(2) === 0 ? { port: undefined } : {};
  }

  #health(): Partial<Service> {
    return { health: this.#pick(["none", "none", "none", "starting", "healthy", "unhealthy"]) };
  }

  #note(name: string, what: string): void {
    this.history.push(`${name} ${what}`);
  }
}
