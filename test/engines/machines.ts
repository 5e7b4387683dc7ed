// Engines on machines of their own, with the same networks, and a gateway on the first of these machines.

import { create, type Container, type RunOptions } from "../lab/containers.ts";
import type { HaproxyVersion } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { startNodes, type Node, type Nodes } from "../lab/nodes.ts";
import { startGateway, type Gateway, type GatewayOptions } from "../e2e/gateway.ts";

/** The names of the Engines. The first one's networks are those of the gateway's machine. */
export const NAMES = ["blue", "red", "green"] as const;
const PORT = 8080;

/** The Engines by their names. */
export class Machines {
  readonly #all: Nodes;

  private constructor(all: Nodes) {
    this.#all = all;
  }

  /** Starts them: containers of different ones get the same addresses. */
  static async start(count: number, images: readonly string[]): Promise<Machines> {
    const all = await startNodes(count, () => [
      "--bip=10.241.0.1/24",
      "--default-address-pool=base=10.251.0.0/16,size=24",
      "--live-restore",
      "--host=tcp://0.0.0.0:2375",
      "--tls=false",
    ]);
    for (const node of all.nodes) {
      for (const image of images) await importImage(node, image, { expose: [8000] });
    }
    return new Machines(all);
  }

  get(name: string): Node {
    const found = this.#all.nodes[NAMES.findIndex((each) => each === name)];
    if (found === undefined) throw new Error(`there is no Engine ${name}`);
    return found;
  }

  /** The flags by which a gateway has all of them: the first by its socket, the others as other machines. */
  get flags(): string[] {
    return this.#all.nodes.map(({ dockerHost, address }, index) => {
      const url = index === 0 ? dockerHost : `tcp://${address}:2375`;
      return `--docker-host=${NAMES[index] ?? ""}=${url}`;
    });
  }

  /** Starts a gateway on the first machine. */
  gateway(version: HaproxyVersion, options: GatewayOptions = {}): Promise<Gateway> {
    const { inside: prefix, address: host } = this.get("blue");
    const flags = [...this.flags, ...(options.flags ?? [])];
    return startGateway({ version, prefix, host, port: PORT, ...options, flags });
  }

  /**
   * Runs a container. On all machines but the first it publishes its port.
   * @param port that of its machine; 0: any
   */
  async run(name: string, image: string, options: RunOptions = {}, port = 0): Promise<Container> {
    const node = this.get(name);
    const HostConfig = {
      PortBindings: { "8000/tcp": [{ HostPort: port === 0 ? "" : String(port) }] },
    };
    const container = await create(node, image, {
      ...options,
      ...(name === "blue" ? {} : { create: { HostConfig } }),
    });
    await container.start();
    return container;
  }

  async removeContainers(): Promise<void> {
    for (const { docker } of this.#all.nodes) {
      const all = await docker.listContainers({ all: true });
      await Promise.all(all.map(({ Id }) => docker.getContainer(Id).remove({ force: true })));
    }
  }

  stop(): Promise<void> {
    return this.#all.stop();
  }
}
