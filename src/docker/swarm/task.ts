// Turns a task of a swarm into what the router takes for a container. It only computes.

import type { Attachment, Container, PublishedPort } from "../../model.ts";
import { toEnvironment } from "../container.ts";
import type { NodeAnswer, PortAnswer, ServiceAnswer, SwarmInfo, TaskAnswer } from "./answers.ts";

const SERVICE_NAME = "com.docker.swarm.service.name";

/** Docker's default for the time from the signal until it kills a task, in nanoseconds. */
const DEFAULT_GRACE = 10e9;

/** What a task is said by besides itself. */
export interface TaskContext {
  readonly service: ServiceAnswer;
  /** The node where it runs; undefined if the swarm has it no more. */
  readonly node: NodeAnswer | undefined;
  /** The Engine that is asked. */
  readonly own: SwarmInfo;
  /** When it was noticed that it is to end, in milliseconds since 1970; 0: it is not. */
  readonly stopping: number;
  /**
   * What its container published when it was last told. A new leader of the managers does not know that at first, and it
   * stays as long as the container runs.
   */
  readonly published: readonly PublishedPort[];
}

/** What is to be known of every task, whether it has changed or not. */
export interface Brief {
  readonly id: string;
  /** Another one after every change of it. */
  readonly version: number;
  /** Empty for what joins a container to a network. */
  readonly serviceId: string;
  readonly nodeId: string;
  /** The ID of its container, which is its ID for all who are not the swarm; empty: there is none yet. */
  readonly containerId: string;
  readonly state: string;
  /** Whether it runs, as far as its node has told. */
  readonly runs: boolean;
  /** Whether the swarm wants it to run. Those of jobs are to complete. */
  readonly isWanted: boolean;
}

/** What is to be known of a task. */
export function briefOf(task: TaskAnswer): Brief {
  const { ID: id, Version, ServiceID: serviceId = "", NodeID: nodeId = "", DesiredState } = task;
  const { State: state } = task.Status;
  const containerId = containerIdOf(task);
  const isContainer = serviceId !== "" && task.Spec.ContainerSpec !== undefined;
  return {
    id,
    version: Version.Index,
    serviceId,
    nodeId,
    containerId,
    state,
    runs: isContainer && state === "running" && containerId !== "",
    isWanted: DesiredState === "running" || DesiredState === "complete",
  };
}

function containerIdOf({ Status }: TaskAnswer): string {
  return Status.ContainerStatus?.ContainerID ?? "";
}

/** Describes a task that runs. */
export function taskToContainer(task: TaskAnswer, context: TaskContext): Container {
  const { service, node, own, stopping } = context;
  const spec = task.Spec.ContainerSpec;
  const published = publishedPorts(task, context);
  const place = task.Slot ?? node?.Description?.Hostname ?? task.NodeID ?? "";
  return {
    id: containerIdOf(task),
    name: `${service.Spec.Name}.${place}`,
    image: withoutDigest(spec?.Image ?? ""),
    imageId: "",
    created: Date.parse(task.CreatedAt),
    labels: { ...spec?.Labels, ...service.Spec.Labels, [SERVICE_NAME]: service.Spec.Name },
    environment: toEnvironment(spec?.Env),
    state: "running",
    // A task with a HEALTHCHECK runs, for the swarm, once it is healthy, and is ended if it is not any more.
    health: "none",
    stopping,
    stopTimeout: (spec?.StopGracePeriod ?? DEFAULT_GRACE) / 1e6,
    networkMode: "default",
    attachments: attachmentsOf(task),
    exposed: [...new Set(published.map(({ target }) => target))].toSorted((a, b) => a - b),
    pid: 0,
    // It never runs a second time: another task comes in its place.
    startedAt: task.CreatedAt,
    task: {
      serviceId: service.ID,
      service: service.Spec.Name,
      isLocal: task.NodeID === own.NodeID,
      published,
    },
  };
}

/** The swarm adds to an image which one it was when the service was created. */
function withoutDigest(image: string): string {
  return image.replace(/@sha256:[0-9a-f]+$/, "");
}

/** The addresses in its networks. What the routing mesh has for itself is none of them. */
function attachmentsOf({ NetworksAttachments }: TaskAnswer): Attachment[] {
  return (NetworksAttachments ?? [])
    .filter(({ Network }) => Network.Spec.Ingress !== true)
    .map(({ Network, Addresses }) => {
      const addresses = (Addresses ?? []).map((each) => each.replace(/\/.*$/, ""));
      return {
        network: Network.Spec.Name,
        ipv4: addresses.find((each) => !each.includes(":")) ?? "",
        ipv6: addresses.find((each) => each.includes(":")) ?? "",
      };
    })
    .toSorted((a, b) => (a.network < b.network ? -1 : 1));
}

/** Its ports of TCP that others reach: on its node, and by the routing mesh on the node that is asked. */
function publishedPorts(
  task: TaskAnswer,
  { service, node, own, published: known }: TaskContext,
): PublishedPort[] {
  const told = toPublished("host", task.Status.PortStatus?.Ports, addressOf(node));
  const found = [
    ...(told.length > 0 ? told : known.filter(({ mode }) => mode === "host")),
    ...toPublished("ingress", service.Endpoint?.Ports, own.NodeAddr),
  ];
  // The Engine names each port once for IPv4 and once for IPv6.
  const byText = new Map(found.map((each) => [JSON.stringify(each), each]));
  return [...byText.values()].toSorted((a, b) => a.target - b.target || a.port - b.port);
}

function toPublished(
  mode: PublishedPort["mode"],
  ports: readonly PortAnswer[] | null | undefined,
  address: string,
): PublishedPort[] {
  if (address === "") return [];
  return (ports ?? [])
    .filter((port) => port.PublishMode === mode && (port.Protocol ?? "tcp") === "tcp")
    .map(({ TargetPort: target = 0, PublishedPort: port = 0 }) => ({ mode, address, target, port }))
    .filter(({ target, port }) => target > 0 && port > 0);
}

/** The address of a node. A manager may know its own only as one that means any. */
function addressOf(node: NodeAnswer | undefined): string {
  const told = node?.Status.Addr ?? "";
  if (told !== "" && told !== "0.0.0.0" && told !== "::" && told !== "127.0.0.1") return told;
  return (node?.ManagerStatus?.Addr ?? "").replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
}
