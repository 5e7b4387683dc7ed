// An Engine that is a manager of a swarm: its own containers beside the tasks, and no task twice.

import { beforeEach, expect, test } from "bun:test";
import type { TaskAnswer } from "../../src/docker/swarm/answers.ts";
import type { DockerClient, SwarmWish } from "../../src/docker/client.ts";
import { EngineSource, readOnce } from "../../src/docker/engine.ts";
import type { Container } from "../../src/model.ts";
import { through, useFakeClock } from "../lab/fake-clock.ts";
import { PlayedClient } from "../lab/played-client.ts";
import { listLogger } from "../lab/proxy.ts";
import { asListed } from "./swarm/answers.ts";

const [OWN, REMOTE, PLAIN] = ["a".repeat(64), "b".repeat(64), "c".repeat(64)] as const;
const LABELS = { "com.docker.swarm.task.id": "t1", "gateway.path": "/of-the-container" };
const { signal } = new AbortController();

/** An Engine with a container of its own, one of a task, and a task of another node. */
class PlayedManager extends PlayedClient {
  override readonly swarm: SwarmWish = "auto";
  isManager = true;
  tasks = () => Promise.resolve(asListed([task("t1", OWN, "n1"), task("t2", REMOTE, "n2")]));
  swarmInfo = () =>
    Promise.resolve({ NodeID: "n1", NodeAddr: "192.0.2.1", ControlAvailable: this.isManager });
  services = () =>
    Promise.resolve(
      asListed([{ ID: "s1", Spec: { Name: "shop", Labels: { "gateway.path": "/shop" } } }]),
    );
  nodes = () =>
    Promise.resolve(["n1", "n2"].map((ID) => ({ ID, Status: { State: "ready", Addr: "" } })));
}

function task(id: string, container: string, node: string): TaskAnswer {
  return {
    ID: id,
    Version: { Index: 1 },
    CreatedAt: "2026-01-01T00:00:00Z",
    ServiceID: "s1",
    Slot: Number(id.slice(1)),
    NodeID: node,
    DesiredState: "running",
    Spec: { ContainerSpec: { Image: "acme/shop" } },
    Status: { State: "running", ContainerStatus: { ContainerID: container } },
  };
}

let client: PlayedManager;
let log: string[];

useFakeClock();
beforeEach(() => {
  client = new PlayedManager();
  client.add(PLAIN, { name: "plain" });
  client.add(OWN, { name: "shop.1.t1", labels: LABELS, pid: 4711 });
  log = [];
});

async function read(): Promise<readonly Container[]> {
  const engine: DockerClient = client.asClient;
  return (await through(readOnce(engine, listLogger(log)))).containers;
}

test("tasks are there once, with what this Engine knows of those that it runs", async () => {
  const found = await read();
  expect(found.map(({ id, name, pid, labels }) => [id, name, pid, labels["gateway.path"]])).toEqual(
    [
      [PLAIN, "plain", 0, undefined],
      [OWN, "shop.1", 4711, "/shop"],
      [REMOTE, "shop.2", 0, "/shop"],
    ],
  );
});

test("a task of this Engine whose container is not there has ended, whatever the swarm says", async () => {
  client.containers.delete(OWN);
  expect((await read()).map(({ name }) => name)).toEqual(["plain", "shop.2"]);
});

test("such a task remains, so that its service does not go before the swarm has told what is next", async () => {
  const source = new EngineSource(client.asClient, listLogger(log));
  await through(source.connect(signal));
  await through(source.refresh(signal));
  const remaining = (): boolean[] => [OWN, REMOTE, PLAIN].map((id) => source.remains(id));
  expect(remaining()).toEqual([false, false, false]);
  client.containers.delete(OWN);
  source.markAll();
  await through(source.refresh(signal));
  expect(source.snapshot().containers.map(({ name }) => name)).toEqual(["plain", "shop.2"]);
  expect(remaining()).toEqual([true, false, false]);
});

test("one that is paused gets no requests", async () => {
  client.add(OWN, { name: "shop.1.t1", labels: LABELS, status: "paused" });
  expect((await read())[1]).toMatchObject({ name: "shop.1", state: "paused" });
});

test("a container of a task that the swarm does not tell of is left alone", async () => {
  client.add("d".repeat(64), { name: "shop.9.t9", labels: LABELS });
  expect((await read()).map(({ name }) => name)).toEqual(["plain", "shop.1", "shop.2"]);
});

test("where the Engine is no manager, the containers of its tasks are containers", async () => {
  client.isManager = false;
  const found = await read();
  expect(found.map(({ name, labels }) => [name, labels["gateway.path"]])).toEqual([
    ["plain", undefined],
    ["shop.1.t1", "/of-the-container"],
  ]);
});

test("the same tasks are the same objects at each look", async () => {
  const source = new EngineSource(client.asClient, listLogger(log));
  await through(source.connect(signal));
  await through(source.refresh(signal));
  const before = source.snapshot().containers;
  expect(source.snapshot().containers.every((each, index) => each === before[index])).toBe(true);
  expect(source.isComplete).toBe(true);
});

test("an Engine that says nothing of its swarm holds up the first pass alone, and only for a moment", async () => {
  client.swarmInfo = () => new Promise(() => {});
  const source = new EngineSource(client.asClient, listLogger(log));
  const begun = Date.now();
  await through(source.refresh(signal));
  expect(Date.now() - begun).toBe(500);
  await through(source.refresh(signal));
  expect(Date.now() - begun).toBeLessThan(600);
  // A container that this Engine does not have may be a task of another one.
  expect([source.isComplete, source.learn([REMOTE.slice(0, 12)])]).toEqual([false, false]);
});
