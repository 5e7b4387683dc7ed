// src/haproxy speaks to HAProxy: while it runs (runtime/), to its processes (process/), and by its files
// (files/). It may import config, lib and model.ts, and knows nothing of Docker and of routes. This file
// changes a running HAProxy through its runtime API: no reload, no new worker.

import { haveSameSettings } from "../../config/servers.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import {
  BRING_UP,
  WAITING_ROOM,
  broughtUp,
  whySettingRefused,
  type BackendServer,
  type Capabilities,
  type Operation,
} from "../../config/operations.ts";
import { compareVersions } from "../../lib/text.ts";
import { changeCertificates, isAboutCertificates } from "./certificates.ts";
import { enableAsUp, serverPath, toCommands, toLines, toPayloads, word } from "./commands.ts";
import { GONE, Overrides, Removals } from "./drain.ts";
import { ReadinessProbes } from "./readiness.ts";
import { askHaproxy } from "./socket.ts";
import { readServerStates, type ServerState } from "../process/server-states.ts";

/** HAProxy's answers to commands that succeeded. Any other answer is a refusal. */
const SUCCESS =
  /^(New (server|backend) registered|(Server|Backend) (deleted|(un)?published)|(IP|port) changed from|no need to change|nothing changed|(Backup )?Server \S+ (is|was|enters|remains) )/i;
/**
 * How HAProxy says that a setting is refused on any server that is added while it runs. Other refusals
 * depend on the moment.
 */
const SETTING_REFUSED =
  /^(?:'(\S+)' option is not accepted for dynamic server|unknown keyword '(\S+?)')/;
/** Sent behind every line of commands. Its answer shows that all before it was carried out. */
const END = "show cli level";
const END_ANSWER = /^(user|operator|admin)$/;

/** A running HAProxy. */
interface Running {
  /** The process ID of its worker. */
  readonly pid: number;
  /** What tells its worker from any other. */
  readonly process: string;
  /** Such as `2.6.12`. */
  readonly version: string;
}

/** A container that has just started. */
interface Start {
  readonly servers: readonly BackendServer[];
  readonly told: () => void;
}

/** Whether HAProxy is still the worker that was asked before. */
export type Recognised = "same" | "another" | "unknown";

export class Runtime {
  readonly #probes: ReadinessProbes;
  /** The commands under way that set servers up. */
  readonly #bringingUp = new Set<Promise<void>>();
  readonly #removals: Removals;
  readonly #overrides: Overrides;
  #queue: Promise<unknown> = Promise.resolve();
  #answered: ((servers: readonly string[]) => void) | undefined;
  #enabled: ((servers: readonly string[]) => void) | undefined;
  /** The servers in maintenance that are enabled once they answer, as `backend/server`. */
  readonly #starting = new Map<string, Start>();
  /** Those that were enabled so. A plan that was made before enables them again. */
  readonly #started = new Set<string>();
  #running: Running | undefined;
  /** The settings that were refused, by HAProxy's version. A reload does not change that. */
  readonly #refusedSettings = new Map<string, ReadonlySet<string>>();

  /**
   * @param socket the path of the stats socket that the running configuration names
   * @param grace how long the connections of a server may last, in milliseconds
   * @param mayChange false if the user wants a reload for every change
   * @param patience how long a server that is new is asked for an answer, in milliseconds
   */
  constructor(
    private readonly socket: () => string | undefined,
    private readonly grace: (server: string) => number,
    readonly mayChange: boolean,
    log: Logger,
    patience = 0,
  ) {
    const bringUp = async (keys: readonly string[]): Promise<void> => {
      const starts = new Set(keys.flatMap((key) => this.#starting.get(key) ?? []));
      const started = [...starts].flatMap(({ servers }) => servers);
      for (const server of started) this.#starting.delete(keyOf(server));
      const sending = this.#send([
        ...started.flatMap((each) => toStart(each, keys.includes(keyOf(each)))),
        ...keys.filter((key) => !started.some((each) => keyOf(each) === key)).map(setUp),
      ]);
      this.#bringingUp.add(sending);
      await sending.finally(() => this.#bringingUp.delete(sending));
      for (const server of started) this.#started.add(keyOf(server));
      if (started.length > 0) this.#enabled?.(started.map(keyOf));
      for (const { told } of starts) told();
      this.#tellAnswers(keys);
    };
    this.#probes = new ReadinessProbes(bringUp, patience, log);
    this.#overrides = new Overrides((commands) => this.#send(commands), log);
    this.#removals = new Removals(
      (line) => this.ask(line),
      (task) => this.#serially(task),
      log,
    );
  }

