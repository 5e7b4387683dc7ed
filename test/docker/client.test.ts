// An Engine that gives no answer: every question has its limit, and the watch comes back, for ever.

import { afterEach, beforeEach, describe, expect, jest, spyOn, test } from "bun:test";
import { join } from "node:path";
import { DockerClient } from "../../src/docker/client.ts";
import { createTransport } from "../../src/docker/transport.ts";
import { watchDocker } from "../../src/docker/watch.ts";
import { elapse, through, until, useFakeClock } from "../lab/fake-clock.ts";
import { failure } from "../lab/folder.ts";
import { labDir } from "../lab/leftovers.ts";
import { PlayedEngine } from "../lab/played-engine.ts";
import { listLogger } from "../lab/proxy.ts";

const { signal } = new AbortController();
const NEVER = Promise.withResolvers<Response>().promise;

let socket: string;
let engine: PlayedEngine;
let client: DockerClient;

useFakeClock();
beforeEach(() => {
  // No delay is longer than it says.
  spyOn(Math, "random").mockReturnValue(0);
  socket = join(labDir("silent"), "docker.sock");
  engine = new PlayedEngine(socket);
  client = new DockerClient(
    createTransport({ kind: "unix", path: socket }, undefined),
    "",
    "never",
  );
});
afterEach(async () => {
  await engine.stop();
  jest.restoreAllMocks();
});

/** How often the Engine was asked for this. */
function timesAsked(path: string): number {
  return engine.asked.filter((each) => each === path).length;
}

/** Whether something waits for its time. */
function hasTimer(): boolean {
  return jest.getTimerCount() === 1;
}

/** From now on the Engine takes this question and gives no answer, not even its headers. */
function silence(path: string): void {
  engine.odd.set(path, () => NEVER);
}

/** An answer of which only the headers come. */
function headersOnly(): Response {
  return new Response(
    new ReadableStream({
      pull: () => NEVER.then(() => undefined),
      start(controller) {
        controller.enqueue(new TextEncoder().encode("["));
      },
    }),
  );
}

describe("no answer", () => {
  const ID = "a".repeat(64);
  type Ask = () => Promise<unknown>;

  test.each<[string, number, () => Ask]>([
    ["/events", 10, () => () => client.events(0, signal)],
    [`/containers/${ID}/json`, 30, () => () => client.inspect(ID, signal)],
    ["/containers/json", 30, () => () => client.listContainers(signal)],
    ["/networks", 30, () => () => client.listNetworks(signal)],
    ["/_ping", 30, () => () => client.connect(signal)],
    ["/_ping", 5, () => () => client.ping(signal, 5_000)],
  ])("to %s in %d s", async (path, seconds, makeAsk) => {
    await client.connect(signal);
    silence(path);
    const asked = engine.asked.length;
    const failing = failure(makeAsk()());
    await until(() => engine.asked.slice(asked).includes(path));
    const begun = Date.now();
    const subject =
      path === "/_ping"
        ? `Cannot reach Docker at "unix://${socket}"`
        : `Cannot read "${path}" of Docker`;
    const { code, message } = await through(failing);
    expect([code, message, Date.now() - begun]).toEqual([
      "docker",
      `${subject}: no answer in ${seconds} s`,
      seconds * 1_000,
    ]);
    expect(jest.getTimerCount()).toBe(0);
  });

  test("after the headers has the same limit", async () => {
    await client.connect(signal);
    engine.odd.set("/networks", () => Promise.resolve(headersOnly()));
    const failing = failure(client.listNetworks(signal));
    await until(() => engine.asked.includes("/networks"));
    const { message } = await through(failing);
    expect(message).toBe('Cannot read "/networks" of Docker: no answer in 30 s');
  });

  test("is none of ours where the user ended it", async () => {
    await client.connect(signal);
    silence("/events");
    const end = new AbortController();
    const asking = client.events(0, end.signal).catch((error: unknown) => error);
    await until(() => engine.asked.includes("/events"));
    end.abort();
    expect(((await asking) as Error).name).toBe("AbortError");
  });
});

