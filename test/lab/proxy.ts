// The built-in templates in a real HAProxy, in front of servers that stand for containers.

import { basename, join } from "node:path";
import { sectionsOf } from "../../src/config/sections.ts";
import { mapsOf } from "../../src/config/map-file.ts";
import { makeDesired, type Desired } from "../../src/gateway/desired.ts";
import { saveServerStates } from "../../src/haproxy/process/server-states.ts";
import { createLogger, type Logger } from "../../src/lib/log.ts";
import type { Container, Snapshot } from "../../src/model.ts";
import { parseOptions } from "../../src/cli/options.ts";
import { prepare, type Setup } from "../../src/cli/setup.ts";
import { cli, haproxyProgram, startHaproxy, type Haproxy, type HaproxyVersion } from "./haproxy.ts";
import { connect, request, type RawConnection, type RawResponse } from "./http.ts";
import { labDir } from "./leftovers.ts";
import { freePort, type App } from "./app.ts";

/** How long the start of a HAProxy with its servers may take on a loaded machine. */
export const START_MS = 30_000;

/** What of a container matters here; the rest is as usual. */
export interface Service {
  image: string;
  address: string;
  /** Its label `gateway.port`; undefined: it exposes nothing, so that ports are guessed. */
  port?: number | undefined;
  /** Its ID goes by it. */
  name?: string;
  state?: Container["state"];
  health?: Container["health"];
  stopping?: number;
}

export interface ProxyOptions {
  /** Routes by host name below this domain. */
  domain?: string;
  /** The candidate ports. */
  ports?: readonly number[];
}

/** A question to the proxy; the client's Host header is `127.0.0.1:<port>` unless it says more. */
export type Question = Omit<Parameters<typeof request>[0], "port" | "host">;

/** What HAProxy says of one server. */
export interface ServerStat {
  /** `UP`, `DOWN`, `MAINT`, or one of these with what its checks are about to find. */
  status: string;
  /** The result of its last check, such as `L4OK`. */
  check: string;
  /** How often a request was given to it, whatever came of that. */
  chosen: number;
}

/** A place for a configuration, and what is rendered there. */
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
    const { domain, ports } = options;
    const raw = {
      "output-file": join(dir, "haproxy.cfg"),
      listen: `127.0.0.1:${port}`,
      haproxy: haproxyProgram(version),
      "manage-haproxy": true,
      ...(domain === undefined ? {} : { domain }),
      ...(ports === undefined ? {} : { ports: ports.join() }),
    };
    return new Site(version, port, dir, await prepare(parseOptions(raw), {}, silent));
  }

  /** What should be served for these containers, by the HAProxy of the setup unless it is given. */
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
    };
    return makeDesired(snapshot, reach, settings, built, () => "2020-01-01T00:00:00.000Z");
  }

  /** Starts HAProxy there. */
  async start(services: readonly Service[]): Promise<Haproxy> {
    const { files } = this.render(services);
    const named = Object.entries(mapsOf(files)).map(([path, text]) => [basename(path), text]);
    return startHaproxy({
      version: this.version,
      config: files.config,
      maps: Object.fromEntries(named) as Record<string, string>,
      dir: this.dir,
    });
  }

  /** Writes what is known of the servers of these containers, where HAProxy may run or not. */
  async saveStates(services: readonly Service[], running: boolean): Promise<void> {
    const { statsSocket } = this.setup.paths.haproxy;
    const sections = sectionsOf(this.render(services).files);
    await saveServerStates(sections, running ? statsSocket : undefined, (backend) => backend);
  }

  /** Does to HAProxy what the gateway does for these containers when it reloads. */
  async apply(services: readonly Service[], haproxy: Haproxy): Promise<void> {
    const { files } = this.setup;
    const desired = this.render(services).files;
    await files.stage(desired);
    await files.replace(desired);
    await this.saveStates(services, true);
    await haproxy.reload();
    await files.confirm();
  }

  /** What HAProxy says of the servers, by their containers' names and their ports. */
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
        .filter((row) => row.get("type") === "2")
        .map((row) => {
          const [, name, port] = /^(.*?):[0-9a-f]{12}(:\d+)?$/.exec(row.get("svname") ?? "") ?? [];
          const stat = {
            status: row.get("status") ?? "",
            check: row.get("check_status") ?? "",
            chosen: Number(row.get("lbtot")),
          };
          return [`${name}${port ?? ""}`, stat];
        }),
    );
  }

  /** Asks on a connection of its own. */
  ask(question: Question = {}): Promise<RawResponse> {
    return request({ ...question, port: this.port });
  }

  /** Opens a connection. */
  connect(): Promise<RawConnection> {
    return connect({ port: this.port });
  }
}

/** The container that an app stands for; its image has the app's name. */
export function serviceOf({ name, address, port }: App, more: Partial<Service> = {}): Service {
  return { image: name, address, port, ...more };
}

/** A logger whose lines nobody wants. */
export const silent: Logger = makeLogger(() => {});

/** A logger that writes its lines, without the time, to a list. */
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

function toContainer(service: Service, index: number): Container {
  const { image, address, port, state = "running", health = "none", stopping = 0 } = service;
  const name = service.name ?? `c${index + 1}`;
  return {
    id: new Bun.CryptoHasher("sha256").update(name).digest("hex"),
    name,
    image,
    imageId: `sha256:${"0".repeat(64)}`,
    created: index + 1,
    labels: port === undefined ? {} : { "gateway.port": String(port) },
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
  };
}
