// Notices containers whose answers are odd: that do not speak HTTP, or lead clients in a circle.

import type { Runtime } from "../haproxy/runtime/runtime.ts";
import { readCircles, readSpeechless, type Oddity } from "../haproxy/runtime/oddities.ts";
import { countServerErrors, readStats } from "../haproxy/runtime/stats.ts";
import type { Model, Server } from "../model.ts";
import { routeOf } from "./report.ts";
import type { OddAnswersChange } from "./state.ts";

/** What was told of a server. */
interface Told {
  /** When its container's process started, in Docker's words. */
  readonly startedAt: string;
  /** How many odd answers there were. */
  readonly count: number;
}

export class Observations {
  /** How many requests were answered with a server's error when the servers were last looked at. */
  #serverErrors = 0;
  #speechless: readonly Oddity[] = [];
  /** What was told, by the server's name and what is odd. */
  readonly #told = new Map<string, Map<Oddity["answers"], Told>>();

  /** @param ask sends a command to the running HAProxy */
  constructor(private readonly ask: Runtime["ask"]) {}

  /**
   * Finds what is new since the last call. What is odd about a container is new once for each start.
   * @throws GatewayError `haproxy` if HAProxy cannot be asked
   */
  async look({ services }: Model): Promise<OddAnswersChange[]> {
    const oddities = Map.groupBy(await this.#read(), ({ server }) => server);
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
    // After another start, what HAProxy noticed before it does not count.
    if (before?.startedAt === startedAt || before?.count === count) return false;
    this.#told.set(name, told.set(answers, { startedAt, count }));
    return true;
  }

  async #read(): Promise<readonly Oddity[]> {
    // For a client, an answer that is no HTTP is a server's error. Without a new one, thousands of
    // servers need not be looked at.
    const serverErrors = await countServerErrors(this.ask);
    if (serverErrors !== this.#serverErrors) {
      this.#speechless = await readSpeechless(this.ask, await readStats(this.ask));
      this.#serverErrors = serverErrors;
    }
    return [...this.#speechless, ...(await readCircles(this.ask))];
  }
}