function refuse(): Promise<Response> {
  return Promise.resolve(Response.json({ message: "no leader" }, { status: 503 }));
}

test("a question that is refused is told without its filters", async () => {
  await client.connect(signal);
  for (const path of ["/tasks", "/services"]) engine.odd.set(path, refuse);
  const ids = ["one", "another"];
  const { message } = await failure(client.tasks({ service: ids }, signal));
  expect(message).toBe('Cannot read "/tasks" of Docker: it answered 503');
  const { message: other } = await failure(client.services(ids, signal));
  expect(other).toBe('Cannot read "/services?status=true" of Docker: it answered 503');
});

/** Answers a ping as an Engine does that is newer than the client knows. */
function isNewer(): void {
  const headers = { "Api-Version": "1.99" };
  engine.odd.set("/_ping", () => Promise.resolve(new Response("OK", { headers })));
}

/** What such an Engine says of its versions. */
function version(oldest: string): Promise<Response> {
  return Promise.resolve(Response.json({ ApiVersion: "1.99", MinAPIVersion: oldest }));
}

describe("an Engine that is newer than the client knows", () => {
  test.each<[string, () => Promise<Response>, string]>([
    ["takes older versions", () => version("1.44"), "1.51"],
    ["takes none of them", () => version("1.60"), "1.60"],
    ["refuses to tell", () => Promise.resolve(new Response("no", { status: 403 })), "1.51"],
    ["tells nonsense", () => Promise.resolve(new Response("<html>")), "1.51"],
  ])("and %s", async (_, answer, expected) => {
    isNewer();
    engine.odd.set("/version", answer);
    expect(await client.connect(signal)).toMatchObject({ apiVersion: expected });
  });

  test("and gives no answer is asked as if it refused, after 2 s", async () => {
    isNewer();
    silence("/version");
    const connecting = client.connect(signal);
    await until(() => engine.asked.includes("/version"));
    const begun = Date.now();
    expect(await through(connecting)).toMatchObject({ apiVersion: "1.51" });
    expect(Date.now() - begun).toBe(2_000);
  });

  test("is asked no more once the user ends it", async () => {
    isNewer();
    silence("/version");
    const end = new AbortController();
    const connecting = client.connect(end.signal).catch((error: unknown) => error);
    await until(() => engine.asked.includes("/version"));
    end.abort();
    expect(((await connecting) as Error).name).toBe("AbortError");
  });
});

test("the stream of events may be silent for ever", async () => {
  await client.connect(signal);
  const end = new AbortController();
  const reader = (await client.events(0, end.signal)).getReader();
  await reader.read();
  const reading = reader.read();
  await elapse(3_600_000);
  engine.add({ id: "a", name: "one", image: "foo", ip: "127.0.0.2", port: 80 });
  expect(new TextDecoder().decode((await reading).value)).toContain('"Action":"start"');
  end.abort();
});