  /** What the running HAProxy can do; undefined if it does not answer. */
  async capabilities(): Promise<Capabilities | undefined> {
    if (!this.mayChange) return undefined;
    this.#running ??= await this.#askIdentity();
    if (this.#running === undefined) return undefined;
    const { version } = this.#running;
    return {
      version,
      dynamicBackends: compareVersions(version, "3.4") >= 0,
      refusedSettings: this.#refusedSettings.get(version) ?? new Set(),
    };
  }

  /** Whether HAProxy answered before, and nothing is known of its end. */
  get isKnown(): boolean {
    return this.#running !== undefined;
  }

  /** The process ID of the worker that answered last; undefined if that is not known. */
  get pid(): number | undefined {
    return this.#running?.pid;
  }

  /** Asks HAProxy again whether it is the worker that was asked before. */
  async recognise(): Promise<Recognised> {
    const [before, now] = [this.#running, await this.#askIdentity()];
    if (now === undefined) return "unknown";
    if (before === undefined || before.process === now.process) {
      this.#running = now;
      return before === undefined ? "unknown" : "same";
    }
    this.reset();
    this.#running = now;
    return "another";
  }

  async #askIdentity(): Promise<Running | undefined> {
    try {
      const info = await this.ask("show info");
      const field = (name: string): string =>
        new RegExp(`^${name}: (.*)$`, "m").exec(info)?.[1]?.trim() ?? "";
      const version = /^\d+\.\d+[.\d]*/.exec(field("Version"))?.[0]?.replace(/\.$/, "");
      if (version === undefined) return undefined;
      return {
        pid: Number(field("Pid")),
        // In a container's own PID namespace a number is soon used again.
        process: `${field("Pid")} since ${field("Start_time_sec")}`,
        version,
      };
    } catch (error) {
      if (error instanceof GatewayError) return undefined;
      throw error;
    }
  }

  /** Calls back with the names of servers that answer, once HAProxy knows it. */
  onAnswer(answered: (servers: readonly string[]) => void): void {
    this.#answered = answered;
  }

  /** Calls back with the servers that `start` has enabled, as `backend/server` in HAProxy. */
  onStart(enabled: (servers: readonly string[]) => void): void {
    this.#enabled = enabled;
  }

  /**
   * Enables the servers of a container in the background, which are in maintenance, once one answers.
   * @param told called when HAProxy has been told
   */
  start(servers: readonly BackendServer[], told: () => void): void {
    const enabled = servers.map(({ backend, server }): Operation => {
      return { do: "enable server", backend, server: { ...server, disabled: false } };
    });
    const probes = this.#probes.start(enabled);
    for (const key of probes.keys) this.#starting.set(key, { servers, told });
    probes.goOn();
  }

  #tellAnswers(keys: readonly string[]): void {
    // One may have been taken out while HAProxy was told.
    const current = keys.filter((key) => !this.#overrides.has(key));
    if (current.length > 0) this.#answered?.(current.map((key) => key.slice(key.indexOf("/") + 1)));
  }

  /** The servers that were drained, disabled or enabled at once and not changed since. */
  get overridden(): ReadonlySet<string> {
    return this.#overrides.keys;
  }

  /** How many servers were drained, disabled or enabled at once up to now. */
  get overrides(): number {
    return this.#overrides.count;
  }

  /** What is being removed: HAProxy may still have it, and that is no drift. */
  get removals(): Pick<Removals, "names" | "hasServer" | "hasBackend"> {
    return this.#removals;
  }

  /**
   * Carries out operations in their order. A server that was drained, disabled or enabled at once after they were
   * planned stays so: the plan knows nothing of it.
   * @param planned what `overrides` was when they were planned
   * @throws GatewayError `haproxy` with HAProxy's own words if it refuses one
   */
  async execute(operations: readonly Operation[], planned = this.overrides): Promise<void> {
    const capabilities = await this.capabilities();
    if (capabilities === undefined) {
      throw new GatewayError("haproxy", "Cannot change HAProxy while it runs: it does not answer");
    }
    const { version } = capabilities;
    const probes = this.#probes.start(operations);
    await this.#serially(async () => {
      // What a probe found at a server's old place must not overtake its move.
      await Promise.allSettled(this.#bringingUp);
      const ready = await probes.readyAtOnce();
      const pending = operations.filter((operation) => !this.#isDone(operation));
      await this.#disableAt(new Set(broughtUp(operations).map(({ server }) => server.address)));
      await this.#carryOut(pending.filter(comesFirst), { version, planned, ready });
      probes.goOn();
      const last = pending.filter((operation) => !comesFirst(operation));
      await this.#carryOut(last, { version, planned, ready: [] });
    });
    this.#scheduleRemovals(operations);
  }

  /** Whether a server that a plan enables was enabled by `start` after the plan was made. */
  #isDone(operation: Operation): boolean {
    if (!("server" in operation)) return false;
    const key = `${operation.backend}/${operation.server.name}`;
    this.#starting.delete(key);
    const wasStarted = this.#started.delete(key);
    return wasStarted && operation.do === "enable server";
  }

