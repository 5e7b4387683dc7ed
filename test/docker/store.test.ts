// What is known of the Docker host: events against readings that are older or newer, and failures.

import { afterEach, beforeEach, describe, expect, jest, spyOn, test } from "bun:test";
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
/** What it said of the list and the networks. */
let said: string[];

useFakeClock();
afterEach(() => jest.restoreAllMocks());
beforeEach(() => {
  // No delay is longer than it says.
  spyOn(Math, "random").mockReturnValue(0);
  client = new PlayedClient();
  client.add(A, { name: "one" });
  client.add(B, { name: "two", ip: "172.17.0.3" });
  calls = 0;
  said = [];
  store = new Store(client.asClient, {
    changed: () => (calls += 1),
    failed: (part, error) =>
      said.push(`${part}: ${error === undefined ? "no answer" : errorMessage(error)}`),
    worked: (part) => {
      if (said.some((each) => each.startsWith(part))) said.push(`${part} works`);
    },
  });
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

test("the container of a task of a swarm never runs again", async () => {
  client.add(A, { name: "shop.1", labels: { "com.docker.swarm.task.id": "t1" } });
  await refresh();
  client.add(A, { name: "shop.1", status: "exited" });
  store.note(happened("die"));
  await refresh();
  expect(store.remains(A)).toBe(false);
});

test("what is about to start is read at once, and once", async () => {
  await refresh();
  client.asked.length = 0;
  for (const action of ["create", "start"]) {
    const event = happened(action);
    store.note(event);
    store.readAhead(event, signal);
    expect(read(A)).toBe(1);
    await refresh();
    await refresh();
    expect(read(A)).toBe(1);
    client.asked.length = 0;
  }
  const rename = happened("rename");
  store.note(rename);
  store.readAhead(rename, signal);
  expect(client.asked).toEqual([]);
});

test("where everything is read again, one that was read before leaves out no other", async () => {
  await refresh();
  // Nobody told of its end.
  client.add(B, { name: "two", status: "exited" });
  store.markAll();
  const start = happened("start");
  store.note(start);
  store.readAhead(start, signal);
  for (let turns = 0; turns < 10; turns++) await turn();
  await refresh();
  expect(known()).toEqual(["one running"]);
});

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
  expect(client.asked).toEqual(["list", "networks", A, B]);
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

/** Every container takes so long to be read, in milliseconds, and so does the list. */
function takes(inspecting: number, listing: number): void {
  const inspect = client.inspect.bind(client);
  client.inspect = async (id) => {
    await pause(inspecting);
    return inspect(id);
  };
  const list = client.listContainers.bind(client);
  client.listContainers = async () => {
    await pause(listing);
    return list();
  };
}

function addMore(count: number): void {
  for (let number = 0; number < count; number++) {
    client.add(String(number).padStart(64, "0"), { name: `more-${number}` });
  }
}

describe("the first reading", () => {
  test.each<[string, number, number]>([
    ["of a quick Engine", 30, 2],
    ["of a slow one", 300, 90],
    ["of a very slow one", 1_500, 1_000],
  ])("%s waits as long as answers come", async (_, inspecting, listing) => {
    addMore(18);
    takes(inspecting, listing);
    await refresh();
    await elapse(listing);
    await refresh();
    expect(known()).toHaveLength(20);
    const isFromList = Array.from(client.containers.keys(), (id) => store.isFromList(id));
    expect(isFromList).not.toContain(true);
  });

  test.each([1, 5])("waits no longer than 160 ms for %d that give no answer", async (count) => {
    addMore(18);
    const stuck = [...client.containers.keys()].slice(0, count);
    for (const id of stuck) client.hang(id);
    const begun = Date.now();
    await refresh();
    expect(Date.now() - begun).toBeLessThanOrEqual(160);
    expect(known()).toHaveLength(20);
    expect([...client.containers.keys()].filter((id) => store.isFromList(id))).toEqual(stuck);
  });

  test("waits 2 s for one whose image the list does not name: it would lose its route", async () => {
    const stuck = { name: "one", image: "foo/bar", listedImage: `sha256:${"e".repeat(64)}` };
    client.add(A, stuck);
    client.hang(A);
    const begun = Date.now();
    setTimeout(() => client.answer(A), 1_900);
    await refresh();
    expect(Date.now() - begun).toBeGreaterThanOrEqual(1_900);
    expect(store.isFromList(A)).toBe(false);
    expect(store.snapshot().containers.map(({ image }) => image)).toEqual(["foo/bar", "foo/bar"]);
  });

  test("tells after 2 s who has no answer, once", async () => {
    client.hang(A);
    expect((await refresh()).unanswered).toEqual([]);
    const at = store.rereadAt ?? 0;
    expect(at - Date.now()).toBe(2_000);
    await elapse(1_999);
    expect((await refresh()).unanswered).toEqual([]);
    await elapse(1);
    expect((await refresh()).unanswered).toEqual([A]);
    expect([store.rereadAt, store.nameOf(A)]).toEqual([undefined, "one"]);
  });

  test("leaves what an event told of since as it was read", async () => {
    client.hang("list");
    store.note(happened("start"));
    await refresh();
    client.hang(A);
    client.add(A, { name: "one", status: "paused" });
    client.answer("list");
    await turn();
    await refresh();
    expect(known()).toEqual(["one running", "two running"]);
    expect(store.isFromList(A)).toBe(false);
  });
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
  test.each<[string, DockerEvent, "ended" | "ending" | undefined]>([
    ["die", happened("die"), "ended"],
    ["died", happened("died"), "ended"],
    ["kill 15", told("15"), "ending"],
    ["kill TERM", told("TERM"), "ending"],
    ["its own signal", told("SIGQUIT"), "ending"],
    ["another signal", told("SIGHUP"), undefined],
    ["start", happened("start"), undefined],
    ["pause", happened("pause"), undefined],
    ["the networks", { kind: "networks" }, undefined],
  ])("%s", async (_, event, what) => {
    client.add(A, { name: "one", stopSignal: "SIGQUIT" });
    await refresh();
    expect(store.note(event)).toEqual(what && { id: A, what });
    expect([store.isEnding(A), store.isEnding(B)]).toEqual([what !== undefined, false]);
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

test.each([
  ["a short stop time", 3, 600],
  ["a long one", 3_000, 3_000],
])("who survives a stop comes back after 10 min or its stop time: %s", async (_, time, after) => {
  client.add(A, { name: "one", stopTimeout: time });
  await refresh();
  const before = read(A);
  const at = Date.now();
  store.note(told("15"));
  expect(store.rereadAt).toBe(at + after * 1_000);
  await elapse(after * 1_000 - 1);
  await refresh();
  expect([read(A), known()[0]]).toEqual([before, "one running stopping"]);
  await elapse(1);
  await refresh();
  expect([read(A), known()[0]]).toEqual([before + 1, "one running"]);
  expect(store.rereadAt).toBeUndefined();
});

describe("who was stopped and started while nobody told of events", () => {
  test("gets requests again", async () => {
    await refresh();
    store.note(told("15"));
    await refresh();
    client.add(A, { name: "one", startedAt: "1970-01-02" });
    store.markAll();
    await refresh();
    expect(known()[0]).toBe("one running");
  });

  test("but not if the signal came later", async () => {
    await refresh();
    client.add(A, { name: "one", startedAt: "1970-01-02" });
    client.hang(A);
    store.markAll();
    await refresh();
    store.note(told("15"));
    client.answer(A);
    await turn();
    await refresh();
    expect(known()[0]).toBe("one running stopping");
  });

  test("nor if it was not known when it started", async () => {
    client.hang(A);
    await refresh();
    store.note(told("15"));
    client.answer(A);
    await turn();
    await refresh();
    store.note(happened("rename"));
    await refresh();
    expect(known().toSorted()[0]).toBe("one running stopping");
  });
});

test("who is told again to stop gets the time anew", async () => {
  await refresh();
  store.note(told("15"));
  await elapse(500_000);
  store.note(told("9"));
  await elapse(599_999);
  await refresh();
  expect(known()[0]).toBe("one running stopping");
});

describe("who loses its last address", () => {
  const LOST = { name: "one", ip: "" };

  /** Reads the container as one that runs without an address. */
  async function lose(): Promise<void> {
    await refresh();
    client.add(A, LOST);
    store.note(happened("disconnect"));
    await refresh();
  }

  test("is taken to be ending, and read again", async () => {
    await lose();
    expect([known()[0], store.isEnding(A)]).toEqual(["one running dead", true]);
    // Its service is not forgotten for that.
    expect(store.remains(A)).toBe(true);
    expect((store.rereadAt ?? 0) - Date.now()).toBe(500);
    client.containers.delete(A);
    store.note(happened("die"));
    await refresh();
    expect(known()).toEqual(["two running"]);
  });

  test("is none of these where Docker will restart it", async () => {
    await refresh();
    client.add(A, { name: "one", ip: "", status: "restarting" });
    store.note(happened("disconnect"));
    await refresh();
    expect([known()[0], store.rereadAt]).toEqual(["one restarting", undefined]);
  });

  test("and goes on is only without an address", async () => {
    await lose();
    await elapse(499);
    // Another event does not change that.
    store.note(happened("stop"));
    await refresh();
    expect(known()[0]).toBe("one running dead");
    await elapse(1);
    await refresh();
    expect([known()[0], store.isEnding(A), store.rereadAt]).toEqual([
      "one running",
      false,
      undefined,
    ]);
  });

  test("and gets another one is as before", async () => {
    await lose();
    client.add(A, { name: "one", ip: "172.17.0.9" });
    store.note(happened("connect"));
    await refresh();
    expect([known()[0], store.isEnding(A)]).toEqual(["one running", false]);
  });
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
  test("are waited for at first, but no longer than 100 ms", async () => {
    client.hang("networks");
    const begun = Date.now();
    setTimeout(() => client.answer("networks"), 90);
    await refresh();
    expect(Date.now() - begun).toBe(90);
    expect(store.snapshot().drivers).toEqual({ bridge: "bridge" });

    const other = new Store(client.asClient, { changed() {}, failed() {}, worked() {} });
    client.hang("networks");
    const again = Date.now();
    await through(other.refresh(signal));
    expect(Date.now() - again).toBe(100);
    expect(other.snapshot()).toMatchObject({ drivers: {}, gateways: [] });
    expect(other.snapshot().containers).toHaveLength(2);
  });

  test("that give no answer hold up nothing later, and are told of after 2 s", async () => {
    await refresh();
    client.hang("networks");
    client.networks = { bridge: "bridge", more: "macvlan" };
    store.note({ kind: "networks" });
    client.add(A, { name: "one", status: "paused" });
    store.note(happened("pause"));
    const begun = Date.now();
    await refresh();
    // As long as any reading may take.
    expect(Date.now() - begun).toBe(20);
    expect(known()).toEqual(["one paused", "two running"]);
    for (let count = 0; count < 10; count++) {
      const next = Date.now();
      store.note({ kind: "networks" });
      store.note(happened("update", B));
      await refresh();
      expect(Date.now()).toBe(next);
    }
    expect([said, (store.rereadAt ?? 0) - begun]).toEqual([[], 2_000]);
    await elapse(2_000);
    await refresh();
    await refresh();
    expect(said).toEqual(["networks: no answer"]);
    expect(store.snapshot().drivers).toEqual({ bridge: "bridge" });

    client.answer("networks");
    await turn();
    await refresh();
    expect(said.slice(0, 2)).toEqual(["networks: no answer", "networks works"]);
    expect(store.snapshot().drivers).toEqual({ bridge: "bridge", more: "macvlan" });
  });

  test("that are refused are asked for after 1, 2, 4 ... 60 s, however many events come", async () => {
    client.failing.set("networks", new Error("403"));
    await refresh();
    const tries = () => client.asked.filter((what) => what === "networks").length;
    const begun = Date.now();
    const times: number[] = [];
    while (Date.now() - begun < 200_000) {
      const before = tries();
      store.note({ kind: "networks" });
      store.note(happened("update"));
      await refresh();
      if (tries() > before) times.push(Date.now() - begun);
      await elapse(500);
    }
    expect(times).toEqual([1, 3, 7, 15, 31, 63, 123, 183].map((s) => s * 1_000));
    expect(said).toEqual(Array.from({ length: 9 }, () => "networks: 403"));
    expect(known()).toEqual(["one running", "two running"]);
    client.failing.clear();
    store.markAll();
    await refresh();
    expect([said.at(-1), store.rereadAt]).toEqual(["networks works", undefined]);
  });

  test("that nobody told of are read when a container is on one", async () => {
    await refresh();
    client.networks = { bridge: "bridge", more: "macvlan" };
    client.add(A, { name: "one", networks: ["bridge", "more"] });
    store.note(happened("connect"));
    await refresh();
    expect(store.snapshot().drivers["more"]).toBe("macvlan");
  });
});

describe("the list", () => {
  test.each<[string, () => void, string[]]>([
    ["is refused", () => client.failing.set("list", new Error("no list")), ["list: no list"]],
    ["gives no answer", () => client.hang("list"), []],
  ])("%s at first: those that events name are known, and no others", async (_, spoil, expected) => {
    spoil();
    await refresh();
    expect([known(), store.isComplete, said]).toEqual([[], false, expected]);
    store.note(happened("start", B));
    const begun = Date.now();
    await refresh();
    expect(Date.now()).toBe(begun);
    expect([known(), store.isComplete]).toEqual([["two running"], false]);

    client.failing.clear();
    client.answer("list");
    await elapse(1_000);
    await refresh();
    await refresh();
    expect(known().toSorted()).toEqual(["one running", "two running"]);
    expect(store.isComplete).toBe(true);
  });

  test("is not needed to learn about those that somebody else knows by their first digits", async () => {
    client.hang("list");
    await refresh();
    const [one, two, gone] = [A, B, "c".repeat(64)].map((id) => id.slice(0, 12));
    const ids = [one, two, gone].filter((id) => id !== undefined);
    expect(store.learn(ids)).toBe(false);
    client.hang(B);
    await refresh();
    expect([known(), store.learn(ids)]).toEqual([["one running"], false]);
    const asked = client.asked.length;
    await refresh();
    expect(client.asked).toHaveLength(asked);
    client.answer(B);
    await turn();
    await refresh();
    expect([known(), store.learn(ids)]).toEqual([["one running", "two running"], true]);
    // They are the same that events speak of.
    client.containers.delete(A);
    store.note(happened("die"));
    await refresh();
    expect(known()).toEqual(["two running"]);
  });

  test("gives no answer later: what is known goes on changing", async () => {
    await refresh();
    client.hang("list");
    client.add(A, { name: "one", status: "paused" });
    store.markAll();
    await refresh();
    expect(known()).toEqual(["one paused", "two running"]);
    const C = "c".repeat(64);
    client.add(C, { name: "three" });
    store.note(happened("start", C));
    client.containers.delete(B);
    store.note(happened("die", B));
    await refresh();
    expect(known()).toEqual(["one paused", "three running"]);
    await elapse(2_000);
    await refresh();
    expect([said.at(-1), store.isComplete]).toEqual(["list: no answer", true]);

    const D = "d".repeat(64);
    client.add(D, { name: "four" });
    client.answer("list");
    await turn();
    await refresh();
    expect(known()).toEqual(["one paused", "three running", "four running"]);
  });

  test("is told to be asked for again by the one clock", async () => {
    await refresh();
    client.failing.set("list", new Error("no list"));
    store.markAll();
    await refresh();
    const begun = Date.now();
    expect((store.rereadAt ?? 0) - begun).toBe(1_000);
    await elapse(1_000);
    await refresh();
    expect((store.rereadAt ?? 0) - begun).toBe(3_000);
  });

  test("is needed where everything is read once", async () => {
    client.failing.set("list", new Error("no list"));
    expect(await through(store.readAll(signal)).catch(errorMessage)).toBe("no list");
  });
});

test("everything once: what gives no answer is waited for 2 s, and told at once", async () => {
  client.hang(A);
  client.hang("networks");
  const begun = Date.now();
  const { unanswered } = await through(store.readAll(signal));
  expect(Date.now() - begun).toBeLessThanOrEqual(2_100);
  expect([unanswered, said]).toEqual([[A], ["networks: no answer"]]);
  expect(known()).toHaveLength(2);
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
