// Servers that come, stop, move and go while HAProxy runs: who gets a request, and when.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { haproxyVersions } from "../../lab/haproxy.ts";
import { eventually } from "../../lab/http.ts";
import { deadEnd, freePort, startApp, type App } from "../../lab/app.ts";
import { holdNext } from "../../lab/asking.ts";
import { containerName, serviceOf, Site, START_MS, type Service } from "../../lab/proxy.ts";
import { startRecorder } from "../../lab/recorder.ts";
import { Running, type RunningOptions } from "../../lab/running.ts";

setDefaultTimeout(START_MS);

/** How many requests are sent to see who gets them; even, so that two servers get the same. */
const ASKED = 20;

const DRAIN_ALONE = /^set server \S+ state drain;show cli level/;
const HELD_MS = 50;

describe.each(haproxyVersions())("servers, HAProxy %s", (version) => {
  let site: Site;
  let running: Running;
  const apps: App[] = [];

  beforeEach(async () => {
    site = await Site.make(version);
  });

  afterEach(async () => {
    await running.stop();
    for (const app of apps.splice(0)) await app.stop();
    expect(running.reloads).toEqual([]);
  });

  test("one whose port answers is up when the change is made", async () => {
    const [old, young] = [await newApp(), await newApp()];
    await start([of(old)]);
    expect(await running.serve([of(old), of(young)])).toBe("commands");
    expect(await statuses()).toEqual({ [old.name]: "UP", [young.name]: "UP" });
    expect(await askOften()).toEqual({ [old.name]: ASKED / 2, [young.name]: ASKED / 2 });
  });

  test("one whose port is dead gets no request before it answers", async () => {
    const old = await newApp();
    const dead = { image: "foo", name: "dead", address: "127.0.0.1", port: await freePort() };
    await start([of(old)]);
    expect(await running.serve([of(old), dead])).toBe("commands");
    expect(await askOften()).toEqual({ [old.name]: ASKED });
    await eventually(async () => expect((await statuses())["dead"]).toBe("DOWN"));
    expect((await server("dead")).chosen).toBe(0);

    await newApp({ name: "late", port: dead.port });
    await eventually(async () => expect((await statuses())["dead"]).toBe("UP"));
    expect(await askOften()).toEqual({ [old.name]: ASKED / 2, late: ASKED / 2 });
  });

  test("where none answers yet, the answer is 503 until one does", async () => {
    const dead = { image: "foo", name: "dead", address: "127.0.0.1", port: await freePort() };
    await start([]);
    await running.serve([dead]);
    const response = await site.ask({ target: "/foo" });
    expect([response.status, response.header("Retry-After")]).toEqual([503, "5"]);
    await newApp({ name: "late", port: dead.port });
    await eventually(async () => expect((await site.ask({ target: "/foo" })).body).toBe("late"));
  });

  test("disabled, it finishes what it has and gets nothing new; enabled, it does again", async () => {
    const [one, two] = [await newApp(), await newApp()];
    await start([of(one), of(two)]);
    await askOften();
    const held = await hold(two);
    expect(await running.serve([of(one), of(two, { state: "paused" })])).toBe("commands");
    expect((await statuses())[two.name]).toBe("DRAIN");
    expect(await askOften()).toEqual({ [one.name]: ASKED });
    expect(await held.finish()).toBe(200);

    expect(await running.serve([of(one), of(two)])).toBe("commands");
    expect(await askOften()).toEqual({ [one.name]: ASKED / 2, [two.name]: ASKED / 2 });
  });

  test("enabled with a dead port, it gets nothing", async () => {
    const [one, two] = [await newApp(), await newApp()];
    await start([of(one), of(two)]);
    await running.serve([of(one), of(two, { health: "unhealthy" })]);
    await two.stop();
    await running.serve([of(one), of(two)]);
    await eventually(async () => expect((await statuses())[two.name]).toBe("DOWN"));
    expect(await askOften()).toEqual({ [one.name]: ASKED });
  });

  test("one that is added while it is not healthy comes up when it is", async () => {
    const [one, two] = [await newApp(), await newApp()];
    await start([of(one)]);
    await running.serve([of(one), of(two, { health: "starting" })]);
    expect((await statuses())[two.name]).toBe("MAINT");
    expect(await askOften()).toEqual({ [one.name]: ASKED });
    await running.serve([of(one), of(two, { health: "healthy" })]);
    // A busy machine needs more than one look at its port.
    await eventually(async () => expect((await statuses())[two.name]).toBe("UP"));
  });

  test.each(["another port", "another address", "IPv6"])("moved to %s", async (where) => {
    const [one, old] = [await newApp(), await newApp()];
    const address = { "another port": "127.0.0.1", "another address": "127.0.0.2", IPv6: "::1" };
    const young = await newApp({ address: address[where] ?? "" });
    await start([of(one), of(old, { name: "moves" })]);
    await askOften();
    expect(await running.serve([of(one), of(young, { name: "moves" })])).toBe("commands");
    expect((await statuses())["moves"]).toBe("UP");
    expect(await askOften()).toEqual({ [one.name]: ASKED / 2, [young.name]: ASKED / 2 });
  });

  test("moved to a dead port, it gets nothing", async () => {
    const [one, two] = [await newApp(), await newApp()];
    await start([of(one), of(two)]);
    const moved = { port: await freePort(), name: two.name };
    await running.serve([of(one), of(two, moved)]);
    await eventually(async () => expect((await statuses())[two.name]).toBe("DOWN"));
    expect(await askOften()).toEqual({ [one.name]: ASKED });
  });

  test("whether from the file or added, it can be removed and added again", async () => {
    const [one, two, three] = [await newApp(), await newApp(), await newApp()];
    await start([of(one), of(two)]);
    await running.serve([of(one), of(two), of(three)]);
    expect(await running.serve([of(one)])).toBe("commands");
    await eventually(async () => expect(Object.keys(await statuses())).toEqual([one.name]));
    expect(await askOften()).toEqual({ [one.name]: ASKED });
    await running.serve([of(two), of(three)]);
    await eventually(async () => {
      expect(Object.keys(await statuses()).toSorted()).toEqual([two.name, three.name].toSorted());
    });
    expect(await askOften()).toEqual({ [two.name]: ASKED / 2, [three.name]: ASKED / 2 });
  });

  test("removed while it answers, it may finish", async () => {
    const [one, two] = [await newApp(), await newApp()];
    await start([of(one), of(two)]);
    const held = await hold(two);
    await running.serve([of(one)]);
    expect(await askOften()).toEqual({ [one.name]: ASKED });
    expect((await statuses())[two.name]).toBe("DRAIN");
    expect(await held.finish()).toBe(200);
    await eventually(async () => expect(Object.keys(await statuses())).toEqual([one.name]));
  });

  test("removed while it answers, it is cut off after its time", async () => {
    const [one, two] = [await newApp(), await newApp()];
    await start([of(one), of(two)], { grace: 300 });
    const held = await hold(two);
    const started = performance.now();
    await running.serve([of(one)]);
    expect(await held.answered()).toBe(1);
    expect(performance.now() - started).toBeGreaterThan(290);
    await eventually(async () => expect(Object.keys(await statuses())).toEqual([one.name]));
  });

  test("removed and wanted again before it went, it stays", async () => {
    const [one, two] = [await newApp(), await newApp()];
    await start([of(one), of(two)]);
    const held = await hold(two);
    await running.serve([of(one)]);
    expect((await statuses())[two.name]).toBe("DRAIN");
    expect(await running.serve([of(one), of(two)])).toBe("commands");
    expect(await held.finish()).toBe(200);
    expect(await askOften()).toEqual({ [one.name]: ASKED / 2, [two.name]: ASKED / 2 });
    // Longer than it takes to look whether it can go.
    await Bun.sleep(300);
    expect((await statuses())[two.name]).toBe("UP");
  });

  test("removed and wanted again at another address before it went, it moves", async () => {
    const [one, two, three] = [await newApp(), await newApp(), await newApp()];
    await start([of(one), of(two)]);
    const held = await hold(two);
    await running.serve([of(one)]);
    await running.serve([of(one), of(three, { name: two.name })]);
    expect(await askOften()).toEqual({ [one.name]: ASKED / 2, [three.name]: ASKED / 2 });
    expect(await held.finish()).toBe(200);
  });

  test("one that is drained while it is enabled is known to be, or enabled", async () => {
    const [one, two] = [await newApp(), await newApp()];
    const recorder = await startRecorder(site.setup.paths.haproxy.statsSocket);
    // Said first, and heard by HAProxy last.
    recorder.onSent = (text) => (DRAIN_ALONE.test(text) ? Bun.sleep(HELD_MS) : undefined);
    const others = await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        return { image: "foo", name: `dead-${index}`, ...(await deadEnd()) };
      }),
    );
    const paused = [of(one), of(two, { state: "paused" })];
    const all = [of(one), of(two), ...others];
    await start(paused, { socket: recorder.socket });
    const name = Object.keys(await running.servers()).find((key) => nameIn(key) === two.name);
    for (const ms of [0, 1, 2, 3, 4, 6]) {
      const change = running.serve(all);
      await Bun.sleep(ms);
      running.runtime.drain("foo", name?.slice("foo/".length) ?? "");
      await change;
      await Bun.sleep(2 * HELD_MS);
      await running.serve(all);
      expect((await statuses())[two.name]).toBe("UP");
      await running.serve(paused);
    }
    await recorder.close();
  });

  test("what HAProxy was told is in its files", async () => {
    const [one, two, three] = [await newApp(), await newApp(), await newApp()];
    await start([of(one), of(two)]);
    await running.serve([of(one), of(two, { state: "paused" }), of(three)]);
    await running.serve([of(two, { state: "paused" }), of(three)]);
    await running.written(site.render([of(two, { state: "paused" }), of(three)]).files);
  });

  async function newApp(options: Parameters<typeof startApp>[0] = {}): Promise<App> {
    const app = await startApp(options);
    apps.push(app);
    return app;
  }

  async function start(services: Service[], options?: RunningOptions): Promise<void> {
    running = await Running.start(site, site.render(services).files, options);
    await eventually(async () => {
      const found = Object.values(await statuses());
      if (found.some((status) => !/^(UP|MAINT)/.test(status))) throw new Error(String(found));
    });
  }

  /** The statuses by the containers' names. */
  async function statuses(): Promise<Record<string, string>> {
    const found = Object.entries(await running.servers());
    return Object.fromEntries(
      // A check that did not pass yet in all its tries is told behind the word.
      found.map(([key, { status }]) => [nameIn(key), status.replace(/ .*/, "")]),
    );
  }

  async function server(name: string) {
    const found = Object.entries(await running.servers()).find(([key]) => nameIn(key) === name);
    if (found === undefined) throw new Error(`HAProxy has no server of ${name}`);
    return found[1];
  }

  /** Who answers many requests, none of which fails. */
  async function askOften(): Promise<Record<string, number>> {
    const answered: Record<string, number> = {};
    for (let count = 0; count < ASKED; count++) {
      const { status, body } = await site.ask({ target: "/foo" });
      expect(status).toBe(200);
      answered[body] = (answered[body] ?? 0) + 1;
    }
    return answered;
  }

  /** Lets an app keep a request until it is told to answer. */
  async function hold(app: App) {
    const held = holdNext(app);
    // Every second request is this app's. POST, as it may not be sent again when it is cut off.
    const question = { target: "/foo", method: "POST" };
    const asked = Promise.all([1, 2].map(() => site.ask(question).catch(() => undefined)));
    await held.received;
    return {
      /** Answers it and gives the status that its client gets. */
      finish: async () => {
        held.answer();
        return (await asked).find((response) => response?.body === "held")?.status;
      },
      /** Waits for the end of both; gives how many of them went well. */
      answered: async () => (await asked).filter((response) => response?.status === 200).length,
    };
  }
});

function of(app: App, more: Partial<Service> = {}): Service {
  return serviceOf(app, { image: "foo", name: app.name, ...more });
}

/** The name of the container that a server, given as `backend/server`, stands for. */
function nameIn(key: string): string {
  return containerName(key.slice(key.indexOf("/") + 1));
}
