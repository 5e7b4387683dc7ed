// The Engine's API by native fetch. It only reads.

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type {
  ContainerInfo,
  ContainerInspectInfo,
  ImageInspectInfo,
  NetworkInspectInfo,
} from "dockerode";
import { withTimeout } from "../lib/async.ts";
import { errorMessage, GatewayError, systemCode } from "../lib/errors.ts";
import { ListReader, type Listed } from "./listed.ts";
import type { NodeAnswer, ServiceAnswer, SwarmInfo, TaskAnswer } from "./swarm/answers.ts";
import type { Transport } from "./transport.ts";

/** The newest API version that this client was tested with. An older Engine's own version is used. */
const NEWEST_TRIED = "1.51";
/** After so long without an answer the Engine is taken to hang, in milliseconds. */
const ANSWER_TIMEOUT = 30_000;
/** The same for the event stream, in milliseconds: the Engine sends its headers at once. */
const EVENTS_TIMEOUT = 10_000;
/** The same for `/version`, in milliseconds: what it tells is of use, but not needed. */
const VERSION_TIMEOUT = 2_000;

/** The events that can change what is served. Podman says `died` and `remove`. */
const EVENTS = (
  "start restart die died stop kill oom pause unpause rename update health_status destroy remove " +
  "connect disconnect create"
).split(" ");

/** What is read for the sake of a swarm alone. */
const SWARM_PATHS = /^\/(?:info|services|tasks|nodes)\b/;

/** The Engine took a request and gave no answer in time. */
export class NoAnswer extends GatewayError {}

/** A socket proxy does not let the gateway ask that, or the Engine knows no such thing. */
export class Forbidden extends GatewayError {}

/** The statuses that say so. */
const FORBIDDEN = [401, 403, 404, 405];

/** `auto`: the services of a swarm are served where the Engine is a manager of one. */
export type SwarmWish = "auto" | "always" | "never";

/** What the events of a stream are about. */
export type EventTypes = readonly ("container" | "network" | "service" | "node")[];

/** The events of containers and their networks. */
const CONTAINER_EVENTS: EventTypes = ["container", "network"];

/** What connecting to an Engine tells. */
export interface Connected {
  readonly apiVersion: string;
  /** The Engine's own time, in seconds since 1970; undefined if it does not tell. */
  readonly time: number | undefined;
}

/** What one of several Engines is called, and where its containers are reached. */
export interface Site {
  readonly engine: string;
  /**
   * The name or address of the machine on which its containers publish ports; undefined: their networks are
   * this machine's.
   */
  readonly host: string | undefined;
}

/** How containers of one of several Engines are described. */
export interface Whereabouts {
  readonly engine: string;
  /** The address of its machine, without brackets; undefined: their networks are this machine's. */
  readonly address: string | undefined;
}

/** What tasks are wanted: those that have one of the values of each key. */
export interface TaskFilters {
  readonly id?: readonly string[];
  readonly service?: readonly string[];
  readonly "desired-state"?: readonly string[];
  readonly [key: string]: readonly string[] | undefined;
}

/** Reads an Engine's state. Every method throws a GatewayError `docker` with a hint. */
export class DockerClient {
  #version: string | undefined;
  #whereabouts: Whereabouts | undefined;
  readonly #services = new ListReader<ServiceAnswer>();
  readonly #tasks = new ListReader<TaskAnswer>();

  /**
   * @param version the API version that the user chose; empty: negotiate one
   * @param swarm whether the services of a swarm are wanted
   * @param site undefined: it is the only Engine
   */
  constructor(
    readonly transport: Transport,
    private readonly version: string,
    readonly swarm: SwarmWish,
    readonly site?: Site,
  ) {}

  /** Where its containers are, as of the last connection; undefined: it is the only Engine. */
  get whereabouts(): Whereabouts | undefined {
    return this.#whereabouts;
  }

