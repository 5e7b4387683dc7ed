// What is known of the Docker host: events against readings that are older or newer, and failures.

import { beforeEach, describe, expect, test } from "bun:test";
import type { DockerEvent } from "../../src/docker/events.ts";
import { Store } from "../../src/docker/store.ts";
import { pause } from "../../src/lib/async.ts";
import { errorMessage } from "../../src/lib/errors.ts";
import { elapse, through, turn, useFakeClock } from "../lab/fake-clock.ts";
import { PlayedClient } from "../lab/played-client.ts";

const { signal } = new AbortController();
const A = "a".repeat(64);
const B = "b".repeat(64);

let client: PlayedClient;
let store: Store;
/** How often it said that there is something to read. */
let calls: number;

useFakeClock();
beforeEach(() => {
  client = new PlayedClient();
  client.add(A, { name: "one" });
  client.add(B, { name: "two", ip: "172.17.0.3" });
  calls = 0;
  store = new Store(client.asClient, () => (calls += 1));
});

/** Reads what is marked. */
const refresh = () => through(store.refresh(signal));

/** Each container that is known: its name, and what it is told or how it is. */
function known(): string[] {
  return store.snapshot().containers.map(({ name, state, health, stopping }) => {
    const end = stopping === 0 ? "" : stopping === 1 ? " dead" : " stopping";
    return `${name} ${state}${health === "none" ? "" : ` ${health}`}${end}`;
  });
}

function happened(action: string, id = A): DockerEvent {
  return { kind: "container", id, action };
}

function told(number: string, id = A): DockerEvent {
  return { kind: "signal", id, signal: number };
}

const read = (id: string): number => client.asked.filter((each) => each === id).length;

test("a container that ran is known as long as Docker has it", async () => {
  client.add(B, { name: "two", status: "exited" });
  await refresh();
  client.add(A, { name: "one", status: "exited" });
  store.note(happened("die"));
  await refresh();
  // The other one had ended before it was read.
  expect([store.remains(A), store.remains(B)]).toEqual([true, false]);
  expect(known()).toEqual([]);
  store.note(happened("start"));
  client.add(A, { name: "one" });
  await refresh();
  expect(store.remains(A)).toBe(false);
  client.add(A, { name: "one", status: "exited" });
  store.note(happened("die"));
  await refresh();
  client.containers.delete(A);
  // Its removal was not told of.
  store.markAll();
  await refresh();
  expect(store.remains(A)).toBe(false);
});

test("everything is read at first, then what an event is about", async () => {
  await refresh();
  expect(client.asked).toEqual(["networks", "list", A, B]);
  expect(known()).toEqual(["one running", "two running"]);
  expect(store.snapshot()).toMatchObject({
    drivers: { bridge: "bridge" },
    gateways: ["172.17.0.1"],
  });
  store.note(happened("pause"));
  client.add(A, { name: "one", status: "paused" });
  await refresh();
  expect(client.asked.slice(4)).toEqual([A]);
  expect(known()).toEqual(["one paused", "two running"]);
});

test("the first reading waits as long as answers come, and then takes nothing from the list", async () => {
  const answer = client.inspect.bind(client);
  client.inspect = async (id) => {
    await pause(1_500);
    return answer(id);
  };
  for (let number = 0; number < 18; number++) {
    client.add(String(number).padStart(64, "0"), { name: `more-${number}` });
  }
  store.markAll();
  const { unanswered } = await refresh();
  expect(unanswered).toEqual([]);
  expect(client.asked.filter((what) => what.length === 64)).toHaveLength(20);
  expect(known()).toHaveLength(20);
});

test("an unchanged container is the same object in each snapshot", async () => {
  await refresh();
  const [one, two] = store.snapshot().containers;
  store.note(happened("rename"));
  client.add(A, { name: "uno" });
  await refresh();
  const after = store.snapshot().containers;
  expect(after[0]).not.toBe(one as never);
  expect(after[1]).toBe(two as never);
  expect(store.snapshot().containers[0]).toBe(after[0] as never);
});