  /**
   * Disables the servers on their way out whose address another one gets. Drained, they would still
   * get the requests of clients that are bound to them.
   */
  async #disableAt(addresses: ReadonlySet<string>): Promise<void> {
    const keys = this.#removals.at(addresses);
    const commands = keys.map((key) => `set server ${serverPath(key)} state maint`);
    // HAProxy may have removed one and not have said so: it cuts long answers off.
    await this.#check(toLines(commands), GONE);
  }

  /** Waits in the background until servers answer, and tells HAProxy that they are up. */
  awaitAnswers(servers: readonly BackendServer[]): void {
    this.#probes.start(servers.map((each) => ({ do: "enable server", ...each }))).goOn();
  }

  /** An operation as it is right if its server was told something at once after it was planned. */
  #current(operation: Operation, planned: number): readonly Operation[] {
    if (!("server" in operation)) return [operation];
    const { backend, server } = operation;
    if (!this.#overrides.isNewer(`${backend}/${server.name}`, planned)) return [operation];
    switch (operation.do) {
      case "enable server":
      case "drain server":
        return [];
      case "add server":
      case "move server":
        return [{ ...operation, server: { ...server, disabled: true } }];
      case "disable server":
      case "remove server":
      case "weigh server":
        return [operation];
    }
  }

  /** @param ready servers that start as up, as `backend/server` */
  async #carryOut(
    operations: readonly Operation[],
    { version, planned, ready }: { version: string; planned: number; ready: readonly string[] },
  ): Promise<void> {
    // Nothing may come between this and the commands: a server that is taken out after they were made
    // must stay noted as taken out.
    await this.#overrides.sent();
    const commands: string[] = [];
    const current = operations.flatMap((each) => this.#current(each, planned));
    for (const operation of current.flatMap((each) => this.#reuse(each))) {
      if (operation.do === "replace map") {
        await this.#send(commands.splice(0));
        await this.#replaceMap(operation.map, operation.entries);
      } else if (isAboutCertificates(operation)) {
        await this.#send(commands.splice(0));
        await changeCertificates((line) => this.ask(line), operation);
      } else commands.push(...toCommands(operation, version));
      if (!("server" in operation) || operation.do === "weigh server") continue;
      const { backend, server } = operation;
      const isNewer = this.#overrides.isNewer(`${backend}/${server.name}`, planned);
      if (operation.do === "remove server" || !isNewer)
        this.#overrides.forget(backend, server.name);
    }
    await this.#send([...commands, ...ready.map(setUp)]);
    this.#tellAnswers(ready);
  }

  /**
   * Tells HAProxy at once to send no new requests to a server.
   * @param isBound whether clients may be bound to it, whose requests it would get if it is drained
   */
  drain(backend: string, server: string, isBound = false): void {
    this.#forgetStart(`${backend}/${server}`);
    this.#overrides.set(backend, server, isBound ? "maint" : "drain");
  }

  /** Notes that servers by these names are not to be enabled after all. */
  cancelStart(backend: string, servers: readonly string[]): void {
    for (const server of servers) {
      this.#forgetStart(`${backend}/${server}`);
      this.#probes.cancel(`${backend}/${server}`);
    }
  }

  #forgetStart(key: string): void {
    this.#starting.delete(key);
    this.#started.delete(key);
  }

  /** Tells HAProxy at once to let requests for a backend wait. */
  openWaitingRoom(backend: string): void {
    this.#overrides.set(backend, WAITING_ROOM, "ready");
  }

  /**
   * Disables servers at once: they get no new requests, not even from clients that are bound to them.
   * @param mustGo decides by what HAProxy says of each server
   * @param mayWait whether requests wait for a backend that has no other server; else they get 503
   * @returns the backends whose requests wait now
   * @throws GatewayError `haproxy` if HAProxy cannot be told
   */
  async disable(
    mustGo: (server: ServerState) => boolean,
    mayWait: (backend: string) => boolean = () => false,
  ): Promise<string[]> {
    const states = readServerStates(await this.ask("show servers state"));
    const ending = new Set([...states].filter(([, state]) => mustGo(state)).map(([key]) => key));
    const waiting = emptiedBy(ending, states).filter(mayWait);
    // Before the servers, so that no request finds neither.
    for (const backend of waiting) this.openWaitingRoom(backend);
    const keys = [...ending].filter((key) => states.get(key)?.inMaintenance === false);
    for (const key of keys) this.#forgetStart(key);
    if (keys.length > 0) await this.#overrides.disable(keys);
    return waiting;
  }

  /** Forgets the running HAProxy. Another one runs now, or soon will. */
  reset(): void {
    this.#running = undefined;
    this.#probes.clear();
    this.#starting.clear();
    this.#started.clear();
    this.#removals.clear();
    this.#overrides.clear();
  }

  /** Sends one line of commands and returns HAProxy's answer. @throws GatewayError `haproxy` */
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

  /** Cancels the removal of what is wanted again, instead of adding it anew. */
  #reuse(operation: Operation): readonly Operation[] {
    if (operation.do === "add backend") {
      const { backend, defaults } = operation;
      const kept = this.#removals.cancelBackend(backend);
      if (kept === undefined) return [operation];
      if (kept === defaults) return [];
      throw refusal(`backend ${backend} is on its way out, with other defaults`);
    }
    if (operation.do !== "add server") return [operation];
    const { backend, server } = operation;
    const kept = this.#removals.cancelServer(backend, server.name);
    if (kept === undefined) return [operation];
    if (haveSameSettings(kept, server)) {
      return [
        { do: "weigh server", backend, server },
        { do: "move server", backend, server, from: kept },
      ];
    }
    throw refusal(`server ${backend}/${server.name} is on its way out, with other settings`);
  }

  #scheduleRemovals(operations: readonly Operation[]): void {
    for (const operation of operations) {
      if (operation.do === "remove server") {
        const { backend, server } = operation;
        this.#removals.addServer(backend, server, this.grace(server.name));
      } else if (operation.do === "remove backend") {
        this.#removals.addBackend(operation.backend, operation.defaults);
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

  /** @param alsoGood answers that are no refusals either */
  async #check(lines: readonly string[], alsoGood?: RegExp): Promise<void> {
    for (const line of lines) {
      // Nothing can stand behind a payload.
      const hasEnd = !line.includes("\n");
      const answer = await this.ask(hasEnd ? `${line};${END}` : line);
      const said = answer
        .split("\n")
        .map((words) => words.trim())
        .filter((words) => words !== "");
      if (hasEnd && !END_ANSWER.test(said.pop() ?? "")) throw refusal("it hung up", line);
      const refused = said.filter(
        (words) => !SUCCESS.test(words) && alsoGood?.test(words) !== true,
      );
      if (refused.length > 0)
        throw this.#refuseSetting(refused) ?? refusal(refused.join(" "), line);
    }
  }

  /**
   * Remembers a setting that is refused for good, so that it is not tried again.
   * @param said the answers to a line of commands. After a server that was not added, all commands
   * about it are refused too
   */
  #refuseSetting(said: readonly string[]): GatewayError | undefined {
    const { version } = this.#running ?? {};
    const found = said.map((words) => SETTING_REFUSED.exec(words)).find((match) => match !== null);
    const setting = found?.[1] ?? found?.[2];
    if (version === undefined || setting === undefined) return undefined;
    const known = this.#refusedSettings.get(version) ?? [];
    this.#refusedSettings.set(version, new Set([...known, setting]));
    return new GatewayError("haproxy", whySettingRefused(version, setting));
  }

  /** Runs tasks one after the other. Additions and removals must not overlap. */
  #serially<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(task);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}

