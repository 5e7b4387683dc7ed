// A client of an Engine that is only played: a test says what each container is, and who hangs.

import type {
  ContainerInfo,
  ContainerInspectInfo,
  ImageInspectInfo,
  NetworkInspectInfo,
} from "dockerode";
import type { DockerClient, SwarmWish } from "../../src/docker/client.ts";

/** What a test says of a container; the rest is ordinary. */
export interface PlayedState {
  readonly name: string;
  readonly image?: string;
  /** How the list has the image, where that is otherwise. */
  readonly listedImage?: string;
  readonly status?: string;
  readonly health?: string;
  readonly ip?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly networks?: readonly string[];
  readonly stopSignal?: string;
  readonly startedAt?: string;
  readonly pid?: number;
  /** In seconds. */
  readonly stopTimeout?: number;
  /** The ports that it exposes, beside those of its image. */
  readonly exposed?: readonly string[];
  /** What it was given in its environment, which no list tells. */
  readonly environment?: readonly string[];
  /** Whether its image has a HEALTHCHECK. */
  readonly isChecked?: boolean;
}

export class PlayedClient {
  readonly transport = { name: "played" };
  /** The containers by their IDs; what is not here is gone. */
  readonly containers = new Map<string, PlayedState>();
  /** Those whose inspection gets an answer only when the test gives it, and so `list`, `networks`. */
  readonly hanging = new Map<string, PromiseWithResolvers<void>>();
  /** Those whose inspection fails, and what the list and the networks fail with. */
  readonly failing = new Map<string, Error>();
  /** What was asked for, in order. */
  readonly asked: string[] = [];
  networks: Record<string, string> = { bridge: "bridge" };

  readonly swarm: SwarmWish = "never";

  /** As the classes under test take it. */
  get asClient(): DockerClient {
    return this as unknown as DockerClient;
  }

  add(id: string, state: PlayedState): void {
    this.containers.set(id, state);
  }

  /** From now on the inspection of a container gets no answer, or the `list`, or the `networks`. */
  hang(what: string): void {
    this.hanging.set(what, Promise.withResolvers());
  }

  /** Gives all who wait what is true now. */
  answer(what: string): void {
    const waiting = this.hanging.get(what);
    this.hanging.delete(what);
    waiting?.resolve();
  }

  connect(): Promise<{ apiVersion: string }> {
    return Promise.resolve({ apiVersion: "1.41" });
  }

  async listContainers(): Promise<ContainerInfo[]> {
    await this.#ask("list");
    return [...this.containers].map(([id, state]) => listing(id, state));
  }

  async listNetworks(): Promise<NetworkInspectInfo[]> {
    await this.#ask("networks");
    const networks = Object.entries(this.networks).map(([Name, Driver], index) => ({
      Name,
      Driver,
      IPAM: { Config: [{ Gateway: `172.${17 + index}.0.1` }] },
    }));
    return networks as unknown as NetworkInspectInfo[];
  }

  /** The ID of a network is its name. A container is in it as soon as it is created. */
  async network(name: string): Promise<NetworkInspectInfo | undefined> {
    await this.#ask(`network ${name}`);
    const members = [...this.containers].filter(([, { networks = ["bridge"] }]) =>
      networks.includes(name),
    );
    const addresses = members.map(([id, { ip = addressOf(id) }]) => {
      return [id, { IPv4Address: `${ip}/16`, IPv6Address: "" }];
    });
    const network = { Name: name, Containers: Object.fromEntries(addresses) };
    return network as unknown as NetworkInspectInfo;
  }

  async listed(id: string): Promise<ContainerInfo | undefined> {
    await this.#ask(`listed ${id.slice(0, 1)}`);
    const state = this.containers.get(id);
    // A container that does not run has no ports there.
    return state && { ...listing(id, state), Ports: [] };
  }

  async image(id: string): Promise<ImageInspectInfo | undefined> {
    await this.#ask(`image ${id}`);
    const isChecked = [...this.containers.values()].some((state) => state.isChecked);
    const image = {
      Id: id,
      Config: { ExposedPorts: { "8000/tcp": {} }, ...healthcheck(isChecked) },
    };
    return image as unknown as ImageInspectInfo;
  }

  /** Takes the first digits of an ID too. */
  async inspect(given: string): Promise<ContainerInspectInfo | undefined> {
    const id = [...this.containers.keys()].find((each) => each.startsWith(given)) ?? given;
    await this.#ask(id);
    return this.#inspection(id);
  }

  async #ask(what: string): Promise<void> {
    this.asked.push(what);
    await this.hanging.get(what)?.promise;
    const failure = this.failing.get(what);
    if (failure !== undefined) throw failure;
  }

  #inspection(id: string): ContainerInspectInfo | undefined {
    const state = this.containers.get(id);
    if (state === undefined) return undefined;
    const { name, status = "running", health, ip = addressOf(id), labels = {} } = state;
    const { image = "foo/bar", networks = ["bridge"], stopSignal, stopTimeout } = state;
    const { exposed = [], environment = [], isChecked = false } = state;
    return {
      Id: id,
      Name: `/${name}`,
      Created: new Date(0).toISOString(),
      Image: "sha256:0",
      State: {
        Status: status,
        StartedAt: state.startedAt ?? "1970-01-01",
        ...(state.pid !== undefined && { Pid: state.pid }),
        ...(health === undefined ? {} : { Health: { Status: health } }),
      },
      Config: {
        Image: image,
        Labels: labels,
        Env: ["PATH=/bin", ...environment],
        ExposedPorts: Object.fromEntries(["8000/tcp", ...exposed].map((port) => [port, {}])),
        ...healthcheck(isChecked),
        StopSignal: stopSignal,
        StopTimeout: stopTimeout,
      },
      HostConfig: { NetworkMode: "bridge" },
      NetworkSettings: { Ports: {}, Networks: attached(networks, ip) },
    } as unknown as ContainerInspectInfo;
  }
}

function healthcheck(isChecked = false) {
  return isChecked ? { Healthcheck: { Test: ["CMD", "true"] } } : {};
}

/** How the list has a container. */
function listing(id: string, state: PlayedState): ContainerInfo {
  const { name, status = "running", health, ip = addressOf(id), labels = {} } = state;
  const note =
    health === undefined ? "" : health === "starting" ? " (health: starting)" : ` (${health})`;
  return {
    Id: id,
    Names: [`/other/link`, `/${name}`],
    Image: state.listedImage ?? state.image ?? "foo/bar",
    ImageID: "sha256:0",
    Created: 0,
    Labels: labels,
    State: status,
    Status: `Up 5 minutes${status === "paused" ? " (Paused)" : note}`,
    HostConfig: { NetworkMode: "bridge" },
    NetworkSettings: { Networks: attached(state.networks ?? ["bridge"], ip) },
    Ports: [{ IP: "", PrivatePort: 8000, PublicPort: 0, Type: "tcp" }],
  } as unknown as ContainerInfo;
}

function attached(networks: readonly string[], ip: string) {
  return Object.fromEntries(
    networks.map((name) => [name, { IPAddress: ip, GlobalIPv6Address: "" }]),
  );
}

/** Each container has an address of its own: that of `a...` ends in 2, that of `b...` in 3. */
function addressOf(id: string): string {
  return `172.17.0.${Number.parseInt(id.charAt(0), 16) - 8}`;
}
