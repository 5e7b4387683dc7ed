// While Docker cannot be asked: whose servers are taken out, when, and what the log says. The
// processes are real.

import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  ownerLine,
  ownersText,
  ownersThat,
  parseOwners,
  type Owner,
  type Owners,
} from "../../src/config/owners.ts";
import { Fence, type MustGo } from "../../src/gateway/fence.ts";
import { createOwnersFile } from "../../src/gateway/owners.ts";
import { startTime } from "../../src/lib/processes.ts";
import { elapse, until, useFakeClock } from "../lab/fake-clock.ts";
import { container, snapshot } from "../lab/make.ts";
import { listLogger } from "../lab/proxy.ts";

const PLACES = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"];
const children = new Set<Bun.Subprocess>();

let fence: Fence;
let log: string[];
/** What HAProxy was told, at each call. */
let told: MustGo[];
/** The containers whose services may wait for another one. */
let lost: string[];
let failure: Error | undefined;
/** The places that do not answer HAProxy's checks. */
let silent: string[];

useFakeClock();
beforeEach(() => {
  [log, told, lost, failure, silent] = [[], [], [], undefined, []];
  fence = new Fence({
    takeOut: (mustGo) => {
      told.push(mustGo);
      return failure === undefined ? Promise.resolve() : Promise.reject(failure);
    },
    silent: () => Promise.resolve(silent),
    ended: (id) => void lost.push(id),
    log: listLogger(log),
  });
});
afterEach(() => {
  fence.end();
  for (const child of children) child.kill("SIGKILL");
  children.clear();
});

