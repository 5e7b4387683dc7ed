// Several Engines as one source: who is waited for, what is known of one that is away, and what is told once.

import { beforeEach, describe, expect, test } from "bun:test";
import { JoinedSource, type JoinedPart, type Remembered } from "../../src/docker/joined.ts";
import type { Container, Snapshot, SourceListener } from "../../src/model.ts";
import { elapse, through, until, useFakeClock } from "../lab/fake-clock.ts";
import { container, snapshot } from "../lab/make.ts";
import { listLogger } from "../lab/proxy.ts";

const { signal } = new AbortController();
const NOTHING: Remembered = { containers: [], networks: { drivers: {}, gateways: [] } };

/** An Engine of which a test says what it has. */
class PlayedEngine implements JoinedPart {
  listener: SourceListener | undefined;
  refreshes = 0;
  isComplete = false;
  swarm = "";
  tellsOfSwarm = true;
  rereadAt: number | undefined;
  own: Snapshot = { containers: [], drivers: {}, gateways: [] };
  tasks: readonly Container[] = [];
  readonly asked: string[] = [];
  /** Whether it answers at once, when it is listened to. */
  constructor(
    readonly name: string,
    private readonly isThere = true,
  ) {}

  get parts() {
    return { own: this.own, tasks: this.tasks };
  }

  has(...names: readonly string[]): this {
    const containers = names.map((name) => at(this.name, name));
    this.own = { ...snapshot(containers), gateways: [`of ${this.name}`] };
    this.isComplete = true;
    return this;
  }

  watch(listener: SourceListener): Promise<void> {
    this.listener = listener;
    if (this.isThere) listener.connected();
    else listener.disconnected();
    return new Promise(() => {});
  }
  connect = () => Promise.resolve();
  markAll(): void {}
  refresh(): Promise<void> {
    this.refreshes++;
    return Promise.resolve();
  }
  learn(ids: readonly string[]): boolean {
    this.asked.push(...ids);
    return this.isComplete;
  }
  isEnding = (id: string) => id === `ending at ${this.name}`;
  remains = (id: string) => id === `stopped at ${this.name}`;
  waited = (id: string) => (id === `new at ${this.name}` ? 7 : undefined);
  settled(): void {}
}

function at(engine: string, name: string, rest: Partial<Container> = {}): Container {
  return container(`${name}@${engine}`, { engine, ...rest });
}

let log: string[];
let heard: string[];
const LISTENER: SourceListener = {
  connected: (engine) => void heard.push(`+${engine}`),
  disconnected: (engine) => void heard.push(`-${engine}`),
  changed: () => void heard.push("changed"),
  started: () => void heard.push("started"),
  ending: (id) => void heard.push(`ending ${id}`),
  ended: (id) => void heard.push(`ended ${id}`),
};

useFakeClock();
beforeEach(() => {
  [log, heard] = [[], []];
});

function join(
  engines: readonly PlayedEngine[],
  remembered: Remembered | undefined = NOTHING,
): JoinedSource {
  const all = engines.map((source, index) => ({
    name: source.name,
    url: `tcp://${source.name}`,
    isHere: index === 0,
    source,
  }));
  return new JoinedSource(all, remembered, listLogger(log));
}

const names = (source: JoinedSource): string[] =>
  source.snapshot().containers.map(({ name }) => name);

test("the containers of all are there, and the networks of the one whose they are", async () => {
  const [blue, red] = [new PlayedEngine("blue").has("web"), new PlayedEngine("red").has("web")];
  const source = join([blue, red]);
  void source.watch(LISTENER, signal);
  await through(source.refresh(signal));
  expect(names(source)).toEqual(["web@blue", "web@red"]);
  expect(source.snapshot().gateways).toEqual(["of blue"]);
  expect(source.isComplete).toBe(true);
  expect(heard).toEqual(["+blue", "+red"]);
  expect(source.engines).toEqual([
    { name: "blue", url: "tcp://blue" },
    { name: "red", url: "tcp://red" },
  ]);
  expect(source.name).toBe("blue=tcp://blue, red=tcp://red");
  expect(log).toEqual([]);
});

test("a container is the same object at each look", async () => {
  const blue = new PlayedEngine("blue").has("web", "db");
  blue.swarm = "s";
  blue.tasks = [container("shop.1")];
  const source = join([blue, new PlayedEngine("red").has("web")]);
  await through(source.connect(signal));
  await through(source.refresh(signal));
  const before = source.snapshot().containers;
  expect(before.length).toBe(4);
  expect(source.snapshot().containers.every((each, index) => each === before[index])).toBe(true);
});