function keyOf({ backend, server }: BackendServer): string {
  return `${backend}/${server.name}`;
}

/** The commands that enable a server in maintenance. @param answers whether it is up at once */
function toStart({ backend, server }: BackendServer, answers: boolean): string[] {
  const operation = { do: "enable server", backend, server } as const;
  // Another port of a container that answers is left to HAProxy's checks.
  return answers ? enableAsUp(operation) : toCommands(operation, "");
}

/** The command that sets a server, given as `backend/server`, up without waiting for a check. */
function setUp(key: string): string {
  return `set server ${serverPath(key)} health up`;
}

/** The backend of a server, given as `backend/server`. */
function backendOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}

/** The backends with a closed waiting room that have no server left but those that end. */
function emptiedBy(
  ending: ReadonlySet<string>,
  states: ReadonlyMap<string, ServerState>,
): string[] {
  const emptied = new Set([...ending].map(backendOf));
  for (const [key, { withoutRequests }] of states) {
    if (!withoutRequests && !ending.has(key)) emptied.delete(backendOf(key));
  }
  return [...emptied].filter((backend) => states.has(`${backend}/${WAITING_ROOM}`));
}

/** Whether an operation adds or enables something, or must come before that. */
function comesFirst(operation: Operation): boolean {
  return operation.do === "disable server" || BRING_UP.includes(operation.do);
}

function refusal(answer: string, line = ""): GatewayError {
  const command = line.split(/[;\n]/)[0] ?? "";
  const where = command === "" ? "" : ` (in "${command.slice(0, 100)}")`;
  return new GatewayError("haproxy", `HAProxy refused to be changed: ${answer.trim()}${where}`);
}