  /** Opens the transport and agrees on an API version. */
  async connect(signal: AbortSignal): Promise<Connected> {
    await this.transport.open();
    if (this.site !== undefined) this.#whereabouts = await locate(this.site);
    const { newest, time } = await this.#ask("/_ping", signal, async (response) => {
      await response.text();
      return {
        newest: response.headers.get("Api-Version") ?? NEWEST_TRIED,
        time: toSeconds(response.headers.get("Date")),
      };
    });
    this.#version = this.version || (await this.#negotiate(newest, signal));
    return { apiVersion: this.#version, time };
  }

  /** Checks that the Engine answers within `ms` milliseconds. */
  async ping(signal: AbortSignal, ms: number): Promise<void> {
    await this.#ask("/_ping", signal, (response) => response.text(), ms);
  }

  /** Lists running, paused and restarting containers. The list lags behind: trust only the IDs. */
  async listContainers(signal: AbortSignal): Promise<ContainerInfo[]> {
    return this.#json<ContainerInfo[]>("/containers/json", signal);
  }

  /** Reads what the list says of one container, which may be stopped; undefined if it is gone. */
  async listed(id: string, signal: AbortSignal): Promise<ContainerInfo | undefined> {
    const filters = encodeURIComponent(JSON.stringify({ id: [id] }));
    const path = `/containers/json?all=1&filters=${filters}`;
    return (await this.#json<ContainerInfo[]>(path, signal)).find(({ Id }) => Id === id);
  }

  /** Reads an image by its ID; undefined if it is gone. */
  async image(id: string, signal: AbortSignal): Promise<ImageInspectInfo | undefined> {
    return this.#json<ImageInspectInfo | undefined>(`/images/${id}/json`, signal, [404]);
  }

  /** Reads a container as it is now; undefined if it is gone. */
  async inspect(id: string, signal: AbortSignal): Promise<ContainerInspectInfo | undefined> {
    return this.#json<ContainerInspectInfo | undefined>(`/containers/${id}/json`, signal, [404]);
  }

  async listNetworks(signal: AbortSignal): Promise<NetworkInspectInfo[]> {
    return this.#json<NetworkInspectInfo[]>("/networks", signal);
  }

  /** Reads a network with the addresses of its containers; undefined if it is gone. */
  async network(id: string, signal: AbortSignal): Promise<NetworkInspectInfo | undefined> {
    return this.#json<NetworkInspectInfo | undefined>(`/networks/${id}`, signal, [404]);
  }

  /** Reads the Engine's place in a swarm; undefined if it tells of none, as Podman. */
  async swarmInfo(signal: AbortSignal): Promise<SwarmInfo | undefined> {
    return (await this.#json<{ readonly Swarm?: SwarmInfo }>("/info", signal)).Swarm;
  }

  /**
   * Lists services of the swarm, with how many tasks of each run. Only a manager knows them, and all below.
   * @param ids those that are wanted; undefined: all
   */
  async services(
    ids: readonly string[] | undefined,
    signal: AbortSignal,
  ): Promise<Listed<ServiceAnswer>[]> {
    // Known since API 1.41; an older Engine takes no notice of it, and tells no numbers.
    const path = `/services?status=true${filtersOf("&", { id: ids })}`;
    return this.#read(path, signal, listedBy(this.#services));
  }

  /** @param ids those that are wanted; undefined: all */
  async nodes(ids: readonly string[] | undefined, signal: AbortSignal): Promise<NodeAnswer[]> {
    return this.#json<NodeAnswer[]>(`/nodes${filtersOf("?", { id: ids })}`, signal);
  }

  /**
   * Lists tasks; undefined if a service that is named in the filters is gone.
   * @param filters as the Engine takes them: one of the values of each key; none: all
   */
  async tasks(
    filters: TaskFilters,
    signal: AbortSignal,
  ): Promise<Listed<TaskAnswer>[] | undefined> {
    const path = `/tasks${filtersOf("?", filters)}`;
    return this.#read(path, signal, listedBy(this.#tasks), [404]);
  }

  /**
   * Subscribes to events, one JSON object a line. Resolves once no later event can be lost.
   * @param since in seconds since 1970 by the Engine's clock; events since then come first.
   *   Undefined: only new ones come
   */
  async events(
    since: number | undefined,
    signal: AbortSignal,
    types: EventTypes = CONTAINER_EVENTS,
  ): Promise<ReadableStream<Uint8Array>> {
    const filters = JSON.stringify({ type: types, event: EVENTS });
    const query = new URLSearchParams({
      ...(since === undefined ? {} : { since: String(since) }),
      filters,
    });
    const path = `${this.#prefix()}/events?${query.toString()}`;
    // Only the headers have a limit. The stream is silent as long as nothing happens: `ping` shows
    // whether the Engine still lives.
    const limit = new AbortController();
    const either = AbortSignal.any([signal, limit.signal]);
    const timer = setTimeout(() => limit.abort(), EVENTS_TIMEOUT);
    try {
      const response = await this.#request(path, either);
      if (!response.ok || response.body === null) throw await this.#refusal("/events", response);
      return response.body;
    } catch (error) {
      if (limit.signal.aborted && !signal.aborted) throw this.#noAnswer("/events", EVENTS_TIMEOUT);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** @param absent the statuses that mean that there is no such thing: then it returns undefined */
  async #json<T>(path: string, signal: AbortSignal, absent: readonly number[] = []): Promise<T> {
    const parse = async (response: Response): Promise<T> => (await response.json()) as T;
    return this.#read(path, signal, parse, absent);
  }

  async #read<T>(
    path: string,
    signal: AbortSignal,
    parse: (response: Response) => Promise<T>,
    absent: readonly number[] = [],
  ): Promise<T> {
    return this.#ask(`${this.#prefix()}${path}`, signal, async (response) => {
      if (absent.includes(response.status)) {
        await response.text();
        return undefined as T;
      }
      if (!response.ok) throw await this.#refusal(path, response);
      try {
        return await parse(response);
      } catch (error) {
        throw new GatewayError("docker", `${cannotRead(path)}: ${errorMessage(error)}`, {
          cause: error,
        });
      }
    });
  }

  /** The newest version that both know. If that is too old for the Engine, the Engine's oldest one. */
  async #negotiate(newest: string, signal: AbortSignal): Promise<string> {
    if (!isOlder(NEWEST_TRIED, newest)) return newest;
    const oldest = await this.#oldestVersion(signal);
    return isOlder(NEWEST_TRIED, oldest) ? oldest : NEWEST_TRIED;
  }

  /** The oldest version that the Engine takes. If it does not tell, that is left to be found out. */
  async #oldestVersion(signal: AbortSignal): Promise<string> {
    const read = async (response: Response): Promise<string> => {
      if (!response.ok) throw await this.#refusal("/version", response);
      const { MinAPIVersion = NEWEST_TRIED } = (await response.json()) as {
        MinAPIVersion?: string;
      };
      return MinAPIVersion;
    };
    try {
      return await this.#ask("/version", signal, read, VERSION_TIMEOUT);
    } catch (error) {
      if (signal.aborted) throw error;
      return NEWEST_TRIED;
    }
  }

  #prefix(): string {
    if (this.#version === undefined) throw new Error("DockerClient used before connect()");
    return `/v${this.#version}`;
  }

  /** Sends a request and reads its answer, both together within `ms` milliseconds. */
  #ask<T>(
    path: string,
    signal: AbortSignal,
    read: (response: Response) => Promise<T>,
    ms = ANSWER_TIMEOUT,
  ): Promise<T> {
    return withTimeout(ms, signal, async (limit) => {
      try {
        return await read(await this.#request(path, limit));
      } catch (error) {
        if (limit.aborted && !signal.aborted) throw this.#noAnswer(path, ms);
        throw error;
      }
    });
  }

  async #request(path: string, signal: AbortSignal): Promise<Response> {
    const { base, init, name } = this.transport;
    try {
      return await fetch(`${base}${path}`, {
        ...init,
        signal,
        timeout: false,
      } as BunFetchRequestInit);
    } catch (error) {
      if (signal.aborted) throw error;
      throw unreachable(name, error);
    }
  }

  /** @param ms how long was waited, in milliseconds */
  #noAnswer(path: string, ms: number): NoAnswer {
    const what =
      path === "/_ping" ? `Cannot reach Docker at "${this.transport.name}"` : cannotRead(path);
    return new NoAnswer("docker", `${what}: no answer in ${ms / 1000} s`);
  }

  async #refusal(path: string, response: Response): Promise<GatewayError> {
    const text = (await response.text()).trim();
    const said = /"message":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? text;
    const lines = said === "" ? [] : [said];
    const problem = `${cannotRead(path)}: it answered ${response.status}`;
    if (response.status === 403) {
      const hint = SWARM_PATHS.test(path)
        ? "a socket proxy must allow GET of /info, /services, /tasks and /nodes, too, to serve a swarm"
        : "a socket proxy must allow GET of /events, /containers, /networks, /version and /_ping";
      return new Forbidden("docker", problem, { lines, hint });
    }
    if (FORBIDDEN.includes(response.status)) return new Forbidden("docker", problem, { lines });
    const hint =
      /version/.test(said) && this.version !== ""
        ? "unset DOCKER_API_VERSION to let the gateway choose"
        : undefined;
    return new GatewayError("docker", problem, { lines, hint });
  }
}