test("what all are asked", () => {
  const [blue, red] = [new PlayedEngine("blue").has(), new PlayedEngine("red").has()];
  const source = join([blue, red]);
  void source.watch(LISTENER, signal);
  expect(["ending at red", "x"].map((id) => source.isEnding(id))).toEqual([true, false]);
  expect(["stopped at red", "x"].map((id) => source.remains(id))).toEqual([true, false]);
  expect(["new at red", "x"].map((id) => source.waited(id))).toEqual([7, undefined]);
  expect(source.rereadAt).toBeUndefined();
  red.rereadAt = 9;
  expect(source.rereadAt).toBe(9);
  red.listener?.disconnected();
  // It is read again once it is back.
  expect(source.rereadAt).toBeUndefined();
});

function gone(): PlayedEngine {
  return new PlayedEngine("red", false);
}

describe("an Engine that does not answer", () => {
  test("is waited for at first, for a while", async () => {
    const blue = new PlayedEngine("blue").has("web");
    const source = join([blue, gone()]);
    void source.watch(LISTENER, signal);
    const begun = Date.now();
    await through(source.refresh(signal));
    expect(Date.now() - begun).toBe(3_000);
    expect(names(source)).toEqual(["web@blue"]);
    expect(log).toEqual([
      "warn: the others are served; what is served of Engine red stays as it was",
    ]);
    await through(source.refresh(signal));
    expect(Date.now() - begun).toBe(3_000);
    expect(log.length).toBe(1);
  });

  test("holds up nobody once it answers", async () => {
    const [blue, red] = [new PlayedEngine("blue").has("web"), gone()];
    const source = join([blue, red]);
    void source.watch(LISTENER, signal);
    const begun = Date.now();
    const reading = source.refresh(signal);
    await elapse(1_000);
    red.has("db").listener?.connected();
    await until(() => red.refreshes === 1);
    await reading;
    expect(Date.now() - begun).toBe(1_000);
    expect(names(source)).toEqual(["web@blue", "db@red"]);
    expect(log).toEqual([]);
  });

  test("is not asked, and what it had stays", async () => {
    const [blue, red] = [new PlayedEngine("blue").has("web"), new PlayedEngine("red").has("db")];
    const source = join([blue, red]);
    void source.watch(LISTENER, signal);
    await through(source.refresh(signal));
    red.listener?.disconnected();
    red.listener?.disconnected();
    expect(heard.filter((each) => each === "changed").length).toBe(1);
    await through(source.refresh(signal));
    expect([blue.refreshes, red.refreshes]).toEqual([2, 1]);
    expect(names(source)).toEqual(["web@blue", "db@red"]);
    expect([source.isComplete, source.learn(["abc"])]).toEqual([true, true]);
  });
});

describe("what an earlier gateway knew", () => {
  const DB = at("red", "db");
  const remembered: Remembered = {
    containers: [DB, at("green", "old")],
    networks: { drivers: { back: "bridge" }, gateways: ["172.18.0.1"] },
  };

  test("stays until its Engine has told everything", async () => {
    const [blue, red] = [new PlayedEngine("blue").has("web"), new PlayedEngine("red", false)];
    const source = join([blue, red], remembered);
    void source.watch(LISTENER, signal);
    await through(source.refresh(signal));
    // One that is not asked any more is forgotten.
    expect(names(source)).toEqual(["web@blue", "db@red"]);
    // Nobody else need be asked what was served of it.
    expect([source.isComplete, source.learn(["abc"])]).toEqual([true, true]);
    red.listener?.connected();
    expect([source.isComplete, source.learn(["abc"])]).toEqual([false, false]);
    await through(source.refresh(signal));
    expect(names(source)).toEqual(["web@blue", "db@red"]);
    // It asks for what it has not told of.
    expect(red.asked).toEqual(["abc", DB.id]);
    red.has("other");
    await through(source.refresh(signal));
    expect(names(source)).toEqual(["web@blue", "other@red"]);
    expect(source.isComplete).toBe(true);
  });

  test("has the networks of the Engine of this machine, too", async () => {
    const [blue, red] = [new PlayedEngine("blue", false), new PlayedEngine("red").has("db")];
    const source = join([blue, red], remembered);
    void source.watch(LISTENER, signal);
    await through(source.refresh(signal));
    expect(source.snapshot()).toMatchObject(remembered.networks);
    blue.has("web").listener?.connected();
    expect(source.snapshot().gateways).toEqual(["of blue"]);
  });

  test("is nothing where a gateway for one Engine was there before: then nothing is taken away", async () => {
    const blue = new PlayedEngine("blue").has("web");
    const all = [blue, new PlayedEngine("red", false)].map((source) => {
      return { name: source.name, url: "", isHere: false, source };
    });
    const source = new JoinedSource(all, undefined, listLogger(log));
    void source.watch(LISTENER, signal);
    await through(source.refresh(signal));
    expect([source.isComplete, source.learn(["abc"])]).toEqual([false, false]);
    expect(log.join()).toContain("of servers that are there already, none is removed before");
  });
});

