// The running HAProxy, changed through its runtime API: no reload, no new worker.

import { GatewayError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { BRING_UP, type Capabilities, type Operation } from "../../config/operations.ts";
import { compareVersions } from "../../lib/text.ts";
import { Arrivals } from "./readiness.ts";
import { serverPath, toCommands, toLines, toPayloads, word } from "./commands.ts";
import { Departures } from "./departures.ts";
import { Drains } from "./drain.ts";
import { askHaproxy } from "./socket.ts";

/** What HAProxy says of success; whatever else it says is a refusal. */
const SUCCESS =
  /^(New (server|backend) registered|(Server|Backend) (deleted|(un)?published)|(IP|port) changed from|no need to change|nothing changed|(Backup )?Server \S+ (is|was|enters|remains) )/i;
/** Asked behind every line of commands: whatever comes before was carried out. */
const END = "show cli level";
const END_ANSWER = /^(user|operator|admin)$/;

/** One process of HAProxy, and what it can do. */
interface Running {
  readonly process: string;
  readonly capabilities: Capabilities;
}

/** Whether HAProxy is the process that was asked before. */
export type Recognised = "same" | "another" | "unknown";

export class Runtime {
  readonly #arrivals: Arrivals;
  readonly #departures: Departures;
  readonly #drains: Drains;
  #queue: Promise<unknown> = Promise.resolve();
  #running: Running | undefined;

  /**
   * @param socket the path of the stats socket that the running configuration names
   * @param grace how long the connections of a server may last, in milliseconds
   * @param mayChange false: the user wants a reload for every change
   */
  constructor(
    private readonly socket: () => string | undefined,
    private readonly grace: (server: string) => number,
    readonly mayChange: boolean,
    log: Logger,
  ) {
    this.#arrivals = new Arrivals((keys) => this.#send(keys.map(setUp)), log);
    this.#drains = new Drains((commands) => this.#send(commands), log);
    this.#departures = new Departures(
      (line) => this.ask(line),
      (task) => this.#serially(task),
      log,
    );
  }

  /** What the running HAProxy can do; undefined where it cannot be asked. */
  async capabilities(): Promise<Capabilities | undefined> {
    if (!this.mayChange) return undefined;
    this.#running ??= await this.#whoRuns();
    return this.#running?.capabilities;
  }

  /** Asks again who runs: whether it is the process that was asked before. */
  async recognise(): Promise<Recognised> {
    const [before, now] = [this.#running, await this.#whoRuns()];
    if (now === undefined) return "unknown";
    if (before === undefined || before.process === now.process) {
      this.#running = now;
      return before === undefined ? "unknown" : "same";
    }
    this.reset();
    this.#running = now;
    return "another";
  }

  async #whoRuns(): Promise<Running | undefined> {
    try {
      const info = await this.ask("show info");
      const field = (name: string): string =>
        new RegExp(`^${name}: (.*)$`, "m").exec(info)?.[1]?.trim() ?? "";
      const version = /^\d+\.\d+[.\d]*/.exec(field("Version"))?.[0]?.replace(/\.$/, "");
      if (version === undefined) return undefined;
      return {
        // In a container's own world of processes the number alone says little.
        process: `${field("Pid")} since ${field("Start_time_sec")}`,
        capabilities: { version, dynamicBackends: compareVersions(version, "3.4") >= 0 },
      };
    } catch (error) {
      if (error instanceof GatewayError) return undefined;
      throw error;
    }
  }

  /** What was drained before anything else, and not changed since, as `backend/server`. */
  get drained(): ReadonlySet<string> {
    return this.#drains.keys;
  }

  /** Whether something on its way out explains what HAProxy has too much. */
  get departures(): Pick<Departures, "hasServer" | "hasBackend"> {
    return this.#departures;
  }

  /**
   * Carries out operations in their order.
   * @throws GatewayError `haproxy` with HAProxy's own words where it refuses one
   */
  async execute(operations: readonly Operation[]): Promise<void> {
    const capabilities = await this.capabilities();
    if (capabilities === undefined) {
      throw new GatewayError("haproxy", "Cannot change HAProxy while it runs: it does not answer");
    }
    const expected = this.#arrivals.expect(operations);
    await this.#serially(async () => {
      const up = await expected.atOnce();
      await this.#carryOut(operations.filter(isComing), capabilities, up);
      expected.follow();
      await this.#carryOut(
        operations.filter((operation) => !isComing(operation)),
        capabilities,
      );
    });
    this.#depart(operations);
  }

  /** @param up servers that are up from the start, as `backend/server` */
  async #carryOut(
    operations: readonly Operation[],
    capabilities: Capabilities,
    up: readonly string[] = [],
  ): Promise<void> {
    // With nothing between this and the commands: what is drained later than they are made stays noted.
    await this.#drains.sent();
    const commands: string[] = [];
    for (const operation of operations.map((each) => this.#reuse(each))) {
      if (operation === undefined) continue;
      if (operation.do !== "replace map") commands.push(...toCommands(operation, capabilities));
      else {
        await this.#send(commands.splice(0));
        await this.#replaceMap(operation.map, operation.entries);
      }
      if ("server" in operation) this.#drains.forget(operation.backend, operation.server.name);
    }
    await this.#send([...commands, ...up.map(setUp)]);
  }

  /** Sends no new requests to a server, before anything else. */
  drain(backend: string, server: string): void {
    this.#drains.add(backend, server);
  }

  /** Forgets what was known of the running HAProxy: another one runs now, or is about to. */
  reset(): void {
    this.#running = undefined;
    this.#arrivals.clear();
    this.#departures.clear();
    this.#drains.clear();
  }

  /** Sends one line of commands and gives HAProxy's answer. @throws GatewayError `haproxy` */
  async ask(line: string): Promise<string> {
    const path = this.socket();
    if (path === undefined) {
      throw new GatewayError(
        "haproxy",
        "Cannot ask HAProxy: its configuration has no stats socket",
      );
    }
    return askHaproxy(path, line);
  }

  /** What is on its way out and wanted again is kept instead of made anew. */
  #reuse(operation: Operation): Operation | undefined {
    if (operation.do === "add backend") {
      const { backend, defaults } = operation;
      const kept = this.#departures.keepBackend(backend);
      if (kept === undefined) return operation;
      if (kept === defaults) return undefined;
      throw refusal(`backend ${backend} is on its way out, with other defaults`);
    }
    if (operation.do !== "add server") return operation;
    const { backend, server } = operation;
    const kept = this.#departures.keepServer(backend, server.name);
    if (kept === undefined) return operation;
    if (kept.settings.join(" ") === server.settings.join(" ")) {
      return { do: "move server", backend, server };
    }
    throw refusal(`server ${backend}/${server.name} is on its way out, with other settings`);
  }

  #depart(operations: readonly Operation[]): void {
    for (const operation of operations) {
      if (operation.do === "remove server") {
        const { backend, server } = operation;
        this.#departures.addServer(backend, server, this.grace(server.name));
      } else if (operation.do === "remove backend") {
        this.#departures.addBackend(operation.backend, operation.defaults);
      }
    }
  }

  async #replaceMap(
    map: string,
    entries: readonly (readonly [key: string, value: string])[],
  ): Promise<void> {
    const answer = await this.ask(`prepare map ${word(map)}`);
    const version = /New version created: (\d+)/.exec(answer)?.[1];
    if (version === undefined) throw refusal(answer, `prepare map ${map}`);
    const payloads = toPayloads(entries).map(
      (payload) => `add map @${version} ${word(map)} <<\n${payload}\n`,
    );
    await this.#check([...payloads, `commit map @${version} ${word(map)}`]);
  }

  async #send(commands: readonly string[]): Promise<void> {
    await this.#check(toLines(commands));
  }

  async #check(lines: readonly string[]): Promise<void> {
    for (const line of lines) {
      // A payload ends its line.
      const hasEnd = !line.includes("\n");
      const answer = await this.ask(hasEnd ? `${line};${END}` : line);
      const said = answer
        .split("\n")
        .map((words) => words.trim())
        .filter((words) => words !== "");
      if (hasEnd && !END_ANSWER.test(said.pop() ?? "")) throw refusal("it hung up", line);
      const refused = said.filter((words) => !SUCCESS.test(words));
      if (refused.length > 0) throw refusal(refused.join(" "), line);
    }
  }

  /** One after the other: what is added and what is removed must not cross. */
  #serially<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(task);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}

/** The command that has a server, given as `backend/server`, up without a check of HAProxy's. */
function setUp(key: string): string {
  return `set server ${serverPath(key)} health up`;
}

/** Whether an operation brings something up. */
function isComing(operation: Operation): boolean {
  return BRING_UP.includes(operation.do);
}

function refusal(answer: string, line = ""): GatewayError {
  const command = line.split(/[;\n]/)[0] ?? "";
  const where = command === "" ? "" : ` (in "${command.slice(0, 100)}")`;
  return new GatewayError("haproxy", `HAProxy refused to be changed: ${answer.trim()}${where}`);
}