/** What was asked for, without the version and the filters, which may name a hundred services. */
function cannotRead(path: string): string {
  const what = path.replace(/^\/v[\d.]+(?=\/)/, "").replace(/[?&]filters=.*/, "");
  return `Cannot read "${what}" of Docker`;
}

/** Filters as part of a query. @param mark what comes before them */
function filtersOf(
  mark: "?" | "&",
  filters: Readonly<Record<string, readonly string[] | undefined>>,
): string {
  const text = JSON.stringify(filters);
  return text === "{}" ? "" : `${mark}filters=${encodeURIComponent(text)}`;
}

/** @throws GatewayError `docker` if the machine has no address */
async function locate({ engine, host }: Site): Promise<Whereabouts> {
  if (host === undefined) return { engine, address: undefined };
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  if (isIP(bare) !== 0) return { engine, address: bare };
  try {
    return { engine, address: (await lookup(bare)).address };
  } catch (error) {
    throw new GatewayError(
      "docker",
      `Cannot find the machine of Engine "${engine}": ${bare} has no address`,
      {
        lines: [errorMessage(error)],
        hint: `--engine-address ${engine}=ADDRESS names it`,
        cause: error,
      },
    );
  }
}

/** @param date such as `Tue, 15 Nov 1994 08:12:31 GMT`. Source: RFC 9110, section 6.6.1 */
function toSeconds(date: string | null): number | undefined {
  const ms = Date.parse(date ?? "");
  return Number.isNaN(ms) ? undefined : ms / 1000;
}

