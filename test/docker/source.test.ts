// Containers that the Engine will not tell of: they stay as they were, and only they do.

import { beforeEach, describe, expect, test } from "bun:test";
import { NoAnswer } from "../../src/docker/client.ts";
import { readOnce } from "../../src/docker/engine.ts";
import { DockerSource } from "../../src/docker/source.ts";
import { GatewayError } from "../../src/lib/errors.ts";
import type { Container } from "../../src/model.ts";
import { elapse, through, turn, until, useFakeClock } from "../lab/fake-clock.ts";
import { at } from "../lab/make.ts";
import { PlayedClient } from "../lab/played-client.ts";
import { listLogger } from "../lab/proxy.ts";

const { signal } = new AbortController();
const A = "a".repeat(64);
const B = "b".repeat(64);
const WARNING = `warn: container one (${A.slice(0, 12)}) cannot be read and`;
const AT_FIRST = `${WARNING} is served as Docker's list has it: `;
const LATER = `${WARNING} stays as it was: `;

let client: PlayedClient;
let source: DockerSource;
let log: string[];

useFakeClock();
beforeEach(() => {
  client = new PlayedClient();
  client.add(A, { name: "one", health: "starting", labels: { x: "1" } });
  client.add(B, { name: "two", ip: "172.17.0.3" });
  log = [];
  source = new DockerSource(client.asClient, listLogger(log));
});

const refresh = (): Promise<void> => through(source.refresh(signal));
const read = (id: string): number => client.asked.filter((each) => each === id).length;
const one = (): Container | undefined => source.snapshot().containers.find(({ id }) => id === A);

const LISTED: Partial<Container> = {
  id: A,
  name: "one",
  image: "foo/bar",
  labels: { x: "1" },
  state: "running",
  health: "starting",
  attachments: [at("bridge", "172.17.0.2")],
  exposed: [8000],
};

test("one that hangs on the first pass is what the list says, until it answers", async () => {
  client.hang(A);
  const begun = Date.now();
  await refresh();
  expect(Date.now() - begun).toBeLessThanOrEqual(160);
  expect(
    source
      .snapshot()
      .containers.map(({ name }) => name)
      .toSorted(),
  ).toEqual(["one", "two"]);
  expect(one()).toMatchObject(LISTED);
  expect(log).toEqual([]);
  await elapse(2_000);
  await refresh();
  expect(log).toEqual([`${AT_FIRST}the Engine gives no answer`]);

  client.add(A, { name: "one", health: "healthy", labels: { x: "1" } });
  client.answer(A);
  await turn();
  await refresh();
  expect(one()?.health).toBe("healthy");
  expect(log).toHaveLength(1);
});

test("the others are read at once, and tell when there is more to read", async () => {
  client.hang(A);
  let calls = 0;
  const listener = {
    connected: () => undefined,
    changed: () => (calls += 1),
    started: () => undefined,
    ending: () => undefined,
    ended: () => undefined,
    disconnected: () => undefined,
  };
  const end = new AbortController();
  void source.watch(listener, end.signal);
  await refresh();
  expect(read(B)).toBe(1);
  calls = 0;
  client.answer(A);
  await until(() => calls > 0);
  end.abort();
});

test.each([
  ["running", undefined, { state: "running", health: "none" }],
  ["running", "unhealthy", { state: "running", health: "unhealthy" }],
  ["running", "healthy", { state: "running", health: "healthy" }],
  ["paused", undefined, { state: "paused" }],
  ["restarting", undefined, { state: "restarting" }],
] as const)("what the list says: %s, %s", async (status, health, expected) => {
  client.add(A, { name: "one", status, ...(health === undefined ? {} : { health }) });
  client.failing.set(A, new Error("no"));
  await refresh();
  expect(one()).toMatchObject(expected);
});

test("one that does not live is left out", async () => {
  client.add(A, { name: "one", status: "exited" });
  client.failing.set(A, new Error("no"));
  await refresh();
  expect(one()).toBeUndefined();
});

test("one that fails on the first pass is what the list says too, and told once", async () => {
  client.failing.set(A, new Error("it is broken"));
  const begun = Date.now();
  await refresh();
  expect(Date.now()).toBe(begun);
  expect(one()).toMatchObject(LISTED);
  expect(source.rereadAt).toBe(begun + 1_000);
  await elapse(1_000);
  await refresh();
  await elapse(1_000);
  await refresh();
  expect(log).toEqual([`${AT_FIRST}it is broken`]);

  // Once it was read, the same is news.
  client.failing.clear();
  await elapse(1_000);
  await refresh();
  expect(source.rereadAt).toBeUndefined();
  client.failing.set(A, new Error("it is broken"));
  source.markAll();
  await refresh();
  expect(log.slice(1)).toEqual([`${LATER}it is broken`]);
});

