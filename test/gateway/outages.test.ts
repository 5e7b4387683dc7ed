// Which servers are said to be down, or up again, by what HAProxy says at each look; and what of it is kept.

import { beforeEach, expect, jest, test } from "bun:test";
import { History } from "../../src/gateway/history.ts";
import { Outages } from "../../src/gateway/outages.ts";
import { lineOf, logState } from "../../src/gateway/report.ts";
import { firstState, withChanges, type OutageChange } from "../../src/gateway/state.ts";
import { GatewayError } from "../../src/lib/errors.ts";
import { compare } from "../../src/lib/text.ts";
import type { Container, Model } from "../../src/model.ts";
import { route } from "../../src/routing/routing.ts";
import { useFakeClock } from "../lab/fake-clock.ts";
import { at, container, HOST, ROUTING, snapshot } from "../lab/make.ts";
import { listLogger } from "../lab/proxy.ts";

useFakeClock();

const one = container("one", { attachments: [at("bridge", "172.17.1.1")], startedAt: "1" });
const two = container("two", { attachments: [at("bridge", "172.17.1.2")], startedAt: "1" });
const tcp = container("tcp", {
  image: "tcp",
  attachments: [at("bridge", "172.17.1.3")],
  labels: { "gateway.tcp": "5432" },
});
const UP = { up: true, admin: 0 };
const DOWN = { up: false, admin: 0 };
const LOOK = 2_000;

interface Played {
  up: boolean;
  admin: number;
  /** When its state began. */
  at: number;
}

let model: Model;
let outages: Outages;
let pid: number;
let away: boolean;
let asked: string[];
/** What HAProxy has, by `backend/server`; without any, nothing is known of a server. */
let servers: Map<string, Played>;

const serve = (...containers: readonly Container[]): void => {
  model = route(snapshot(containers), HOST, ROUTING);
};
const keyOf = ({ id, name }: Container): string =>
  `${name === "tcp" ? "_tcp" : "foo:bar"}/${id.slice(0, 12)}`;
const set = (which: Container, state: { up: boolean; admin: number }): void =>
  void servers.set(keyOf(which), { ...state, at: Date.now() });

beforeEach(() => {
  [pid, away, asked, servers] = [1, false, [], new Map()];
  serve(one, two);
  outages = new Outages((backend) => (backend.includes("tcp") ? "_tcp" : backend), ask, "gateway.");
  set(one, UP);
  set(two, UP);
});

function ask(line: string): Promise<string> {
  asked.push(line);
  if (away) return Promise.reject(new GatewayError("haproxy", "away"));
  if (line.startsWith("show stat")) {
    const rows = [...servers].map(([key, { up }]) => {
      const [backend, name] = key.split("/");
      return `${backend},${name},${up ? "UP" : "DOWN"},${up ? "L4OK" : "* L4CON"}`;
    });
    return Promise.resolve(["# pxname,svname,status,check_status", ...rows].join("\n"));
  }
  const rows = [...servers].map(([key, { up, admin, at: since }], index) => {
    const [backend, name] = key.split("/");
    const seconds = Math.floor((Date.now() - since) / 1_000);
    const address = `172.17.1.${index + 1}`;
    return `1 ${backend} 1 ${name} ${address} ${up ? 2 : 0} ${admin} 1 1 ${seconds} 6 3 4 6 0 0 0 - 8000 - 0`;
  });
  return Promise.resolve(`Pid: ${pid}\n\n1\n# be_id be_name\n${rows.join("\n")}`);
}

/** What is told at the next look, as the log tells it. */
async function look(ms = LOOK): Promise<string[]> {
  jest.advanceTimersByTime(ms);
  const changes = await outages.look(model);
  return changes.map((change) => lineOf({ ...change, at: 0 }, "gateway.").message);
}

test("one that is up again in the same second was down for none", async () => {
  await look();
  set(one, DOWN);
  await look(50);
  // HAProxy's second has begun at another moment than that of the clock here.
  servers.set(keyOf(one), { ...UP, at: Date.now() - 950 });
  expect(await look(50)).toEqual([
    "up /foo/bar -> 172.17.1.1:8000 (container one, after 0 s, 2 of 2 containers are up)",
  ]);
});