describe("an event and what is read", () => {
  /** `now`: its state and its health from now on; empty where it is gone. */
  type Step = "refresh" | DockerEvent | { readonly now: string };
  const gone: Step = { now: "" };
  const runs: Step = { now: "running" };

  test.each<[string, Step[], string[]]>([
    ["start, and it is read", [gone, "refresh", runs, happened("start"), "refresh"], ["running"]],
    ["die: dead until it is read", [happened("die")], ["running dead"]],
    ["died, as podman says it", [happened("died")], ["running dead"]],
    ["die, and it is read as gone", [happened("die"), gone, "refresh"], []],
    ["die, and it was started again", [happened("die"), "refresh"], ["running"]],
    ["die and start: nothing is dead", [happened("die"), happened("start")], ["running"]],
    [
      "a restart",
      [happened("die"), happened("start"), happened("restart"), "refresh"],
      ["running"],
    ],
    ["start and die: it is dead", [happened("start"), happened("die")], ["running dead"]],
    ["kill", [told("15")], ["running stopping"]],
    ["kill, read as still there", [told("15"), happened("pause"), "refresh"], ["running stopping"]],
    ["kill and die", [told("15"), happened("die")], ["running dead"]],
    ["kill, die, read", [told("15"), happened("die"), gone, "refresh"], []],
    ["kill and start: it was told before", [told("15"), happened("start")], ["running"]],
    ["a signal that ends nothing", [told("1")], ["running"]],
    ["a word that is no signal", [told("nonsense")], ["running"]],
    ["kill 9", [told("SIGKILL")], ["running stopping"]],
    ["kill of one that nobody knows", [told("15", "c".repeat(64))], ["running"]],
    [
      "health",
      [{ now: "running healthy" }, happened("health_status: healthy"), "refresh"],
      ["running healthy"],
    ],
  ])("%s", async (_, steps, expected) => {
    client.containers.delete(B);
    await refresh();
    for (const step of steps) {
      if (step === "refresh") await refresh();
      else if ("kind" in step) store.note(step);
      else if (step.now === "") client.containers.delete(A);
      else {
        const [status = "", health] = step.now.split(" ");
        client.add(A, { name: "one", status, ...(health === undefined ? {} : { health }) });
      }
    }
    expect(known()).toEqual(expected.map((state) => `one ${state}`));
  });

  /** A reading that is under way while something happens, and what it gives then. */
  async function whileRead(events: readonly DockerEvent[], found: string): Promise<void> {
    client.containers.delete(B);
    await refresh();
    client.hang(A);
    store.note(happened("update"));
    await refresh();
    for (const event of events) store.note(event);
    if (found === "") client.containers.delete(A);
    else client.add(A, { name: "one", status: found });
    client.answer(A);
    await turn();
    client.hang(A);
    await refresh();
  }

  test.each<[string, DockerEvent[], string, string[]]>([
    ["die: what was read is older, it stays dead", [happened("die")], "running", ["running dead"]],
    ["die, and what was read knows it", [happened("die")], "", []],
    ["start: that it was gone is older, it stays", [happened("start")], "", ["running"]],
    ["die and start: it stays", [happened("die"), happened("start")], "exited", ["running"]],
    ["kill: it is stopping still", [told("15")], "running", ["running stopping"]],
    ["health: what was read is taken", [happened("health_status")], "paused", ["paused"]],
  ])("an event during a reading: %s", async (_, events, found, expected) => {
    await whileRead(events, found);
    expect(known()).toEqual(expected.map((state) => `one ${state}`));
    client.answer(A);
  });

  test("and it is read again, which tells what is true", async () => {
    await whileRead([happened("die")], "running");
    client.answer(A);
    await turn();
    await refresh();
    expect(known()).toEqual(["one running"]);
  });
});

describe("who ends", () => {
  test.each<[string, DockerEvent, "ended" | "told" | "neither"]>([
    ["die", happened("die"), "ended"],
    ["died", happened("died"), "ended"],
    ["kill 15", told("15"), "told"],
    ["kill TERM", told("TERM"), "told"],
    ["its own signal", told("SIGQUIT"), "told"],
    ["another signal", told("SIGHUP"), "neither"],
    ["start", happened("start"), "neither"],
    ["pause", happened("pause"), "neither"],
    ["the networks", { kind: "networks" }, "neither"],
  ])("%s", async (_, event, what) => {
    client.add(A, { name: "one", stopSignal: "SIGQUIT" });
    await refresh();
    const ends = what !== "neither";
    expect(store.note(event)).toEqual(ends ? { id: A, hasEnded: what === "ended" } : undefined);
    expect([store.isEnding(A), store.isEnding(B)]).toEqual([ends, false]);
  });

  test("no two are told so at the same time", async () => {
    await refresh();
    store.note(told("15", B));
    store.note(told("15", A));
    const [one, two] = store.snapshot().containers;
    expect((one?.stopping ?? 0) - (two?.stopping ?? 0)).toBe(1);
    // The first signal counts.
    await elapse(1_000);
    store.note(told("9", A));
    expect(store.snapshot().containers[0]?.stopping).toBe(one?.stopping as number);
  });
});