test("one that gives no answer at first keeps its place when it is given up, and is told once", async () => {
  client.hang(A);
  await refresh();
  for (let count = 0; count < 5; count++) {
    await elapse(30_000);
    await refresh();
    client.failing.set(A, new NoAnswer("docker", "Cannot read it: no answer in 30 s"));
    client.answer(A);
    await turn();
    client.hang(A);
    await refresh();
    source.markAll();
    await refresh();
    expect(one()).toMatchObject(LISTED);
  }
  expect(log).toEqual([`${AT_FIRST}the Engine gives no answer`]);
});

/** An event comes every ten seconds, for so many seconds. */
async function pass(seconds: number): Promise<void> {
  for (let time = 0; time < seconds; time += 10) {
    await elapse(10_000);
    source.markAll();
    await refresh();
  }
}

describe("what cannot be read besides containers", () => {
  const [networks, list] = ["/networks", "/containers/json"].map(
    (path) => `Cannot read "${path}" of Docker: it gives no answer`,
  );
  const withoutNetworks =
    "(routes are made without it: a container on a macvlan or ipvlan network may get an address " +
    "that this host cannot reach; trying again)";
  const refused = new GatewayError("docker", "it answered 403", { hint: "allow it" });

  test("is told once and then once an hour, however often it is tried", async () => {
    client.failing.set("networks", refused);
    await refresh();
    await pass(3_590);
    const once = [`warn: it answered 403 ${withoutNetworks}`, "warn:   hint: allow it"];
    expect(log).toEqual(once);
    expect(source.snapshot().containers).toHaveLength(2);
    await pass(10);
    expect(log.slice(2)).toEqual([
      `${once[0]?.slice(0, -1)}; 360 times since)`,
      "warn:   hint: allow it",
    ]);
    client.failing.clear();
    await pass(10);
    expect(log.slice(4)).toEqual(["the networks can be read again"]);
  });

  test("is told as known where it was read before", async () => {
    await refresh();
    client.hang("networks");
    source.markAll();
    await refresh();
    await elapse(2_000);
    await refresh();
    expect(log).toEqual([
      `warn: ${networks} (the networks that are known are used on; trying again)`,
    ]);
  });

  test("is an error while nothing is known, and a warning later", async () => {
    client.hang("list");
    await refresh();
    await elapse(2_000);
    await refresh();
    expect([source.isComplete, log]).toEqual([
      false,
      [
        `error: ${list} (only containers that its events name or that are served already are known; trying again)`,
      ],
    ]);
    client.answer("list");
    await turn();
    await refresh();
    expect([source.isComplete, log[1]]).toEqual([true, "the list of containers can be read again"]);
    client.hang("list");
    source.markAll();
    await refresh();
    await elapse(2_000);
    await refresh();
    expect(log.slice(2)).toEqual([
      `warn: ${list} (containers that are known or that its events name go on changing; trying again)`,
    ]);
  });

  test("fails a single reading, if it is the list", async () => {
    client.failing.set("list", refused);
    const reading = readOnce(client.asClient, listLogger(log));
    expect(await through(reading).catch((error: unknown) => error)).toBe(refused);
    client.failing.set("networks", refused);
    client.failing.delete("list");
    const { containers } = await through(readOnce(client.asClient, listLogger(log)));
    expect([containers.length, log]).toEqual([
      2,
      [`warn: it answered 403 ${withoutNetworks}`, "warn:   hint: allow it"],
    ]);
  });
});

test("one that fails later stays as it was last read", async () => {
  await refresh();
  const before = one();
  client.failing.set(A, new Error("no"));
  client.add(A, { name: "other" });
  source.markAll();
  await refresh();
  expect(one()).toBe(before as Container);
  expect(log).toEqual([`${LATER}no`]);
});

test("how long a change has waited, until it is live", async () => {
  await refresh();
  source.settled();
  source.markAll();
  client.hang(A);
  await refresh();
  await elapse(500);
  client.answer(A);
  await turn();
  await refresh();
  expect(source.waited(A)).toBeGreaterThanOrEqual(500);
  source.settled();
  expect(source.waited(A)).toBeUndefined();
});