describe("watching", () => {
  const NOTE = "what is served stays as it is; trying again";
  let log: string[];
  let told: string[];
  let end: AbortController;
  let watching: Promise<void>;

  beforeEach(() => {
    log = [];
    told = [];
    end = new AbortController();
  });
  afterEach(async () => {
    end.abort();
    await through(watching);
  });

  function watch(): void {
    const handlers = {
      connected: () => void told.push("connected"),
      event: () => void told.push("event"),
      disconnected: () => void told.push("disconnected"),
    };
    watching = watchDocker(client, handlers, listLogger(log), end.signal);
  }

  test.each<[string, Record<string, string>, number | undefined]>([
    ["its own clock", { Date: "Tue, 15 Nov 1994 08:12:31 GMT" }, 784_887_151 - 2],
    ["no clock", { Date: "" }, undefined],
  ])("asks for what happened since the Engine's %s", async (_, headers, since) => {
    const ping = () => Promise.resolve(new Response("OK", { headers }));
    engine.odd.set("/_ping", ping);
    const asking = spyOn(client, "events");
    watch();
    await until(() => told.length > 0);
    expect(asking.mock.calls[0]?.[0]).toBe(since as number);
    expect(engine.queries.at(-1)?.get("since")).toBe(since === undefined ? null : String(since));
  });

  test("an Engine that takes no subscription is told of once, and tried again", async () => {
    silence("/events");
    const begun = Date.now();
    const tries: number[] = [];
    const connect = client.connect.bind(client);
    spyOn(client, "connect").mockImplementation((limit) => {
      tries.push(Date.now() - begun);
      return connect(limit);
    });
    watch();
    for (let count = 1; count <= 5; count++) {
      await until(() => timesAsked("/events") === count && hasTimer());
      jest.advanceTimersToNextTimer();
      await until(hasTimer);
      jest.advanceTimersToNextTimer();
    }
    await until(() => timesAsked("/events") === 6 && hasTimer());
    // Its limit of 10 s, and then 0.1, 0.2, 0.4 ... s.
    expect(tries).toEqual([0, 10_100, 20_300, 30_700, 41_500, 53_100]);
    expect(log).toEqual([`error: Cannot read "/events" of Docker: no answer in 10 s (${NOTE})`]);
    expect(new Set(told)).toEqual(new Set(["disconnected"]));

    engine.odd.clear();
    jest.advanceTimersToNextTimer();
    await until(hasTimer);
    jest.advanceTimersToNextTimer();
    await until(() => told.at(-1) === "connected");
    expect(log.at(-1)).toBe(`connected to Docker at ${engine.dockerHost} (API 1.41)`);
  });

  test("one that ends each stream at once is told of once, and tried again later each time", async () => {
    engine.odd.set("/events", () => Promise.resolve(new Response("\n")));
    const begun = Date.now();
    const tries: number[] = [];
    const connect = client.connect.bind(client);
    spyOn(client, "connect").mockImplementation((limit) => {
      tries.push(Date.now() - begun);
      return connect(limit);
    });
    watch();
    for (let count = 1; count <= 5; count++) {
      await until(() => told.length === 2 * count && hasTimer());
      jest.advanceTimersToNextTimer();
    }
    await until(() => told.length === 12 && hasTimer());
    expect(tries).toEqual([0, 100, 300, 700, 1_500, 3_100]);
    const connected = `connected to Docker at ${engine.dockerHost} (API 1.41)`;
    expect(log).toEqual([connected, `warn: Docker closed its event stream (${NOTE})`, connected]);

    // One that lasts is as good as new.
    engine.odd.clear();
    jest.advanceTimersToNextTimer();
    await until(() => told.length === 13);
    await elapse(1_000);
    expect(log).toHaveLength(3);
    const lost = Date.now() - begun;
    await engine.stop();
    engine = new PlayedEngine(socket);
    await until(() => told.length === 14 && hasTimer());
    jest.advanceTimersToNextTimer();
    await until(() => told.length === 15);
    expect([tries.at(-1), log.length, log[4]]).toEqual([lost + 100, 5, connected]);
  });

  test("one that dies without a word is noticed within 15 s", async () => {
    watch();
    await until(() => told.length === 1);
    silence("/_ping");
    await elapse(10_000);
    await until(() => timesAsked("/_ping") === 2);
    await elapse(5_000);
    await until(() => told.length === 2);
    expect(told).toEqual(["connected", "disconnected"]);
    engine.odd.clear();
    await until(hasTimer);
    await elapse(100);
    await until(() => told.length === 3);
    expect(log[1]).toBe(
      `error: Cannot reach Docker at "unix://${socket}": no answer in 5 s (${NOTE})`,
    );
  });
});
