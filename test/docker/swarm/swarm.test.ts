// The tasks of a swarm as a played manager tells them: what is noticed, what is told, what stays.

import { beforeEach, describe, expect, spyOn, test } from "bun:test";
import { Forbidden, type SwarmWish } from "../../../src/docker/client.ts";
import type { NodeAnswer, ServiceAnswer, TaskAnswer } from "../../../src/docker/swarm/answers.ts";
import { AFTER_EVENT, CALM, COUNT, QUICK } from "../../../src/docker/swarm/pace.ts";
import { Swarm, type SwarmClient } from "../../../src/docker/swarm/swarm.ts";
import { pause } from "../../../src/lib/async.ts";
import { GatewayError } from "../../../src/lib/errors.ts";
import { elapse, useFakeClock } from "../../lab/fake-clock.ts";
import { listLogger } from "../../lab/proxy.ts";
import { asListed } from "./answers.ts";

/** A manager that answers what a test says. */
class PlayedManager {
  isManager = true;
  services: ServiceAnswer[] = [service("s1", "shop")];
  nodes: NodeAnswer[] = [node("n1"), node("n2")];
  tasks: TaskAnswer[] = [];
  /** What each question is answered with instead, by its name. */
  readonly failing = new Map<"info" | "services" | "tasks", GatewayError>();
  /** The questions, with the filters of those for tasks. */
  readonly asked: string[] = [];
  /** How long an answer for tasks takes, which is what they were when they were asked for, in milliseconds. */
  slowness = 0;
  #events: ReadableStreamDefaultController<Uint8Array> | undefined;

