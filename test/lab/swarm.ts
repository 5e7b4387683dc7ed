// A real swarm for the tests: some Engines, each as a machine of its own.
// The routing mesh and virtual IPs need IPVS, which not every kernel has: tests do without them.

import { startNodes, type Node } from "./nodes.ts";

/** An Engine of the swarm. */
export interface SwarmNode extends Node {
  /** The ID of the node. */
  readonly id: string;
}

/** A running swarm. */
export interface Swarm {
  /** The first is the manager. */
  readonly nodes: readonly SwarmNode[];
  readonly manager: SwarmNode;
  /** Ends everything and removes all traces. */
  stop(): Promise<void>;
}

/** A container of a manager on a network of tasks, in whose network a program can run. */
export interface Berth {
  /** A command that runs another one in the network of the container. */
  readonly inside: readonly string[];
  /** Where this host reaches what listens there. */
  readonly host: string;
  readonly port: number;
  remove(): Promise<void>;
}

/** Makes a container on an overlay network that lasts as long as nobody removes it. */
export async function startBerth(
  { manager: { docker, address } }: Swarm,
  image: string,
  network: string,
  port: number,
): Promise<Berth> {
  const container = await docker.createContainer({
    Image: image,
    Cmd: ["sleep", "86400"],
    Labels: { "gateway.enable": "false" },
    ExposedPorts: { [`${port}/tcp`]: {} },
    HostConfig: {
      NetworkMode: network,
      PortBindings: { [`${port}/tcp`]: [{ HostPort: String(port) }] },
    },
  });
  await container.start();
  const { State } = await container.inspect();
  return {
    inside: ["nsenter", `--net=/proc/${State.Pid}/ns/net`],
    host: address,
    port,
    remove: () => container.remove({ force: true }),
  };
}

/** The networks of tasks, apart from all other networks of the tests. */
const TASK_POOL = "10.66.0.0/16";
const SWARM_PORT = 2377;

/**
 * Starts a swarm of three Engines, one of which is the manager.
 * @param heartbeatMs a lost node is noticed after three of these; Docker's default is 5,000
 */
export async function startSwarm(heartbeatMs = 5_000): Promise<Swarm> {
  const { nodes: machines, stop } = await startNodes(3, (number) => [
    `--bip=10.24${number}.0.1/24`,
    `--default-address-pool=base=10.25${number}.0.0/16,size=24`,
  ]);
  try {
    const [first, ...others] = machines;
    if (first === undefined) throw new Error("Cannot start a swarm: it has no Engine");
    await first.docker.swarmInit({
      ListenAddr: `0.0.0.0:${SWARM_PORT}`,
      AdvertiseAddr: first.address,
      DefaultAddrPool: [TASK_POOL],
      SubnetSize: 24,
      Spec: { Name: "default", Labels: {}, Dispatcher: { HeartbeatPeriod: heartbeatMs * 1e6 } },
    });
    const { JoinTokens } = (await first.docker.swarmInspect()) as {
      JoinTokens: { Worker: string };
    };
    for (const { docker, address } of others) {
      await docker.swarmJoin({
        ListenAddr: `0.0.0.0:${SWARM_PORT}`,
        AdvertiseAddr: address,
        RemoteAddrs: [`${first.address}:${SWARM_PORT}`],
        JoinToken: JoinTokens.Worker,
      });
    }
    const nodes: SwarmNode[] = [];
    for (const node of machines) {
      const { Swarm: own } = (await node.docker.info()) as { Swarm: { NodeID: string } };
      nodes.push({ ...node, id: own.NodeID });
    }
    const [manager] = nodes;
    if (manager === undefined) throw new Error("Cannot start a swarm: it has no Engine");
    return { nodes, manager, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