test("one that goes down, and one that is up again", async () => {
  expect(await look()).toEqual([]);
  set(one, DOWN);
  expect(await look()).toEqual([
    "down /foo/bar -> 172.17.1.1:8000 (container one, its port does not answer, 1 of 2 containers is up)",
  ]);
  expect(await look(28_000)).toEqual([]);
  set(two, DOWN);
  expect(await look()).toEqual([
    "down /foo/bar -> 172.17.1.2:8000 (container two, its port does not answer, none of 2 containers is up, so clients get 503)",
  ]);
  set(one, UP);
  expect(await look()).toEqual([
    "up /foo/bar -> 172.17.1.1:8000 (container one, after 32 s, 1 of 2 containers is up)",
  ]);
});

test("one that was taken out and brought back between two looks was not down", async () => {
  await look();
  jest.advanceTimersByTime(LOOK * 5);
  // HAProxy counts from when it was brought back.
  set(one, UP);
  outages.note([one.id.slice(0, 12)]);
  expect(await look()).toEqual([]);
  // It goes down right after that.
  outages.note([one.id.slice(0, 12)]);
  set(one, DOWN);
  expect(await look()).toHaveLength(1);
  // Without the gateway it is an outage.
  set(two, UP);
  expect(await look()).toEqual([
    expect.stringContaining("(container two, it was down for a moment"),
  ]);
});

test("a change has its facts as fields", async () => {
  serve(one);
  await look();
  set(one, DOWN);
  const began = Date.now();
  jest.advanceTimersByTime(LOOK);
  const [change] = await outages.look(model);
  expect(lineOf({ ...(change as OutageChange), at: 0 }, "gateway.")).toEqual({
    level: "warn",
    message:
      "down /foo/bar -> 172.17.1.1:8000 (container one, its port does not answer, there is no other, so clients get 503)",
    fields: {
      event: "down",
      route: "/foo/bar",
      server: "172.17.1.1:8000",
      container: "one",
      id: one.id,
      reason: "its port does not answer",
      left: "there is no other, so clients get 503",
      since: new Date(began).toISOString(),
    },
  });
});

test("requests wait where the waiting room is open, and connections are closed where bytes are forwarded", async () => {
  servers.set("foo:bar/_wait", { ...UP, at: 0 });
  serve(one, tcp);
  set(tcp, UP);
  servers.delete(keyOf(two));
  await look();
  set(one, DOWN);
  set(tcp, DOWN);
  expect(
    (await look()).map((line) => / (so .*)\)/.exec(line)?.[1] ?? "").toSorted(compare),
  ).toEqual(["so connections are closed", "so requests wait"]);
});

test("nothing is told of what the gateway does itself, nor of what is new and starts", async () => {
  servers.delete(keyOf(two));
  set(one, DOWN);
  await look();
  // It is up for the first time.
  set(one, UP);
  expect(await look()).toEqual([]);
  // One that is added, drained, in maintenance, and removed.
  set(two, DOWN);
  expect(await look()).toEqual([]);
  for (const admin of [8, 1]) {
    set(one, { up: admin === 8, admin });
    expect(await look()).toEqual([]);
  }
  set(one, DOWN);
  expect(await look()).toEqual([]);
  servers.clear();
  expect(await look()).toEqual([]);
  // A container that is started anew has the same server.
  set(two, UP);
  await look();
  serve(container("two", { attachments: two.attachments, startedAt: "2" }));
  set(two, DOWN);
  expect(await look()).toEqual([]);
});

test("one that has just answered and is down before anybody has looked", async () => {
  set(one, DOWN);
  outages.note([one.id.slice(0, 12)]);
  expect(await look()).toEqual([expect.stringMatching(/^down .*container one/)]);
  set(two, { ...UP, admin: 1 });
  expect(await look()).toEqual([]);
  outages.note([two.id.slice(0, 12)]);
  set(two, UP);
  expect(await look()).toEqual([]);
});