/** A container of which only the process is real. */
function startOwner(letter: string): { readonly owner: Owner; end(): Promise<void> } {
  const child = Bun.spawn(["sleep", "60"]);
  children.add(child);
  const process = { pid: child.pid, started: startTime(child.pid) ?? "" };
  return {
    owner: {
      id: letter.repeat(64),
      name: letter,
      startedAt: "2026-11-28T08:00:00Z",
      processes: [process],
    },
    async end() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

/** The owners of the places, as the file on disk has them. */
function onDisk(...owners: readonly Owner[]): Owners {
  return read(scope(), ...owners);
}

function read(where: string, ...owners: readonly Owner[]): Owners {
  const lines = owners.map((owner, index) => ownerLine(PLACES[index] ?? "", owner));
  const whole = parseOwners(ownersText(where, lines));
  if (whole === undefined) throw new Error("the file is not whole");
  return whole;
}

/** This boot and this PID namespace. */
function scope(): string {
  const file = createOwnersFile("/x")({ services: [], rejections: [], refusals: [], warnings: [] });
  return parseOwners(file["/x"]?.text ?? "")?.scope ?? "";
}

/** The places that HAProxy was told to spare, at its last call. */
function spared(): string[] {
  return PLACES.filter((place) => told.at(-1)?.(place) === true);
}

test("as long as all live nothing happens", async () => {
  fence.begin(onDisk(startOwner("a").owner, startOwner("b").owner));
  await elapse(1_000);
  expect(told).toEqual([]);
  expect(log).toEqual([]);
});

test("one that ends is out within 20 ms, and the others stay", async () => {
  const [web, other] = [startOwner("a"), startOwner("b")];
  fence.begin(onDisk(web.owner, other.owner));
  await web.end();
  await elapse(20);
  expect(told).toHaveLength(1);
  expect(spared()).toEqual([PLACES[0] ?? ""]);
  await other.end();
  await elapse(20);
  expect(spared()).toEqual(PLACES.slice(0, 2));
  expect(lost).toEqual([web.owner.id, other.owner.id]);
});

test("of several Engines one tells again: the places of its containers are not barred any more", async () => {
  const [here, far] = [startOwner("a"), startOwner("b")];
  const all = onDisk(here.owner, far.owner);
  fence.begin(all);
  await here.end();
  await far.end();
  await elapse(20);
  expect(spared()).toEqual(PLACES.slice(0, 2));
  // Another container has that place, by now.
  fence.begin(ownersThat(all, ({ name }) => name === "b"));
  fence.repeat();
  await elapse(20);
  expect(spared()).toEqual(PLACES.slice(1, 2));
});

test("one whose process cannot be seen is out once it does not answer, and stays out", async () => {
  const seen = startOwner("a").owner;
  const [far, other] = ["b", "c"].map((letter) => ({
    ...startOwner(letter).owner,
    processes: undefined,
  }));
  if (far === undefined || other === undefined) throw new Error("there are no such owners");
  fence.begin(onDisk(seen, far, other));
  await elapse(2_000);
  expect(told).toEqual([]);
  // Of one that is seen its process tells.
  silent = [PLACES[0] ?? "", PLACES[1] ?? ""];
  await elapse(1_100);
  expect(spared()).toEqual([PLACES[1] ?? ""]);
  expect(log).toEqual([
    "warn: no answer while Docker cannot be asked: b; no requests go there until Docker tells who " +
      "has these addresses",
  ]);
  // It may be another's that answers now.
  silent = [];
  await elapse(2_000);
  expect([spared(), told.length, log.length]).toEqual([[PLACES[1] ?? ""], 1, 1]);
  // It is still served: whether it has ended, nobody knows.
  expect(lost).toEqual([]);
  const task = container("b", { id: far.id, startedAt: far.startedAt });
  expect(fence.corrected(snapshot([task])).containers).toEqual([task]);
  fence.end();
  expect(log.at(-1)).toContain("Docker tells of all containers again");
});

test("one of two ports that is silent is out, and nothing is told of it", async () => {
  const far = { ...startOwner("a").owner, processes: undefined };
  fence.begin(onDisk(far, far));
  silent = [PLACES[1] ?? ""];
  await elapse(1_100);
  expect([spared(), log]).toEqual([[PLACES[1] ?? ""], []]);
  // The other one is in maintenance now, and not checked.
  silent = [PLACES[0] ?? ""];
  await elapse(1_100);
  expect(spared()).toEqual(PLACES.slice(0, 2));
  expect(log[0]).toStartWith("warn: no answer while Docker cannot be asked: a; ");
});

test("those that ended before are out at once", async () => {
  const web = startOwner("a");
  await web.end();
  fence.begin(onDisk(web.owner, startOwner("b").owner));
  await until(() => told.length === 1);
  expect(spared()).toEqual([PLACES[0] ?? ""]);
});

test("the ends of half a second are one line of the log", async () => {
  const owners = ["a", "b", "c"].map(startOwner);
  fence.begin(onDisk(...owners.map(({ owner }) => owner)));
  for (const each of owners) {
    await each.end();
    await elapse(100);
  }
  expect(log).toEqual([]);
  await elapse(500);
  expect(log).toEqual([
    "warn: ended while Docker cannot be asked: a, b, c; no requests go there until Docker tells who " +
      "has these addresses",
  ]);
  fence.end();
  expect(log.slice(1)).toEqual([
    "Docker tells of all containers again: requests go to where they run now",
  ]);
});

test("what Docker tells itself is not told before it", async () => {
  const web = startOwner("a");
  fence.begin(onDisk(web.owner));
  await web.end();
  await elapse(20);
  fence.end();
  await elapse(1_000);
  expect(log).toEqual([]);
});

test("after another boot all have ended; their processes' numbers are others' now", async () => {
  const boot = scope().replace(/^\S+/, "0-0-0-0-0");
  fence.begin(read(boot, startOwner("a").owner, startOwner("b").owner));
  await until(() => told.length === 1);
  expect(spared()).toEqual(PLACES.slice(0, 2));
});

test.each([
  [
    "of another PID namespace",
    (): Owners => read(scope().replace(/ .*/, " pid:[1]"), startOwner("a").owner),
  ],
  ["that cannot be seen", (): Owners => onDisk({ ...startOwner("a").owner, processes: undefined })],
])("one %s stays", async (_, owners) => {
  fence.begin(owners());
  await elapse(1_000);
  expect(told).toEqual([]);
});

test("one with another's network has ended if the other has", async () => {
  const [guest, provider] = [startOwner("a"), startOwner("b")];
  const processes = [...(guest.owner.processes ?? []), ...(provider.owner.processes ?? [])];
  fence.begin(onDisk({ ...guest.owner, processes }));
  await provider.end();
  await elapse(20);
  expect(spared()).toEqual([PLACES[0] ?? ""]);
});

test("a server that nobody knows is out too, if it is told which those are", async () => {
  fence.begin(onDisk(startOwner("a").owner), (place) => place !== PLACES[2]);
  await until(() => told.length === 1);
  expect(spared()).toEqual([PLACES[1] ?? ""]);
  expect(log).toEqual([]);
});

test("if HAProxy cannot be told it is tried again each second, and told once", async () => {
  const web = startOwner("a");
  fence.begin(onDisk(web.owner));
  failure = new Error("it does not listen");
  await web.end();
  await elapse(3_100);
  expect(told).toHaveLength(4);
  expect(log.filter((line) => line.startsWith("error: "))).toEqual([
    "error: it does not listen (requests may reach another container than theirs; trying again)",
  ]);
  failure = undefined;
  await elapse(1_000);
  const count = told.length;
  await elapse(5_000);
  expect(told).toHaveLength(count);
});

test("HAProxy is told once more after it has read its files again", async () => {
  const web = startOwner("a");
  fence.begin(onDisk(web.owner));
  fence.repeat();
  await elapse(100);
  expect(told).toHaveLength(0);
  await web.end();
  await elapse(20);
  fence.repeat();
  await elapse(20);
  expect(told).toHaveLength(2);
  expect(spared()).toEqual([PLACES[0] ?? ""]);
});

test("watching others, it does not forget who has ended", async () => {
  const [web, other] = [startOwner("a"), startOwner("b")];
  fence.begin(onDisk(web.owner, other.owner));
  await web.end();
  await elapse(20);
  fence.begin(onDisk(web.owner, other.owner));
  await other.end();
  await elapse(20);
  expect(spared()).toEqual(PLACES.slice(0, 2));
});

test("once Docker tells again, nobody is watched", async () => {
  const web = startOwner("a");
  fence.begin(onDisk(web.owner));
  expect(fence.isUp).toBe(true);
  fence.end();
  expect(fence.isUp).toBe(false);
  await web.end();
  await elapse(1_000);
  expect(told).toEqual([]);
});

test("Docker may still believe that one runs: it restarts, until Docker knows of another start", async () => {
  const web = startOwner("a");
  const { id, startedAt } = web.owner;
  const [before, after] = ["2026-11-28T08:00:00Z", "2026-11-28T09:00:00Z"].map((at) =>
    snapshot([container("web", { id, startedAt: at }), container("other")]),
  );
  if (before === undefined || after === undefined) throw new Error("no snapshot");
  expect(startedAt).toBe("2026-11-28T08:00:00Z");
  fence.begin(onDisk(web.owner));
  expect(fence.corrected(before)).toBe(before);
  await web.end();
  await elapse(20);
  expect(fence.corrected(before).containers.map(({ state }) => state)).toEqual([
    "restarting",
    "running",
  ]);
  fence.end();
  expect(fence.corrected(before).containers[0]?.state).toBe("restarting");
  expect(fence.corrected(after).containers).toEqual(after.containers);
  // And it is forgotten then.
  expect(fence.corrected(before)).toBe(before);
});
