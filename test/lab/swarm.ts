// A real swarm for the tests: some Engines, each in a network namespace of its own, joined by a bridge.
// The routing mesh and virtual IPs need IPVS, which not every kernel has: tests do without them.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import Dockerode from "dockerode";
import { Daemon } from "./daemon.ts";
import { containerdOf, daemonCommand, programs } from "./docker.ts";
import { answers, testFlavour, type EngineAccess } from "./engine.ts";
import { labDir, sweep } from "./leftovers.ts";
import { claimSubnet } from "./subnet.ts";

/** An Engine of the swarm. */
export interface SwarmNode extends EngineAccess {
  /** The name of its machine. */
  readonly name: string;
  /** The ID of the node. */
  readonly id: string;
  /** Where this host reaches it. */
  readonly address: string;
  readonly dockerHost: string;
  /** A command that runs another one in the network of the node. */
  readonly inside: readonly string[];
  /** Ends the Engine by a signal, and what runs there with SIGKILL: the machine is lost. */
  lose(): Promise<void>;
  /** Ends only the Engine, by this signal. Its containers stay if it was killed. */
  stopDaemon(signal?: NodeJS.Signals): Promise<void>;
  startDaemon(): Promise<void>;
}

/** A running swarm. */
export interface Swarm {
  /** The first is the manager. */
  readonly nodes: readonly SwarmNode[];
  readonly manager: SwarmNode;
  /** Ends everything and removes all traces. */
  stop(): Promise<void>;
}

interface Part {
  readonly dir: string;
  readonly node: Omit<SwarmNode, "id">;
  readonly close: () => Promise<void>;
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
  const count = 3;
  const { bridge, gateway } = claimSubnet();
  run("iptables", "-I", "FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT");
  const network = gateway.replace(/\.1\/24$/, "");
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  const parts: Part[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(parts.map((part) => part.close()));
    run("iptables", "-D", "FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT");
    run("ip", "link", "delete", bridge);
  };
  try {
    for (const number of numbers) parts.push(await startNode(number, bridge, network));
    const [first, ...others] = parts.map(({ node }) => node);
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
    for (const { node } of parts) {
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

async function startNode(number: number, bridge: string, network: string): Promise<Part> {
  const dir = labDir(`s${number}`);
  const name = `node${number}`;
  const address = `${network}.${10 + number}`;
  const flavour = testFlavour();
  if (flavour === "podman") throw new Error("Cannot start a swarm: Podman has none");
  const path = programs(flavour);
  const env = { PATH: path, HOME: dir, TMPDIR: process.env["TMPDIR"] };
  // A process holds the namespaces, also while the Engine does not run.
  const hold = join(dir, "hold");
  writeFileSync(hold, "");
  const holder = new Daemon(
    ["unshare", "--net", "--uts", "sh", "-c", `hostname ${name}; exec tail -f "$0"`, hold],
    join(dir, "hold.log"),
    env,
  );
  await holder.start(() => Promise.resolve(isHeldApart(holder.pid)));
  const inside = [
    "nsenter",
    `--net=/proc/${holder.pid}/ns/net`,
    `--uts=/proc/${holder.pid}/ns/uts`,
  ];
  const [outer, inner] = [`${bridge.slice(0, 12)}v${number}`, `${bridge.slice(0, 12)}w${number}`];
  run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner);
  run("ip", "link", "set", outer, "master", bridge, "up");
  run("ip", "link", "set", inner, "netns", String(holder.pid));
  run(...inside, "ip", "link", "set", inner, "name", "eth0");
  run(...inside, "ip", "link", "set", "lo", "up");
  // No default route: else each task waits for a registry that cannot be reached.
  run(...inside, "ip", "address", "add", `${address}/24`, "dev", "eth0");
  run(...inside, "ip", "link", "set", "eth0", "up");
  const containerd = containerdOf(dir, path, env);
  await containerd.start();
  const socket = join(dir, "docker.sock");
  const daemon = new Daemon(
    [
      ...inside,
      ...daemonCommand(dir, path, containerd.socket),
      `--bip=10.24${number}.0.1/24`,
      `--default-address-pool=base=10.25${number}.0.0/16,size=24`,
    ],
    join(dir, "dockerd.log"),
    env,
  );
  const startDaemon = (): Promise<void> => daemon.start(() => answers(socket));
  await startDaemon();
  const close = async (): Promise<void> => {
    await daemon.stop("SIGKILL");
    await containerd.stop();
    sweep(dir);
  };
  const node = {
    name,
    address,
    socket,
    dockerHost: `unix://${socket}`,
    docker: new Dockerode({ socketPath: socket }),
    inside: inside.slice(0, 2),
    lose: close,
    startDaemon,
    stopDaemon: (signal?: NodeJS.Signals) => daemon.stop(signal),
  };
  return { dir, node, close };
}

/** Whether a process has left the network of this one. */
function isHeldApart(pid: number): boolean {
  const links = [String(pid), "self"].map((each) => run("readlink", `/proc/${each}/ns/net`));
  return links[0] !== links[1];
}

function run(...words: readonly string[]): string {
  const PATH = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
  const { success, stdout, stderr } = Bun.spawnSync([...words], { env: { PATH } });
  if (!success) {
    throw new Error(
      `Cannot make the network of a swarm: "${words.join(" ")}": ${stderr.toString()}`,
    );
  }
  return stdout.toString();
}