  readonly client: SwarmClient = {
    swarmInfo: () => {
      this.#ask("info");
      return Promise.resolve({
        NodeID: "n1",
        NodeAddr: "192.0.2.1",
        ControlAvailable: this.isManager,
      });
    },
    services: (ids) => {
      this.#ask("services");
      return Promise.resolve(asListed(this.services.filter(({ ID }) => ids?.includes(ID) ?? true)));
    },
    nodes: (ids) => Promise.resolve(this.nodes.filter(({ ID }) => ids?.includes(ID) ?? true)),
    tasks: async (filters) => {
      this.#ask("tasks", JSON.stringify(filters));
      const { id, service: of, "desired-state": states } = filters;
      if (of?.some((each) => !this.services.some(({ ID }) => ID === each))) {
        return undefined;
      }
      const found = this.tasks.filter(
        (each) =>
          (id?.includes(each.ID) ?? true) &&
          (of?.includes(each.ServiceID ?? "") ?? true) &&
          (states?.includes(each.DesiredState) ?? true),
      );
      if (this.slowness > 0) await pause(this.slowness);
      return asListed(found);
    },
    events: () =>
      Promise.resolve(
        new ReadableStream<Uint8Array>({ start: (controller) => void (this.#events = controller) }),
      ),
  };

  /** Says that something happened to a service. */
  tell(type: "service" | "node" = "service", id = "s1"): void {
    const event = { Type: type, Action: "update", Actor: { ID: id } };
    this.#events?.enqueue(new TextEncoder().encode(`${JSON.stringify(event)}\n`));
  }

  /** Changes a task. */
  change(id: string, change: Partial<TaskAnswer>): void {
    this.tasks = this.tasks.map((each) =>
      each.ID === id ? { ...each, ...change, Version: { Index: each.Version.Index + 1 } } : each,
    );
  }

  count(what: string): number {
    return this.asked.filter((each) => each.startsWith(what)).length;
  }

  #ask(what: "info" | "services" | "tasks", more = ""): void {
    this.asked.push(`${what} ${more}`.trim());
    const failure = this.failing.get(what);
    if (failure !== undefined) throw failure;
  }
}

function service(id: string, name: string): ServiceAnswer {
  return { ID: id, Spec: { Name: name } };
}

function node(id: string, state = "ready"): NodeAnswer {
  return { ID: id, Status: { State: state, Addr: `192.0.2.${id.slice(1)}` } };
}

function task(id: string, state = "running", more: Partial<TaskAnswer> = {}): TaskAnswer {
  return {
    ID: id,
    Version: { Index: 1 },
    CreatedAt: "2026-01-01T00:00:00Z",
    ServiceID: "s1",
    Slot: Number(id.slice(1)),
    NodeID: "n1",
    DesiredState: "running",
    Spec: { ContainerSpec: { Image: "acme/shop" } },
    Status: { State: state, ContainerStatus: { ContainerID: `c-${id}` } },
    ...more,
  };
}

const FORBIDDEN = new Forbidden("docker", "it answered 403");
const BROKEN = new GatewayError("docker", "it answered 500");

let manager: PlayedManager;
let swarm: Swarm;
/** What was told. */
let told: string[];
let log: string[];

useFakeClock();
beforeEach(() => {
  manager = new PlayedManager();
  told = [];
  log = [];
});

/** Watches the manager for as long as the test runs. */
async function watch(wish: SwarmWish = "auto"): Promise<void> {
  swarm = new Swarm(
    manager.client,
    wish,
    {
      changed: () => told.push("changed"),
      ending: (id) => told.push(`ending ${id}`),
      ended: (id) => told.push(`ended ${id}`),
    },
    listLogger(log),
  );
  void swarm.watch(new AbortController().signal);
  swarm.setConnected(true);
  await elapse(10);
}

const names = (): string[] =>
  swarm.containers.map(({ id, stopping }) => (stopping > 0 ? `${id} stopping` : id));

describe("tasks", () => {
  test("those that run are known after the first answer, and are the same objects later", async () => {
    manager.tasks = [task("t1"), task("t2", "starting"), task("t3", "failed")];
    await watch();
    expect([swarm.isKnown, swarm.isServed, names(), told]).toEqual([
      true,
      true,
      ["c-t1"],
      ["changed"],
    ]);
    const [before] = swarm.containers;
    await elapse(5_000);
    expect([swarm.containers[0] === before, told]).toEqual([true, ["changed"]]);
  });

  test("one that is to end is told of at once, and stays until it has ended", async () => {
    manager.tasks = [task("t1"), task("t2")];
    await watch();
    manager.change("t1", { DesiredState: "shutdown" });
    await elapse(CALM + 10);
    expect([told, names(), swarm.isEnding("c-t1"), swarm.isEnding("c-t2")]).toEqual([
      ["changed", "ending c-t1", "changed"],
      // The manager lists it no more; it is asked for by its ID.
      ["c-t2", "c-t1 stopping"],
      true,
      false,
    ]);
    manager.change("t1", { Status: { State: "shutdown" } });
    await elapse(QUICK + 10);
    expect([told.slice(3), names(), swarm.isEnding("c-t1")]).toEqual([
      ["ended c-t1", "changed"],
      ["c-t2"],
      true,
    ]);
    swarm.settled();
    expect(swarm.isEnding("c-t1")).toBe(false);
  });

  test("one that is to end as the gateway starts still gets requests", async () => {
    manager.tasks = [task("t1", "running", { DesiredState: "remove" })];
    manager.services = [service("s1", "shop")];
    await watch();
    expect(names()).toEqual(["c-t1 stopping"]);
  });

  test("what has become of one that is to end keeps no other service waiting", async () => {
    manager.services = [service("s1", "shop"), service("s2", "blog")];
    manager.tasks = [task("t1"), task("t2", "starting", { ServiceID: "s2" })];
    await watch();
    told.splice(0);
    const { Status } = task("t2");
    manager.change("t1", { DesiredState: "shutdown" });
    manager.change("t2", { Status });
    manager.slowness = 500;
    await elapse(500 + QUICK);
    // A pass that comes now must know it, too.
    expect([told, names()]).toEqual([
      ["ending c-t1", "changed"],
      ["c-t1 stopping", "c-t2"],
    ]);
    const [before] = swarm.containers;
    await elapse(500);
    expect([swarm.containers[0] === before, names()]).toEqual([true, ["c-t1 stopping", "c-t2"]]);
    expect(told).toEqual(["ending c-t1", "changed", "changed"]);
  });

  test("what has become of one that cannot be told is asked again soon", async () => {
    manager.tasks = [task("t1"), task("t2")];
    await watch();
    await elapse(2 * AFTER_EVENT);
    const { tasks } = manager.client;
    let isBroken = true;
    const asking = spyOn(manager.client, "tasks").mockImplementation((filters, signal) =>
      isBroken && filters.id !== undefined ? Promise.reject(BROKEN) : tasks(filters, signal),
    );
    manager.change("t1", { DesiredState: "shutdown", Status: { State: "shutdown" } });
    await elapse(CALM + 10);
    expect([told.slice(1), names()]).toEqual([["ending c-t1"], ["c-t1 stopping", "c-t2"]]);
    expect(log.join("\n")).toContain("some tasks of the swarm cannot be read: it answered 500");
    isBroken = false;
    await elapse(200 + 10);
    expect([told.slice(2), names()]).toEqual([["ended c-t1", "changed"], ["c-t2"]]);
    asking.mockRestore();
  });

  test("no two tasks are told to end at the same time", async () => {
    manager.tasks = [task("t1"), task("t2"), task("t3")];
    await watch();
    for (const id of ["t1", "t2", "t3"]) manager.change(id, { DesiredState: "remove" });
    await elapse(CALM + 10);
    expect(new Set(swarm.containers.map(({ stopping }) => stopping)).size).toBe(3);
  });

  test("of a service that is removed, tasks are served until they have ended", async () => {
    manager.tasks = [task("t1")];
    await watch();
    manager.services = [];
    manager.change("t1", { DesiredState: "remove" });
    manager.tell();
    await elapse(QUICK + 10);
    expect([names(), swarm.remains("c-t1")]).toEqual([["c-t1 stopping"], false]);
    manager.tasks = [];
    await elapse(QUICK + 10);
    expect([names(), swarm.remains("c-t1")]).toEqual([[], false]);
  });

  test("a service that exists and has no task any more remains, with one of its tasks", async () => {
    manager.tasks = [task("t1"), task("t2")];
    await watch();
    manager.tasks = [];
    await elapse(CALM + 10);
    expect([swarm.remains("c-t1"), swarm.remains("c-t2")].filter(Boolean)).toEqual([true]);
    manager.services = [];
    manager.tell();
    told.splice(0);
    await elapse(QUICK + 10);
    expect([swarm.remains("c-t1"), swarm.remains("c-t2"), told]).toEqual([
      false,
      false,
      ["changed"],
    ]);
  });

  test("those of a node that is down have ended, whatever they seem to be", async () => {
    manager.tasks = [task("t1"), task("t2", "running", { NodeID: "n2" })];
    await watch();
    manager.nodes = [node("n1"), node("n2", "down")];
    manager.tell("node", "n2");
    await elapse(QUICK + 10);
    expect([names(), told.slice(1)]).toEqual([["c-t1"], ["ended c-t2", "changed"]]);
    // As a new leader has it, until the nodes have told it that they live.
    manager.nodes = [node("n1", "unknown"), node("n2", "unknown")];
    for (const { ID } of manager.nodes) manager.tell("node", ID);
    await elapse(QUICK + 10);
    expect(names()).toEqual(["c-t1", "c-t2"]);
  });

  test("those of nodes that are all down serve as long as they answer", async () => {
    manager.tasks = [task("t1"), task("t2", "running", { NodeID: "n2" })];
    await watch();
    manager.nodes = [node("n1", "down"), node("n2", "down")];
    for (const { ID } of manager.nodes) manager.tell("node", ID);
    await elapse(QUICK + 10);
    expect(names()).toEqual(["c-t1 stopping", "c-t2 stopping"]);
    manager.nodes = [node("n1"), node("n2")];
    for (const { ID } of manager.nodes) manager.tell("node", ID);
    await elapse(QUICK + 10);
    expect(names()).toEqual(["c-t1", "c-t2"]);
  });

  test("a task of a service that nobody told of has it read", async () => {
    await watch();
    manager.services = [...manager.services, service("s2", "desk")];
    manager.tasks = [task("t1", "running", { ServiceID: "s2" })];
    await elapse(CALM + 10);
    expect(swarm.containers.map(({ name }) => name)).toEqual(["desk.1"]);
  });

  test("what joins a container to a network is no task, and no reason to read the services", async () => {
    manager.tasks = [task("t1", "running", { ServiceID: "", Spec: {} })];
    await watch();
    await elapse(3 * CALM);
    expect([names(), manager.count("services")]).toEqual([[], 2]);
  });

  test("new labels of a service are those of its tasks", async () => {
    manager.tasks = [task("t1")];
    await watch();
    const [own] = manager.services;
    manager.services = [{ ID: "s1", Spec: { Name: own?.Spec.Name ?? "", Labels: { x: "1" } } }];
    manager.tell();
    await elapse(10);
    expect(swarm.containers[0]?.labels["x"]).toBe("1");
  });
});

describe("the pace", () => {
  test("in calm", async () => {
    manager.tasks = [task("t1")];
    await watch();
    // The events of services begin after the first answer.
    await elapse(10_000);
    const before = manager.count("tasks");
    await elapse(10_000);
    expect(manager.count("tasks") - before).toBe(10_000 / CALM);
  });

  test("while a task comes up, and after an event", async () => {
    manager.tasks = [task("t1")];
    await watch();
    await elapse(10_000);
    const before = manager.count("tasks");
    manager.tell();
    await elapse(1_000);
    expect(manager.count("tasks") - before).toBeGreaterThan(8);
    await elapse(10_000);
    manager.tasks = [task("t1"), task("t2", "preparing")];
    await elapse(CALM);
    const calm = manager.count("tasks");
    await elapse(1_000);
    expect(manager.count("tasks") - calm).toBeGreaterThan(8);
  });

  test("no question while the Engine is away, and everything when it is back", async () => {
    manager.tasks = [task("t1")];
    await watch();
    swarm.setConnected(false);
    await elapse(3_000);
    const before = manager.count("tasks");
    await elapse(30_000);
    expect([manager.count("tasks"), names()]).toEqual([before, ["c-t1"]]);
    swarm.setConnected(true);
    await elapse(10);
    expect(manager.count("tasks")).toBe(before + 1);
  });
});

describe("an Engine that is no manager", () => {
  test("has nothing to serve, and is asked again later", async () => {
    manager.isManager = false;
    await watch();
    expect([swarm.isKnown, swarm.isServed, log, manager.asked]).toEqual([
      true,
      false,
      [],
      ["info"],
    ]);
    manager.isManager = true;
    manager.tasks = [task("t1")];
    await elapse(61_000);
    expect([swarm.isServed, names()]).toEqual([true, ["c-t1"]]);
  });

  test("with --swarm it is told, and what is served stays", async () => {
    manager.isManager = false;
    await watch("always");
    await elapse(60_000);
    expect([swarm.isKnown, log]).toEqual([
      false,
      [
        "error: Cannot serve the services of a swarm: the Engine is no manager of one " +
          "(the services of the swarm are not served yet; trying again)",
        "error:   hint: name a manager with --docker-host, or leave --swarm out",
      ],
    ]);
  });

  test("with --no-swarm nobody asks", async () => {
    await watch("never");
    await elapse(60_000);
    expect([manager.asked, swarm.isKnown, swarm.isServed]).toEqual([[], true, false]);
  });

  test("one that ceases to be a manager while it is asked what has become of a task", async () => {
    manager.tasks = [task("t1"), task("t2")];
    await watch();
    manager.slowness = 500;
    manager.change("t1", { DesiredState: "shutdown" });
    await elapse(500 + 2 * QUICK);
    expect(names()).toEqual(["c-t1 stopping", "c-t2"]);
    manager.isManager = false;
    swarm.mark();
    await elapse(1_000);
    expect([swarm.isServed, names(), log.join("\n")]).toEqual([
      false,
      [],
      expect.not.stringContaining("without a manager"),
    ]);
  });

  test("one that ceases to be a manager has containers alone", async () => {
    manager.tasks = [task("t1")];
    await watch();
    manager.isManager = false;
    await elapse(61_000);
    expect([swarm.isServed, names(), told.at(-1)]).toEqual([false, [], "changed"]);
  });
});

describe("what cannot be read", () => {
  test.each<["info" | "tasks", string[]]>([
    ["info", []],
    [
      "tasks",
      ["warn: it answered 403 (only containers are served (--no-swarm says that this is meant))"],
    ],
  ])("a socket proxy that hides %s: containers alone are served", async (what, lines) => {
    manager.failing.set(what, FORBIDDEN);
    await watch();
    await elapse(200_000);
    expect([
      swarm.isKnown,
      swarm.isServed,
      log.filter((line) => !line.startsWith("debug")),
    ]).toEqual([true, false, lines]);
  });

  test("with --swarm it is an error, told once", async () => {
    manager.failing.set("tasks", FORBIDDEN);
    await watch("always");
    await elapse(60_000);
    expect([swarm.isKnown, log]).toEqual([
      false,
      ["error: it answered 403 (the services of the swarm are not served yet; trying again)"],
    ]);
  });

  test("the tasks that are known stay, and the end is told once", async () => {
    manager.tasks = [task("t1")];
    await watch();
    log.splice(0);
    manager.failing.set("tasks", BROKEN);
    manager.tasks = [];
    await elapse(60_000);
    expect([names(), swarm.isKnown]).toEqual([["c-t1"], true]);
    manager.failing.clear();
    await elapse(12_500);
    expect([names(), log.filter((line) => !line.startsWith("debug"))]).toEqual([
      [],
      [
        "warn: it answered 500 (the tasks that are known are served on; trying again)",
        "the tasks of the swarm can be read again",
      ],
    ]);
  });

  test("a socket proxy that was changed takes nothing away", async () => {
    manager.tasks = [task("t1")];
    await watch();
    manager.failing.set("tasks", FORBIDDEN);
    await elapse(100_000);
    expect([names(), swarm.isServed]).toEqual([["c-t1"], true]);
  });

  test("an Engine that does not tell its place in a swarm", async () => {
    manager.failing.set("info", BROKEN);
    await watch();
    await elapse(60_000);
    expect([swarm.isKnown, log]).toEqual([
      false,
      ["warn: it answered 500 (whether there is a swarm to serve is not known; trying again)"],
    ]);
  });

  test("a single reading fails with what it cannot read, but not where nobody may ask", async () => {
    manager.failing.set("tasks", BROKEN);
    const read = async (wish: SwarmWish): Promise<unknown> => {
      const none = { changed() {}, ending() {}, ended() {} };
      swarm = new Swarm(manager.client, wish, none, listLogger(log));
      return swarm.readOnce(new AbortController().signal).catch((error: unknown) => error);
    };
    expect(await read("always")).toBe(BROKEN);
    // Without the tasks that a manager has, less would be served than there is.
    expect(await read("auto")).toBe(BROKEN);
    // A socket proxy for containers alone is nothing to speak of.
    manager.failing.set("info", FORBIDDEN);
    expect(await read("always")).toBe(FORBIDDEN);
    expect(await read("auto")).toBeUndefined();
    expect(swarm.isKnown).toBe(true);
    expect(log.filter((line) => !line.includes("is not known: it answered 403"))).toEqual([]);
  });
});

/** Has the manager count other tasks of a service that run. */
function recount(id: string, RunningTasks: number): void {
  manager.services = manager.services.map((each) =>
    each.ID === id ? { ...each, ServiceStatus: { RunningTasks } } : each,
  );
}

/** The services that were asked about since the last call, each time. */
function askedFor(): string[][] {
  return manager.asked.splice(0).flatMap((each) => {
    const [what = "", filters = "{}"] = each.split(" ");
    const { service: ids } = JSON.parse(filters) as { service?: string[] };
    return what === "tasks" && ids !== undefined ? [ids] : [];
  });
}

describe("a large swarm", () => {
  const SERVICES = 300;

  beforeEach(() => {
    manager.services = Array.from({ length: SERVICES }, (_, index) => ({
      ID: `s${index}`,
      Version: { Index: 1 },
      Spec: { Name: `app-${index}`, Mode: { Replicated: { Replicas: 10 } } },
      ServiceStatus: { RunningTasks: 10 },
    }));
    manager.tasks = manager.services.flatMap(({ ID }) =>
      Array.from({ length: 10 }, (_, index) =>
        task(`${ID}t${index}`, "running", { ServiceID: ID }),
      ),
    );
  });

  test("is read in portions, and everything is told at once", async () => {
    await watch();
    expect([swarm.containers.length, told]).toEqual([SERVICES * 10, ["changed"]]);
    expect(askedFor().map(({ length }) => length)).toEqual([100, 100, 100]);
  });

  test("in calm a question is for a part of it, and all have their turn", async () => {
    await watch();
    await elapse(10_000);
    askedFor();
    await elapse(4_000);
    const asked = askedFor();
    expect(Math.max(...asked.map(({ length }) => length))).toBe(100);
    expect(new Set(asked.flat()).size).toBe(SERVICES);
  });

  test("an event has one service read and asked about, quickly", async () => {
    await watch();
    await elapse(10_000);
    askedFor();
    manager.change("s7t3", { DesiredState: "shutdown" });
    manager.tell("service", "s7");
    await elapse(2 * QUICK);
    expect(askedFor()).toContainEqual(["s7"]);
    expect(told).toContain("ending c-s7t3");
  });

  test("a task that died without any event shows in the numbers", async () => {
    await watch();
    await elapse(10_000);
    told.splice(0);
    manager.change("s250t3", { Status: { State: "failed" }, DesiredState: "shutdown" });
    recount("s250", 9);
    await elapse(COUNT + QUICK);
    expect(told).toEqual(["ending c-s250t3", "ended c-s250t3", "changed"]);
  });

  test("so does one that died when another had just come, and as many run as before", async () => {
    await watch();
    await elapse(10_000);
    manager.tasks = [...manager.tasks, task("s250t10", "starting", { ServiceID: "s250" })];
    manager.tell("service", "s250");
    await elapse(AFTER_EVENT + CALM);
    const { Status } = task("s250t10");
    manager.change("s250t10", { Status });
    await elapse(QUICK + 10);
    expect(swarm.containers.filter(({ id }) => id === "c-s250t10").length).toBe(1);
    // Nobody has counted meanwhile.
    told.splice(0);
    manager.change("s250t3", { Status: { State: "failed" }, DesiredState: "shutdown" });
    await elapse(COUNT + QUICK);
    expect(told).toEqual(["ending c-s250t3", "ended c-s250t3", "changed"]);
  });

  test("a number of tasks is asked about beside a question that takes long, whose answer is of no use then", async () => {
    await watch();
    await elapse(10_000);
    manager.slowness = 2_000;
    manager.tell("service", "s250");
    await elapse(QUICK);
    manager.slowness = 0;
    manager.change("s250t3", { Status: { State: "failed" }, DesiredState: "shutdown" });
    recount("s250", 9);
    told.splice(0);
    await elapse(COUNT + QUICK);
    expect(told).toEqual(["ending c-s250t3", "ended c-s250t3", "changed"]);
    await elapse(2_000);
    expect(told.length).toBe(3);
  });

  test("one that was replaced before anybody counted is found in its turn", async () => {
    await watch();
    await elapse(10_000);
    manager.change("s250t3", { Status: { State: "failed" }, DesiredState: "shutdown" });
    manager.tasks = [...manager.tasks, task("s250t10", "running", { ServiceID: "s250" })];
    await elapse((SERVICES / 100 + 1) * CALM);
    expect(told.slice(1)).toEqual(["ending c-s250t3", "ended c-s250t3", "changed"]);
    expect(swarm.containers.filter(({ id }) => id === "c-s250t10").length).toBe(1);
  });

  test("a node that is lost takes its tasks out, of all services", async () => {
    manager.tasks = manager.tasks.map((each) =>
      each.ID.endsWith("t3") ? { ...each, NodeID: "n2" } : each,
    );
    await watch();
    manager.nodes = [node("n1"), node("n2", "down")];
    manager.tell("node", "n2");
    await elapse(5 * QUICK);
    expect(swarm.containers.length).toBe(SERVICES * 9);
  });

  test("a service that is removed while it is asked about costs nobody else anything", async () => {
    await watch();
    manager.services = manager.services.filter(({ ID }) => ID !== "s7");
    manager.tasks = manager.tasks.filter(({ ServiceID }) => ServiceID !== "s7");
    log.splice(0);
    await elapse(4 * CALM);
    expect([swarm.containers.length, log]).toEqual([(SERVICES - 1) * 10, []]);
  });

  test("after a failure all of it is asked for", async () => {
    await watch();
    await elapse(10_000);
    manager.failing.set("tasks", BROKEN);
    await elapse(10_000);
    manager.change("s250t3", { Status: { State: "failed" }, DesiredState: "shutdown" });
    manager.failing.clear();
    askedFor();
    await elapse(12_500);
    expect(new Set(askedFor().slice(0, 3).flat()).size).toBe(SERVICES);
    expect(told).toContain("ended c-s250t3");
  });
});
