// A task as the router takes it: from what real managers answered, and from answers that are changed.

import { describe, expect, test } from "bun:test";
import type { NodeAnswer, TaskAnswer } from "../../../src/docker/swarm/answers.ts";
import { briefOf, taskToContainer } from "../../../src/docker/swarm/task.ts";
import type { Container, PublishedPort } from "../../../src/model.ts";
import { recorded } from "./answers.ts";

const { swarm: own, services, nodes, tasks } = await recorded("docker-20.10");

/** The task of a service at a slot. */
function taskOf(name: string, slot = 1): TaskAnswer {
  const service = services.find(({ Spec }) => Spec.Name === name);
  const found = tasks.find(({ ServiceID, Slot }) => ServiceID === service?.ID && Slot === slot);
  if (found === undefined) throw new Error(`no task ${name}.${slot} was recorded`);
  return found;
}

interface Change {
  readonly task?: object;
  readonly spec?: object;
  readonly service?: object;
  readonly serviceSpec?: object;
  readonly node?: Partial<NodeAnswer> | "gone";
  readonly published?: readonly PublishedPort[];
}

function made(name: string, change: Change = {}, stopping = 0): Container {
  const task = taskOf(name);
  const changed = {
    ...task,
    Spec: { ...task.Spec, ContainerSpec: { ...task.Spec.ContainerSpec, ...change.spec } },
    ...change.task,
  } as TaskAnswer;
  const service = services.find(({ ID }) => ID === task.ServiceID);
  const node = nodes.find(({ ID }) => ID === task.NodeID);
  if (service === undefined || node === undefined) throw new Error("that was not recorded");
  return taskToContainer(changed, {
    service: { ...service, ...change.service, Spec: { ...service.Spec, ...change.serviceSpec } },
    node: change.node === "gone" ? undefined : { ...node, ...change.node },
    own,
    stopping,
    published: change.published ?? [],
  });
}

describe("as recorded", () => {
  test("a task with a port of its node", () => {
    const task = taskOf("shop");
    const node = nodes.find(({ ID }) => ID === task.NodeID);
    expect(made("shop")).toEqual({
      id: task.Status.ContainerStatus?.ContainerID ?? "",
      name: "shop.1",
      image: "acme/shop:1.0",
      imageId: "",
      created: Date.parse(task.CreatedAt),
      labels: { a: "b", "gateway.path": "/shop", "com.docker.swarm.service.name": "shop" },
      environment: {},
      state: "running",
      health: "none",
      stopping: 0,
      stopTimeout: 10_000,
      networkMode: "default",
      attachments: [{ network: "backend", ipv4: "10.66.1.2", ipv6: "" }],
      exposed: [8000],
      pid: 0,
      startedAt: task.CreatedAt,
      task: {
        serviceId: task.ServiceID ?? "",
        service: "shop",
        isLocal: task.NodeID === own.NodeID,
        published: [{ mode: "host", address: node?.Status.Addr ?? "", target: 8000, port: 18_000 }],
      },
    });
  });

  test("a task behind the routing mesh: its network is none that others are on", () => {
    const { attachments, exposed, task } = made("mesh");
    expect([attachments, exposed]).toEqual([[], [8000]]);
    expect(task?.published).toEqual([
      { mode: "ingress", address: own.NodeAddr, target: 8000, port: 18_001 },
    ]);
  });

  test("all run, and are to run", () => {
    expect(tasks.map(briefOf)).toEqual(
      tasks.map((task) => ({
        id: task.ID,
        version: task.Version.Index,
        serviceId: task.ServiceID ?? "",
        nodeId: task.NodeID ?? "",
        containerId: task.Status.ContainerStatus?.ContainerID ?? "",
        state: "running",
        runs: true,
        isWanted: true,
      })),
    );
  });
});

test("the tasks of Docker 28 are told in the same way", async () => {
  const answers = await recorded("docker-28");
  const found = answers.tasks
    .filter((task) => briefOf(task).runs)
    .map((task) => {
      const service = answers.services.find(({ ID }) => ID === task.ServiceID);
      const node = answers.nodes.find(({ ID }) => ID === task.NodeID);
      if (service === undefined) throw new Error("its service was not recorded");
      return taskToContainer(task, {
        service,
        node,
        own: answers.swarm,
        stopping: 0,
        published: [],
      });
    });
  expect(
    found
      .map(({ name, image, attachments }) => `${name} ${image} ${attachments[0]?.network}`)
      .toSorted(),
  ).toEqual(["shop.1", "shop.2", "shop.3"].map((name) => `${name} acme/shop:1.0 backend`));
});

