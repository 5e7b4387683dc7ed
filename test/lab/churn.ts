// So many changes a second in a played swarm: rolling updates, scalings, tasks that die. The same each time.

import { pause } from "../../src/lib/async.ts";
import type { PlayedService, PlayedSwarm, PlayedTask } from "./played-swarm.ts";

/** How often something is begun, in milliseconds. */
const STEP = 100;

/** Makes a random number from 0 to 1. Source: Park and Miller's generator, which needs no more than this. */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

export class Churn {
  /** How many tasks came to run, were told to end or died. */
  changes = 0;
  /** What was begun. */
  readonly begun = { updates: 0, scalings: 0, deaths: 0 };
  readonly #random = makeRandom(7);
  readonly #running = new Set<Promise<void>>();
  readonly #busy = new Set<PlayedService>();

  constructor(
    private readonly swarm: PlayedSwarm,
    /** How many changes a second. */
    private readonly rate: number,
  ) {}

  /** Changes for so many milliseconds, and waits until all that was begun is done. */
  async run(ms: number): Promise<void> {
    const started = Date.now();
    let owed = 0;
    for (let last = started; last - started < ms;) {
      await pause(STEP);
      const now = Date.now();
      owed += ((now - last) * this.rate) / 1_000;
      last = now;
      while (owed > 0) owed -= this.#begin();
    }
    await Promise.all(this.#running);
  }

  /** To be called for each task that changed. */
  note({ state, desired }: PlayedTask): void {
    if (state === "failed" || (state === "running" && desired !== "ready")) this.changes++;
  }

  /** Begins something. Returns how many changes that will be. */
  #begin(): number {
    const service = this.#pick(this.swarm.services.filter((each) => !this.#busy.has(each)));
    if (service === undefined) return 1;
    const kind = this.#random();
    if (kind < 0.1) {
      this.begun.updates++;
      this.#start(service, this.swarm.update(service));
      return service.replicas * 2;
    }
    if (kind < 0.5) {
      const step = service.replicas > 10 || (service.replicas > 2 && this.#random() < 0.5) ? -1 : 1;
      this.begun.scalings++;
      this.#start(service, this.swarm.scale(service, service.replicas + step));
      return 1;
    }
    const task = this.#pick([...service.tasks].filter(({ state }) => state === "running"));
    if (task === undefined) return 1;
    this.begun.deaths++;
    this.#start(service, this.swarm.die(task));
    return 2;
  }

  #start(service: PlayedService, work: Promise<void>): void {
    this.#busy.add(service);
    const done = work.finally(() => {
      this.#busy.delete(service);
      this.#running.delete(done);
    });
    this.#running.add(done);
  }

  #pick<T>(all: readonly T[]): T | undefined {
    return all[Math.floor(this.#random() * all.length)];
  }
}