test("one that was told to have never answered is told to be up", async () => {
  set(one, DOWN);
  await look();
  outages.expect([one.id]);
  expect(await look(20_000)).toEqual([]);
  set(one, UP);
  expect(await look()).toEqual([
    "up /foo/bar -> 172.17.1.1:8000 (container one, after 22 s, 2 of 2 containers are up)",
  ]);
  // Once.
  set(one, { ...UP, admin: 1 });
  await look();
  set(one, DOWN);
  await look();
  set(one, UP);
  expect(await look()).toEqual([]);
});

test("one that was down between two looks is told once", async () => {
  await look(60_000);
  set(one, UP);
  expect(await look()).toEqual([
    "up /foo/bar -> 172.17.1.1:8000 (container one, it was down for a moment, 2 of 2 containers are up)",
  ]);
  expect(await look()).toEqual([]);
});

test("what cannot be asked is told later, and another process is given time", async () => {
  await look();
  set(one, DOWN);
  away = true;
  expect(look()).rejects.toThrow("away");
  away = false;
  pid = 2;
  set(two, DOWN);
  expect(await look()).toEqual([]);
  set(two, UP);
  expect(await look(500)).toEqual([expect.stringMatching(/^down .*container one/)]);
});

test("many that go down at once are asked for at once", async () => {
  const many = Array.from({ length: 60 }, (_, index) =>
    container(`app-${index}`, {
      image: `app-${index}`,
      attachments: [at("bridge", `172.17.1.${index + 1}`)],
    }),
  );
  serve(...many);
  servers.clear();
  const setAll = (state: typeof UP): void => {
    for (const { id, name } of many) {
      servers.set(`${name}/${id.slice(0, 12)}`, { ...state, at: Date.now() });
    }
  };
  setAll(UP);
  await look();
  setAll(DOWN);
  asked = [];
  expect(await look()).toHaveLength(60);
  expect(asked).toEqual(["show info;show servers state", "show stat -1 4 -1"]);
});

test("one that goes up and down for ever is told twelve times, and then counted: all else stays", async () => {
  const log: string[] = [];
  const history = new History();
  const listen = logState(listLogger(log), "gateway.", history);
  let state = firstState("played", Date.now());
  history.add({ level: "info", message: "before", fields: { event: "reload" } }, 0);
  await look();
  // An hour.
  for (let second = 0; second < 3_600; second += 2) {
    set(one, (second / 2) % 2 === 0 ? DOWN : UP);
    jest.advanceTimersByTime(LOOK);
    const changes = await outages.look(model);
    const after = withChanges(
      state,
      changes.map((change) => ({ ...change, at: Date.now() })),
    );
    listen(after, state);
    state = after;
  }
  const kept = history.after(0).map(({ message }) => message);
  expect(kept[0]).toBe("before");
  expect(kept.filter((message) => /^(down|up) /.test(message))).toHaveLength(12);
  expect(kept.filter((message) => message.startsWith("container one comes and goes"))).toHaveLength(
    1,
  );
  const counted = kept.filter((message) =>
    message.startsWith("container one still comes and goes: 300 changes in 10 min"),
  );
  expect(counted.length).toBeGreaterThanOrEqual(5);
  expect(kept.length).toBeLessThan(25);
});

test("outages of hundreds leave room for what else happened", () => {
  const history = new History();
  const add = (event: string, index: number): void =>
    history.add({ level: "info", message: `${event} ${index}`, fields: { event } }, index);
  for (let index = 0; index < 5_000; index++) add(index % 2 === 0 ? "down" : "up", index);
  for (let index = 0; index < 700; index++) add("routed", index);
  for (let index = 5_000; index < 10_000; index++) add("down", index);
  const kept = history.after(0).map(({ message }) => message);
  expect(kept).toHaveLength(1_000);
  expect(kept.slice(0, 2)).toEqual(["routed 0", "routed 1"]);
  expect(kept.slice(699, 701)).toEqual(["routed 699", "down 9700"]);
  // Who reads on from one that is gone misses nothing that is kept.
  expect(history.after(9_000)).toHaveLength(300);
  expect(history.after(10_699)).toHaveLength(1);
  expect(history.after(history.last)).toEqual([]);
});