test.each<[string, object, boolean, boolean]>([
  ["one that is to end", { DesiredState: "shutdown" }, true, false],
  ["one of a service that is removed", { DesiredState: "remove" }, true, false],
  ["one of a job", { DesiredState: "complete" }, true, true],
  [
    "one that waits for its turn",
    { DesiredState: "ready", Status: { State: "ready" } },
    false,
    false,
  ],
  [
    "one that comes up",
    { Status: { State: "starting", ContainerStatus: { ContainerID: "1" } } },
    false,
    true,
  ],
  ["one that nobody has begun", { Status: { State: "pending" } }, false, true],
  [
    "one that has failed",
    { Status: { State: "failed", ContainerStatus: { ContainerID: "1" } } },
    false,
    true,
  ],
  ["what joins a container to a network", { ServiceID: "", Spec: {} }, false, true],
])("%s", (_, change, doesRun, wanted) => {
  const task = { ...taskOf("shop"), ...change } as TaskAnswer;
  expect(briefOf(task)).toMatchObject({ runs: doesRun, isWanted: wanted });
});

test.each<[string, Change, Partial<Container>]>([
  [
    "the image has no digest, as nobody gave it",
    { spec: { Image: `acme/shop:1.0@sha256:${"a1".repeat(32)}` } },
    { image: "acme/shop:1.0" },
  ],
  [
    "the labels of the service come first",
    {
      spec: { Labels: { x: "container", y: "container" } },
      serviceSpec: { Labels: { x: "service" } },
    },
    { labels: { x: "service", y: "container", "com.docker.swarm.service.name": "shop" } },
  ],
  [
    "no labels at all",
    { spec: { Labels: null }, serviceSpec: { Labels: null } },
    { labels: { "com.docker.swarm.service.name": "shop" } },
  ],
  [
    "of the environment only what says how it is served",
    { spec: { Env: ["VIRTUAL_HOST=shop.example.com", "PASSWORD=secret"] } },
    { environment: { VIRTUAL_HOST: "shop.example.com" } },
  ],
  ["its time to end", { spec: { StopGracePeriod: 30e9 } }, { stopTimeout: 30_000 }],
  [
    "a task of a global service has the name of its node",
    { task: { Slot: undefined }, node: { Description: { Hostname: "node7" } } },
    { name: "shop.node7" },
  ],
  ["a node that is gone", { node: "gone" }, { exposed: [] }],
])("%s", (_, change, expected) => {
  expect(made("shop", change)).toMatchObject(expected);
});

test.each<[string, Partial<NodeAnswer>, string | undefined]>([
  ["its address", { Status: { State: "ready", Addr: "192.0.2.7" } }, "192.0.2.7"],
  [
    "a manager that does not know its own",
    { Status: { State: "ready", Addr: "0.0.0.0" }, ManagerStatus: { Addr: "192.0.2.8:2377" } },
    "192.0.2.8",
  ],
  [
    "the same with IPv6",
    { Status: { State: "ready", Addr: "127.0.0.1" }, ManagerStatus: { Addr: "[fd00::8]:2377" } },
    "fd00::8",
  ],
  ["none", { Status: { State: "ready" } }, undefined],
])("the address of a node: %s", (_, change, expected) => {
  const node = { ManagerStatus: {}, ...change };
  expect(made("shop", { node }).task?.published[0]?.address).toBe(expected as string);
});

test("what a container published stays while a new leader of the managers does not know it", () => {
  const { Status } = taskOf("shop");
  const published = made("shop").task?.published ?? [];
  expect(published).not.toEqual([]);
  const task = { Status: { ...Status, PortStatus: {} } };
  const node = { ManagerStatus: {}, Status: { State: "unknown" } };
  for (const change of [{ task }, { node }, { task, node }]) {
    expect(made("shop", { ...change, published })).toEqual(made("shop"));
    expect(made("shop", change).task?.published).toEqual([]);
  }
});

test("UDP is no port to be served at, and IPv6 addresses are known", () => {
  const ports = [
    { Protocol: "udp", TargetPort: 53, PublishedPort: 53, PublishMode: "host" },
    { Protocol: "tcp", TargetPort: 80, PublishedPort: 32_768, PublishMode: "host" },
  ];
  const { Status } = taskOf("shop");
  const { exposed, attachments } = made("shop", {
    task: {
      Status: { ...Status, PortStatus: { Ports: ports } },
      NetworksAttachments: [
        { Network: { Spec: { Name: "b" } }, Addresses: ["10.0.2.3/24", "fd00:2::3/64"] },
        { Network: { Spec: { Name: "a" } }, Addresses: null },
      ],
    },
  });
  expect(exposed).toEqual([80]);
  expect(attachments).toEqual([
    { network: "a", ipv4: "", ipv6: "" },
    { network: "b", ipv4: "10.0.2.3", ipv6: "fd00:2::3" },
  ]);
});
