// Notices containers whose answers are odd: that do not speak HTTP, or lead clients in a circle. And
// requests that HAProxy refused as they are too large.

import type { Runtime } from "../haproxy/runtime/runtime.ts";
import {
  readBadAnswers,
  readCircles,
  readLargeRequest,
  type Oddity,
} from "../haproxy/runtime/oddities.ts";
import { countErrors, readStats, type ErrorCounts } from "../haproxy/runtime/stats.ts";
import type { Model, Server } from "../model.ts";
import { routeOf } from "./report.ts";
import type { OddAnswersChange, RefusedRequestChange } from "./state.ts";

/** What was told of a server. */
interface Told {
  /** When its container's process started, in Docker's words; empty while that is not known. */
  readonly startedAt: string;
  /** How many odd answers there were. */
  readonly count: number;
}

export class Observations {
  /** The errors that were counted when HAProxy was last asked for more about them. */
  #errors: ErrorCounts = { answers: 0, requests: 0 };
  #badAnswers: readonly Oddity[] = [];
  /** The number of the last refused request that was told. */
  #lastRequest: number | undefined;
  /** What was told, by the server's name and what is odd. */
  readonly #told = new Map<string, Map<Oddity["answers"], Told>>();

  /** @param ask sends a command to the running HAProxy */
  constructor(private readonly ask: Runtime["ask"]) {}

  /**
   * Finds what is new since the last call. What is odd about a container is new once for each start.
   * @throws GatewayError `haproxy` if HAProxy cannot be asked
   */
  async look(model: Model): Promise<(OddAnswersChange | RefusedRequestChange)[]> {
    const errors = await countErrors(this.ask);
    const before = this.#errors;
    const requests = errors.requests === before.requests ? [] : await this.#refusedRequest();
    const answers = await this.#oddAnswers(model, errors.answers !== before.answers);
    this.#errors = errors;
    return [...answers, ...requests];
  }

  /** Notes that HAProxy counts from the start again, as after a reload. */
  restart(): void {
    this.#errors = { answers: 0, requests: 0 };
    this.#badAnswers = [];
    this.#lastRequest = undefined;
  }

  async #refusedRequest(): Promise<RefusedRequestChange[]> {
    const request = await readLargeRequest(this.ask);
    if (request === undefined || request.event === this.#lastRequest) return [];
    this.#lastRequest = request.event;
    return [{ event: "refused request", client: request.client }];
  }

  /** @param isNew whether clients got errors since the last call */
  async #oddAnswers({ services }: Model, isNew: boolean): Promise<OddAnswersChange[]> {
    const oddities = Map.groupBy(await this.#read(isNew), ({ server }) => server);
    const names = new Set(services.flatMap(({ servers }) => servers.map(({ name }) => name)));
    for (const name of this.#told.keys()) if (!names.has(name)) this.#told.delete(name);
    if (oddities.size === 0) return [];
    return services.flatMap((service) =>
      service.servers.flatMap((server) => {
        const fresh = (oddities.get(server.name) ?? []).filter((each) => this.#tell(server, each));
        return fresh.map(({ answers }): OddAnswersChange => {
          const { container, id, address, port } = server;
          const route = routeOf(service);
          return {
            event: "odd answers",
            answers,
            route,
            server: `${address}:${port}`,
            container,
            id,
          };
        });
      }),
    );
  }

  /** Notes what is odd about a server. Returns whether it is new. */
  #tell({ name, startedAt }: Server, { answers, count }: Oddity): boolean {
    const told = this.#told.get(name) ?? new Map<Oddity["answers"], Told>();
    const before = told.get(answers);
    // A container that has just started may not have been inspected yet.
    if (before?.startedAt === "") {
      told.set(answers, { startedAt, count: before.count });
      return false;
    }
    // After another start, what HAProxy noticed before it does not count.
    if (before?.startedAt === startedAt || before?.count === count) return false;
    this.#told.set(name, told.set(answers, { startedAt, count }));
    return true;
  }

  /** @param isNew whether clients got errors since the last call */
  async #read(isNew: boolean): Promise<readonly Oddity[]> {
    // For a client, an answer that is no HTTP is a server's error. Without a new one, thousands of
    // servers need not be looked at.
    if (isNew) this.#badAnswers = await readBadAnswers(this.ask, await readStats(this.ask));
    return [...this.#badAnswers, ...(await readCircles(this.ask))];
  }
}
