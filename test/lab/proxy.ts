// Runs the built-in templates in a real HAProxy, before servers that stand for containers.

import { basename, join } from "node:path";
import { sectionsOf } from "../../src/config/sections.ts";
import { namedFiles } from "./named-files.ts";
import { makeDesired, type Desired } from "../../src/gateway/desired.ts";
import { saveServerStates } from "../../src/haproxy/process/server-states.ts";
import { createLogger, type Logger } from "../../src/lib/log.ts";
import type { Container, Files, Hold, Snapshot } from "../../src/model.ts";
import { parseOptions } from "../../src/cli/options.ts";
import { prepare, type Setup } from "../../src/cli/setup.ts";
import { cli, haproxyProgram, startHaproxy, type Haproxy, type HaproxyVersion } from "./haproxy.ts";
import { connect, request, type RawConnection, type RawResponse } from "./http.ts";
import { labDir } from "./leftovers.ts";
import { freePort, type App } from "./app.ts";

/** The start of a HAProxy with its servers takes at most this long on a loaded machine, in ms. */
export const START_MS = 30_000;

/** The parts of a container that matter here. The others have their usual values. */
export interface Service {
  image: string;
  address: string;
  /** Its label `gateway.port`. Undefined: no label and no exposed port, so that it is guessed. */
  port?: number | undefined;
  /** Further labels. */
  labels?: Container["labels"];
  /** The name decides the ID, too. */
  name?: string;
  state?: Container["state"];
  health?: Container["health"];
  stopping?: number;
  /** What happens to requests that no server of its service can take. */
  hold?: Hold;
}

export interface ProxyOptions {
  /** If given, routes are host names in this domain. */
  domain?: string;
  /** The ports to guess. */
  ports?: readonly number[];
  /** Whether links that forget the prefix are mended; they are by default. */
  mendLinks?: boolean;
  /** Further flags of the gateway. */
  flags?: Readonly<Record<string, string | boolean>>;
}

/** A request to the proxy. Its `Host` is `127.0.0.1:<port>` by default. */
export type Question = Omit<Parameters<typeof request>[0], "port" | "host">;

/** What HAProxy says about a server. */
export interface ServerStat {
  /** `UP`, `DOWN` or `MAINT`, perhaps with how far its checks are, such as `UP 1/2`. */
  status: string;
  /** The result of its last check, such as `L4OK`. */
  check: string;
  /** How many requests were sent to it, with or without success. */
  chosen: number;
  /** How often it was found down after it had been up. */
  wentDown: number;
}

/** The time in all files. */
const time = (): string => "2020-01-01T00:00:00.000Z";

/** A place for a configuration, with the settings to render it. */
export class Site {
  private constructor(
    readonly version: HaproxyVersion,
    readonly port: number,
    readonly dir: string,
    readonly setup: Setup,
  ) {}

  static async make(version: HaproxyVersion, options: ProxyOptions = {}): Promise<Site> {
    const dir = labDir("contract");
    const port = await freePort();
    const { domain, ports, mendLinks = true } = options;
    const raw = {
      "output-file": join(dir, "haproxy.cfg"),
      listen: `127.0.0.1:${port}`,
      haproxy: haproxyProgram(version),
      "manage-haproxy": true,
      "no-mend-links": !mendLinks,
      ...options.flags,
      ...(domain === undefined ? {} : { domain }),
      ...(ports === undefined ? {} : { ports: ports.join() }),
    };
    return new Site(version, port, dir, await prepare(parseOptions(raw), {}, silent));
  }

  /** The files and the model for these containers. @param haproxy by default that of the setup */
  render(services: readonly Service[], haproxy = this.setup.settings.haproxy): Desired {
    const { template } = this.setup;
    const settings = { ...this.setup.settings, haproxy };
    const [built] = template.candidates();
    if (built === undefined) throw new Error("there is no template");
    const snapshot: Snapshot = {
      containers: services.map(toContainer),
      drivers: { bridge: "bridge" },
      gateways: [],
    };
    const reach = {
      interfaces: ["0.0.0.0/0", "::/0"],
      inContainer: false,
      hostAddress: "127.0.0.1",
      local: true,
      overlays: [],
    };
    return makeDesired(snapshot, reach, settings, built, time, undefined, undefined, (found) =>
      found.map((each) => ({
        ...each,
        hold: services.find(({ image }) => image === each.name)?.hold ?? each.hold,
      })),
    );
  }

  /** Starts HAProxy with the files for these containers. */
  async start(services: readonly Service[]): Promise<Haproxy> {
    const { files } = this.render(services);
    const named = Object.entries(namedFiles(files)).map(([path, text]) => [basename(path), text]);
    return startHaproxy({
      version: this.version,
      config: files.config,
      maps: Object.fromEntries(named) as Record<string, string>,
      dir: this.dir,
    });
  }