test("the same Engine under two names is told once, and each container is there once", async () => {
  const [blue, red] = [new PlayedEngine("blue").has("a", "b"), new PlayedEngine("red").has()];
  red.own = {
    ...red.own,
    containers: blue.own.containers.map((each) => ({ ...each, engine: "red" })),
  };
  const source = join([blue, red]);
  await through(source.connect(signal));
  await through(source.refresh(signal));
  expect(source.snapshot().containers.map(({ engine }) => engine)).toEqual(["blue", "blue"]);
  source.snapshot();
  expect(log.length).toBe(1);
  expect(log[0]).toContain("Engines blue and red have the same containers, so they are one");
});

describe("managers of one swarm", () => {
  const OF_SWARM = { serviceId: "s1", service: "shop", isLocal: false, published: [] };
  const task = container("shop.1", { task: OF_SWARM });
  let [blue, red] = [new PlayedEngine("blue"), new PlayedEngine("red")];
  let source: JoinedSource;

  beforeEach(() => {
    [blue, red] = [new PlayedEngine("blue").has("a"), new PlayedEngine("red").has("b")];
    for (const manager of [blue, red]) {
      manager.swarm = "swarm";
      manager.tasks = [{ ...task }];
    }
    source = join([blue, red]);
    void source.watch(LISTENER, signal);
  });
  const asked = (): string[] =>
    source.snapshot().containers.flatMap(({ name, task: own }) => (own === undefined ? [] : name));

  test("tell their tasks once, and the next one is asked where one is gone", () => {
    expect(asked()).toEqual(["shop.1@blue"]);
    blue.listener?.disconnected();
    expect(asked()).toEqual(["shop.1@red"]);
    red.listener?.disconnected();
    // Nobody can be asked: it stays as it is.
    expect(asked()).toEqual(["shop.1@red"]);
    blue.listener?.connected();
    expect(asked()).toEqual(["shop.1@blue"]);
    expect(names(source).toSorted()).toEqual(["a@blue", "b@red", "shop.1@blue"]);
  });

  test("are asked only as long as they tell of it", () => {
    blue.tellsOfSwarm = false;
    expect(asked()).toEqual(["shop.1@red"]);
    red.tellsOfSwarm = false;
    expect(asked()).toEqual(["shop.1@blue"]);
  });

  test("of two swarms tell both", () => {
    red.swarm = "other";
    red.tasks = [container("shop.1 of the other", { task: OF_SWARM })].map((each) => {
      return { ...each, name: "shop.1" };
    });
    expect(asked()).toEqual(["shop.1@blue", "shop.1@red"]);
  });

  test("are worth more than what an Engine says of the container of a task", () => {
    red.swarm = "";
    red.tasks = [];
    red.own = {
      ...red.own,
      containers: [container("shop.1", { engine: "red" })],
    };
    expect(names(source).toSorted()).toEqual(["a@blue", "shop.1@blue"]);
    expect(log).toEqual([]);
  });

  test("a task that an earlier gateway knew does not come back beside them", () => {
    const old = at("green", "shop.0", { task: { ...OF_SWARM, swarm: "swarm" } });
    const green = new PlayedEngine("green", false);
    const joined = join([blue, green], { ...NOTHING, containers: [old] });
    void joined.watch(LISTENER, signal);
    expect(names(joined).toSorted()).toEqual(["a@blue", "shop.1@blue"]);
    blue.swarm = "another";
    expect(names(joined)).toContain("shop.0@green");
  });
});
