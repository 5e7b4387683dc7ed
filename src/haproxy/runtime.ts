// The running HAProxy, changed through its runtime API: no reload, no new worker.

import { isIP } from "node:net";
import { forEachLimited } from "../async.ts";
import { GatewayError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Capabilities, Operation } from "../operations.ts";
import { compareVersions } from "../version.ts";
import { isChecked, toCommands, toLines, toPayloads, word } from "./commands.ts";
import { Departures } from "./departures.ts";
import { awaitAnswer } from "./probe.ts";
import { askHaproxy } from "./socket.ts";

/** A server whose port does not answer by then is left to HAProxy's checks, in milliseconds. */
const PROBE_FOR = 500;
const PROBES_AT_ONCE = 32;
/** What HAProxy says of success; whatever else it says is a refusal. */
const SUCCESS =
  /^(New server registered|Server deleted|New backend registered|Backend (un)?published|(IP|port) changed from|no need to change|(Backup )?Server \S+ (is|was) |\[\w+\])/i;

export class Runtime {
  readonly #departures: Departures;
  #queue: Promise<unknown> = Promise.resolve();
  #capabilities: Capabilities | undefined;

  /**
   * @param socket the path of the stats socket that the running configuration names
   * @param grace how long the connections of a server may last, in milliseconds
   * @param mayChange false: the user wants a reload for every change
   */
  constructor(
    private readonly socket: () => string | undefined,
    private readonly grace: (server: string) => number,
    readonly mayChange: boolean,
    private readonly log: Logger,
  ) {
    this.#departures = new Departures(
      (line) => this.ask(line),
      (task) => this.#serially(task),
      log,
    );
  }

  /** What the running HAProxy can do; undefined where it cannot be asked. */
  async capabilities(): Promise<Capabilities | undefined> {
    if (!this.mayChange) return undefined;
    if (this.#capabilities === undefined && this.socket() !== undefined) {
      try {
        const version = /^Version: (\d+\.\d+[.\d]*)/m.exec(await this.ask("show info"))?.[1];
        if (version === undefined) return undefined;
        this.#capabilities = { version, backends: compareVersions(version, "3.4") >= 0 };
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error;
        return undefined;
      }
    }
    return this.#capabilities;
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
    // Asked at the same time: most containers answer before HAProxy has taken the commands.
    const probes = this.#probe(operations);
    await this.#serially(async () => {
      const commands: string[] = [];
      for (const operation of operations.map((each) => this.#reuse(each))) {
        if (operation === undefined) continue;
        if (operation.do !== "replace map") commands.push(...toCommands(operation, capabilities));
        else {
          await this.#send(commands.splice(0));
          await this.#replaceMap(operation.map, operation.entries);
        }
      }
      await this.#send(commands);
    });
    this.#depart(operations);
    await probes();
  }

  /** Sends no new requests to a server, before anything else. @throws GatewayError `haproxy` */
  async drain(backend: string, server: string): Promise<void> {
    await this.#check([`set server ${word(backend)}/${word(server)} state drain`]);
  }

  /** Forgets what was known of the running HAProxy: another one runs now. */
  reset(): void {
    this.#capabilities = undefined;
    this.#departures.clear();
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
    if (operation.do === "add backend" && this.#departures.keepBackend(operation.backend)) {
      return undefined;
    }
    if (operation.do !== "add server") return operation;
    const { backend, server } = operation;
    if (!this.#departures.keepServer(backend, server.name)) return operation;
    return { do: "move server", backend, server };
  }

  #depart(operations: readonly Operation[]): void {
    for (const operation of operations) {
      const { backend } = { backend: "", ...operation };
      if (operation.do === "remove server") {
        const grace = this.grace(operation.server);
        this.#departures.addServer(backend, operation.server, grace);
      }
      if (operation.do === "remove backend") this.#departures.addBackend(backend);
    }
  }

  async #replaceMap(
    map: string,
    entries: readonly (readonly [key: string, value: string])[],
  ): Promise<void> {
    const answer = await this.ask(`prepare map ${word(map)}`);
    const version = /New version created: (\d+)/.exec(answer)?.[1];
    if (version === undefined) throw refusal(`prepare map ${map}`, answer);
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
      const answer = await this.ask(line);
      const words = answer.split("\n").map((said) => said.trim());
      const refused = words.filter((said) => said !== "" && !SUCCESS.test(said));
      if (refused.length > 0) throw refusal(line, refused.join(" "));
    }
  }

  /** Reaches for the ports of servers that are to come up; gives what to wait for at the end. */
  #probe(operations: readonly Operation[]): () => Promise<void> {
    const comers = operations.filter(
      (operation) =>
        (operation.do === "add server" ||
          operation.do === "enable server" ||
          operation.do === "move server") &&
        !operation.server.disabled &&
        isChecked(operation.server) &&
        isIP(operation.server.address.replaceAll(/[[\]]/g, "")) > 0,
    );
    const up: (readonly [backend: string, server: string])[] = [];
    let report = (backend: string, server: string): void => void up.push([backend, server]);
    const probing = forEachLimited(comers, PROBES_AT_ONCE, async (operation) => {
      if (!("server" in operation) || typeof operation.server === "string") return;
      const { name, address, port } = operation.server;
      const host = address.replaceAll(/[[\]]/g, "");
      if (await awaitAnswer(host, Number(port), PROBE_FOR)) report(operation.backend, name);
    });
    // A port that answers late must not hold up the pass: its server comes up when it does.
    probing.catch((error: unknown) => this.log.failure(error));
    return async () => {
      report = (backend, server) => {
        this.#setUp([[backend, server]]).catch((error: unknown) => {
          this.log.debug(
            `server ${backend}/${server} is left to HAProxy's checks: ${String(error)}`,
          );
        });
      };
      await this.#setUp(up);
    };
  }

  async #setUp(servers: readonly (readonly [backend: string, server: string])[]): Promise<void> {
    const wanted = servers.filter(
      ([backend, server]) => !this.#departures.hasServer(backend, server),
    );
    await this.#send(
      wanted.map(([backend, server]) => `set server ${word(backend)}/${word(server)} health up`),
    );
  }

  /** One after the other: what is added and what is removed must not cross. */
  #serially<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(task);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}

function refusal(line: string, answer: string): GatewayError {
  const command = line.split(/[;\n]/)[0] ?? "";
  return new GatewayError(
    "haproxy",
    `HAProxy refused to be changed: ${answer.trim()} (in "${command.slice(0, 100)}")`,
  );
}