  /** Writes the state file for these containers. @param running whether HAProxy runs */
  async saveStates(services: readonly Service[], running: boolean): Promise<void> {
    const { statsSocket } = this.setup.paths.haproxy;
    const sections = sectionsOf(this.render(services).files);
    await saveServerStates(sections, running ? statsSocket : undefined, (backend) => backend);
  }

  /** Does what the gateway does in a reload for these containers. */
  async apply(services: readonly Service[], haproxy: Haproxy): Promise<void> {
    const { files } = this.setup;
    const desired = this.render(services).files;
    await files.stage(desired);
    await files.replace(desired);
    await this.saveStates(services, true);
    await haproxy.reload();
    await files.confirm();
  }

  /** What HAProxy says about the servers, by the names of their containers, with a port if any. */
  async servers(): Promise<Record<string, ServerStat>> {
    const csv = await cli(this.setup.paths.haproxy.statsSocket, "show stat");
    const [head = "", ...lines] = csv.replace("# ", "").split("\n");
    const names = head.split(",");
    const rows = lines.map((line) => {
      const values = line.split(",");
      return new Map(names.map((name, index) => [name, values[index] ?? ""]));
    });
    return Object.fromEntries(
      rows
        .filter(
          (row) =>
            row.get("type") === "2" && !/^_(wait|fcgi|reserve)$/.test(row.get("svname") ?? ""),
        )
        .map((row) => {
          const [id = "", port] = row.get("svname")?.split(":") ?? [];
          const stat = {
            status: row.get("status") ?? "",
            check: row.get("check_status") ?? "",
            chosen: Number(row.get("lbtot")),
            wentDown: Number(row.get("chkdown")),
          };
          const name = containerName(id);
          return [port === undefined ? name : `${name}:${port}`, stat];
        }),
    );
  }

  /** Sends a request on a new connection. */
  ask(question: Question = {}): Promise<RawResponse> {
    return request({ ...question, port: this.port });
  }

  connect(): Promise<RawConnection> {
    return connect({ port: this.port });
  }
}

/** The container for which an app stands. Its image has the name of the app. */
export function serviceOf({ name, address, port }: App, more: Partial<Service> = {}): Service {
  return { image: name, address, port, ...more };
}

/**
 * The files as of a template whose backends have nothing but servers, and that has no spare ones.
 * HAProxy 3.4 adds and removes such backends while it runs.
 */
export function withPlainBackends(files: Files): Files {
  const config = files.config
    .replaceAll(/^backend _spare_.*\n/gm, "")
    .replaceAll(/^ +tcp-response content reject .*\n/gm, "");
  return { ...files, config };
}

/** A logger that drops its lines. */
export const silent: Logger = makeLogger(() => {});

/** A logger that adds its lines to a list, without the time. */
export function listLogger(lines: string[]): Logger {
  return makeLogger((line) => void lines.push(line.replace(/^\S+ /, "")));
}

function makeLogger(write: (line: string) => void): Logger {
  return createLogger({
    level: "debug",
    format: "text",
    journal: false,
    write,
    now: () => new Date(0),
  });
}

/** The names of all containers that were made, by the names of their servers. */
const containerNames = new Map<string, string>();

/** The name of the container that a server stands for. */
export function containerName(server: string): string {
  const [id = ""] = server.split(":");
  return containerNames.get(id) ?? server;
}

/** The name of the server that stands for a container, by the container's name. */
export function serverName(name: string): string {
  return idOf(name).slice(0, 12);
}

function idOf(name: string): string {
  return new Bun.CryptoHasher("sha256").update(name).digest("hex");
}

function toContainer(service: Service, index: number): Container {
  const {
    image,
    address,
    port,
    state = "running",
    health = "none",
    stopping = 0,
    labels = {},
  } = service;
  const name = service.name ?? `c${index + 1}`;
  const id = idOf(name);
  containerNames.set(id.slice(0, 12), name);
  return {
    id,
    name,
    image,
    imageId: `sha256:${"0".repeat(64)}`,
    created: index + 1,
    labels: { ...labels, ...(port === undefined ? {} : { "gateway.port": String(port) }) },
    environment: {},
    state,
    health,
    stopping,
    stopTimeout: 10,
    networkMode: "bridge",
    attachments: [
      address.includes(":")
        ? { network: "bridge", ipv4: "", ipv6: address }
        : { network: "bridge", ipv4: address, ipv6: "" },
    ],
    exposed: [],
    pid: 0,
    startedAt: "",
  };
}
