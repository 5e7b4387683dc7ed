// Makes, changes and removes services of a real swarm, without the code under test.

import type Dockerode from "dockerode";
import { eventually } from "../lab/http.ts";
import type { Swarm, SwarmNode } from "../lab/swarm.ts";

export interface ServiceOptions {
  image: string;
  /** How many tasks it has; one on each node if it is left out. */
  replicas?: number;
  /** Those of the service, as `deploy.labels` of a stack. */
  labels?: Record<string, string>;
  /** Those of its containers. */
  containerLabels?: Record<string, string>;
  /** The names of its networks. */
  networks?: string[];
  /** The port of each node, or of the routing mesh, by that of the task. */
  ports?: { target: number; published: number; mode: "host" | "ingress" }[];
  /** How long a task serves on after it was told to end, in milliseconds. */
  graceMs?: number;
  order?: "start-first" | "stop-first";
  env?: string[];
  /** A job ends by itself. */
  isJob?: boolean;
  /** On which nodes its tasks may be, such as `node.role==worker`. */
  constraint?: string;
  /** What runs in its containers instead of the server of the lab. */
  command?: string[];
}

/** How long services take to become what they should be, in milliseconds. */
const SETTLE_MS = 60_000;

/** Makes a service. It may take a moment until its tasks run. */
export async function createService(
  { manager: { docker } }: Swarm,
  name: string,
  options: ServiceOptions,
): Promise<Dockerode.Service> {
  const { id } = (await docker.createService(await specOf(docker, name, options))) as unknown as {
    id: string;
  };
  return docker.getService(id);
}

/** Changes a service: what is left out is as it is when a service is made. */
export async function updateService(
  { manager: { docker } }: Swarm,
  service: Dockerode.Service,
  name: string,
  options: ServiceOptions,
): Promise<void> {
  const { Version } = (await service.inspect()) as { Version: { Index: number } };
  await service.update({ version: Version.Index, ...(await specOf(docker, name, options)) });
}

/** Drains a node, or lets it have tasks again. */
export async function setAvailability(
  { manager: { docker } }: Swarm,
  { id }: SwarmNode,
  availability: "active" | "drain",
): Promise<void> {
  const node = docker.getNode(id);
  const { Version, Spec } = (await node.inspect()) as { Version: { Index: number }; Spec: object };
  await node.update({ version: Version.Index, ...Spec, Availability: availability });
}

/** Waits until the update of a service is over. */
export async function updated(service: Dockerode.Service): Promise<void> {
  await eventually(
    async () => {
      const { UpdateStatus } = (await service.inspect()) as { UpdateStatus?: { State: string } };
      if (UpdateStatus?.State !== "completed") throw new Error(`it is ${UpdateStatus?.State}`);
    },
    { timeoutMs: SETTLE_MS },
  );
}

/** The names of the tasks of a service that run and are to, sorted: as their applications tell them. */
export async function tasksOf({ manager: { docker } }: Swarm, service: string): Promise<string[]> {
  const filters = JSON.stringify({ service: [service], "desired-state": ["running"] });
  const tasks = (await docker.listTasks({ filters })) as {
    ID: string;
    Slot?: number;
    NodeID: string;
    Status: { State: string };
  }[];
  return tasks
    .filter(({ Status }) => Status.State === "running")
    .map(({ ID, Slot, NodeID }) => `${service}.${Slot ?? NodeID}.${ID}`)
    .toSorted();
}

/** Waits until so many tasks of a service run. */
export async function running(swarm: Swarm, service: string, count: number): Promise<string[]> {
  return eventually(
    async () => {
      const names = await tasksOf(swarm, service);
      if (names.length !== count) throw new Error(`${names.length} tasks of ${service} run`);
      return names;
    },
    { timeoutMs: SETTLE_MS },
  );
}

/** Removes all services, and waits until none of their containers is left. */
export async function removeServices({ manager: { docker }, nodes }: Swarm): Promise<void> {
  for (const { ID } of await docker.listServices()) await docker.getService(ID).remove();
  for (const node of nodes) {
    await eventually(
      async () => {
        const label = ["com.docker.swarm.task"];
        const left = await node.docker.listContainers({ all: true, filters: { label } });
        await Promise.all(
          left.map(({ Id }) => node.docker.getContainer(Id).remove({ force: true }).catch(ignore)),
        );
        if (left.length > 0) throw new Error(`${node.name} has ${left.length} containers left`);
      },
      { timeoutMs: SETTLE_MS },
    );
  }
}

/** The swarm may remove it at the same time. */
function ignore(): void {}

async function specOf(docker: Dockerode, name: string, options: ServiceOptions): Promise<object> {
  const { image, replicas, labels = {}, networks = [], ports = [], env = [] } = options;
  const { graceMs = 0, order = "stop-first", isJob = false } = options;
  const known = await docker.listNetworks();
  const idOf = (network: string): string => {
    const found = known.find(({ Name }) => Name === network);
    if (found === undefined) throw new Error(`there is no network "${network}"`);
    return found.Id;
  };
  const mode = isJob
    ? { ReplicatedJob: { MaxConcurrent: replicas, TotalCompletions: replicas } }
    : replicas === undefined
      ? { Global: {} }
      : { Replicated: { Replicas: replicas } };
  return {
    Name: name,
    Labels: labels,
    TaskTemplate: {
      ContainerSpec: {
        Image: image,
        Labels: options.containerLabels ?? {},
        ...(options.command && { Command: options.command }),
        // The name with which an application answers is that of its task.
        Env: ["LAB_NAME={{.Task.Name}}", `LAB_GRACE_MS=${graceMs}`, ...env],
      },
      Placement: { Constraints: options.constraint === undefined ? [] : [options.constraint] },
      Networks: networks.map((network) => ({ Target: idOf(network) })),
      RestartPolicy: { Condition: isJob ? "none" : "any", Delay: 100e6 },
    },
    Mode: mode,
    ...(isJob ? {} : { UpdateConfig: { Parallelism: 1, Delay: 0, Order: order, Monitor: 1e9 } }),
    EndpointSpec: {
      Mode: ports.some((port) => port.mode === "ingress") ? "vip" : "dnsrr",
      Ports: ports.map((port) => ({
        Protocol: "tcp",
        TargetPort: port.target,
        PublishedPort: port.published,
        PublishMode: port.mode,
      })),
    },
  };
}