test("a stop that is survived is read again after its stop time, and not before", async () => {
  client.add(A, { name: "one", stopTimeout: 3 });
  await refresh();
  const before = read(A);
  const at = Date.now();
  store.note(told("15"));
  expect(store.rereadAt).toBe(at + 4_000);
  await elapse(3_999);
  await refresh();
  expect([read(A), known()[0]]).toEqual([before, "one running stopping"]);
  await elapse(1);
  await refresh();
  expect([read(A), known()[0]]).toEqual([before + 1, "one running"]);
  expect(store.rereadAt).toBeUndefined();
});

test("after a health event it is read once more, as podman notes the outcome later", async () => {
  await refresh();
  store.note(happened("health_status"));
  const at = Date.now();
  expect(store.rereadAt).toBe(at + 300);
  await refresh();
  client.add(A, { name: "one", health: "healthy" });
  expect(store.rereadAt).toBe(at + 300);
  await elapse(300);
  await refresh();
  expect(known()[0]).toBe("one running healthy");
});

describe("the networks", () => {
  test("that cannot be read fail the pass, and are read at the next", async () => {
    await refresh();
    client.networks = { bridge: "bridge", more: "macvlan" };
    client.failing.set("networks", new Error("no networks"));
    store.note({ kind: "networks" });
    expect(await refresh().catch(errorMessage)).toBe("no networks");
    expect(Object.keys(store.snapshot().drivers)).toEqual(["bridge"]);
    client.failing.clear();
    await refresh();
    expect(store.snapshot().drivers).toEqual({ bridge: "bridge", more: "macvlan" });
    const asked = client.asked.length;
    await refresh();
    expect(client.asked).toHaveLength(asked);
  });

  test("that nobody told of are read when a container is on one", async () => {
    await refresh();
    client.networks = { bridge: "bridge", more: "macvlan" };
    client.add(A, { name: "one", networks: ["bridge", "more"] });
    store.note(happened("connect"));
    await refresh();
    expect(store.snapshot().drivers["more"]).toBe("macvlan");
  });

  test("a list that cannot be read is read at the next pass too", async () => {
    client.failing.set("list", new Error("no list"));
    expect(await refresh().catch(errorMessage)).toBe("no list");
    client.failing.clear();
    await refresh();
    expect(known()).toHaveLength(2);
  });
});

test("what the list has no more is read, too: it may be that it lags behind", async () => {
  await refresh();
  client.containers.delete(B);
  store.markAll();
  await refresh();
  expect(client.asked.slice(-2)).toEqual([A, B]);
  expect(known()).toEqual(["one running"]);
});

test("one that the Engine holds back delays the others by no more than 20 ms", async () => {
  await refresh();
  client.hang(A);
  const begun = Date.now();
  store.note(happened("start", A));
  store.note(happened("pause", B));
  client.add(B, { name: "two", status: "paused" });
  await refresh();
  expect(Date.now() - begun).toBeLessThanOrEqual(30);
  expect(known()).toEqual(["one running", "two paused"]);
  calls = 0;
  client.add(A, { name: "one", status: "paused" });
  client.answer(A);
  await turn();
  expect(calls).toBe(1);
  await refresh();
  expect(known()).toEqual(["one paused", "two paused"]);
});

test("one that cannot be read is read again after 1 s, and not at every event", async () => {
  client.failing.set(A, new Error("no"));
  await refresh();
  for (let events = 0; events < 10; events++) {
    await elapse(50);
    store.note(happened("update", B));
    await refresh();
  }
  expect([read(A), read(B)]).toEqual([1, 11]);
  await elapse(499);
  await refresh();
  expect(read(A)).toBe(1);
  await elapse(1);
  await refresh();
  expect(read(A)).toBe(2);
  // An event about itself is another matter.
  store.note(happened("start"));
  client.failing.clear();
  await refresh();
  expect([read(A), store.rereadAt]).toEqual([3, undefined]);
});

test("what was marked first is when it was noticed", async () => {
  await refresh();
  const at = Date.now();
  store.note(happened("pause"));
  await elapse(15);
  store.note(happened("unpause"));
  const { marks } = await refresh();
  expect([...marks]).toEqual([[A, at]]);
});

test("what ended late is taken first, and what is marked besides is for the next pass", async () => {
  await refresh();
  client.hang(A);
  store.note(happened("update", A));
  await refresh();
  const late = Date.now();
  store.note(happened("update", A));
  client.answer(A);
  await turn();
  store.note(happened("pause", B));
  calls = 0;
  const { marks } = await refresh();
  expect([[...marks], read(B), calls]).toEqual([[[A, late]], 1, 1]);
  await refresh();
  expect([read(A), read(B)]).toEqual([3, 2]);
});