function isOlder(a: string, b: string): boolean {
  const [[aMajor = 0, aMinor = 0], [bMajor = 0, bMinor = 0]] = [
    a.split(".").map(Number),
    b.split(".").map(Number),
  ] as const;
  return aMajor < bMajor || (aMajor === bMajor && aMinor < bMinor);
}

/** Bun's own messages talk about typing errors in a URL. These talk about Docker. */
function unreachable(name: string, error: unknown): GatewayError {
  const states: Record<string, [state: string, hint: string]> = {
    ENOENT: [
      "there is no such socket",
      "start Docker (systemctl start docker), or name its socket with --docker-host",
    ],
    EACCES: [
      "permission denied",
      "run the gateway as root or as a user of the group docker (usermod -aG docker USER)",
    ],
    ECONNREFUSED: ["nobody listens there", "start Docker (systemctl start docker)"],
    ConnectionRefused: ["nobody listens there", "is the Engine started with that address?"],
    FailedToOpenSocket: [
      "there is no such socket, or nobody listens",
      "start Docker (systemctl start docker), or name its socket with --docker-host",
    ],
  };
  const [state, hint] = states[systemCode(error)] ?? [errorMessage(error), undefined];
  return new GatewayError("docker", `Cannot reach Docker at "${name}": ${state}`, {
    hint,
    cause: error,
  });
}

function listedBy<T>(reader: ListReader<T>): (response: Response) => Promise<Listed<T>[]> {
  return async (response) => reader.read(await response.bytes());
}
