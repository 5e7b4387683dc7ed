// A container that is told to end gets no new request, at once, and never the last one of its service.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { startApp, type App } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { states, stateOf } from "./running-haproxy.ts";
import { idOf, Stage, type Part } from "./stage.ts";

setDefaultTimeout(120_000);

/** It takes some milliseconds, of which a loaded machine makes more now and then. */
const USUALLY_MS = 100;
const AT_ONCE_MS = 1_000;
/** An Engine may take so long to answer. */
const SLOW_MS = 2_500;

describe.each(haproxyVersions())("told to end, HAProxy %s", (version) => {
  let stage: Stage;
  let gateway: Gateway;
  let app: App;

  beforeEach(async () => {
    stage = new Stage();
    app = await startApp();
    gateway = await startGateway({ version, dockerHost: stage.dockerHost });
    await gateway.answers("/", 403);
  });

  afterEach(async () => {
    closeGateways();
    await stage.stop();
    await app.stop();
  });

  test("it is drained at once, and removed when it is gone", async () => {
    await start("one", "two");
    const took: number[] = [];
    for (let count = 0; count < 10; count++) {
      const name = `short-${count}`;
      await start(name);
      stage.kill(name);
      const told = performance.now();
      while ((await stateOf(gateway, name)) !== "DRAIN") {
        expect(performance.now() - told).toBeLessThan(AT_ONCE_MS);
      }
      took.push(performance.now() - told);
      stage.end(name);
      await gateway.until(async () => expect(await stateOf(gateway, name)).toBeUndefined());
    }
    expect(median(took)).toBeLessThan(USUALLY_MS);
    console.info(`HAProxy ${version}: drained ${median(took).toFixed(1)} ms after the signal`);
  });

  test("before anything else, however long it takes to read what else happened", async () => {
    await start("one", "two", "three", "four");
    stage.patience = SLOW_MS;
    for (const name of ["one", "two", "three"]) {
      // By whatever it ends.
      if (name === "two") stage.tell(name, "die", { exitCode: "1" });
      else stage.kill(name);
      const told = performance.now();
      while ((await stateOf(gateway, name)) !== "DRAIN") {
        expect(performance.now() - told).toBeLessThan(AT_ONCE_MS);
      }
    }
  });

  test.each([
    ["KILL", "9", {}],
    ["its own signal", "3", { stopSignal: "SIGQUIT" }],
  ] as const)("by %s", async (_, signal, more) => {
    await start("one");
    stage.start("two", part(more));
    await up("two");
    stage.kill("two", signal);
    await gateway.until(async () => expect(await stateOf(gateway, "two")).toBe("DRAIN"));
    expect(await stateOf(gateway, "one")).toBe("UP");
  });

  test("other signals change nothing", async () => {
    await start("one", "two");
    stage.kill("two", "1");
    stage.kill("two", "3");
    stage.kill("one", "15");
    await gateway.until(async () => expect(await stateOf(gateway, "one")).toBe("DRAIN"));
    expect(await stateOf(gateway, "two")).toBe("UP");
  });

  test("the last one of its service goes on", async () => {
    await start("one");
    stage.start("sick", part({ health: "unhealthy" }));
    stage.start("paused", part({ status: "paused" }));
    stage.start("other", part({ image: "bar" }));
    await up("other");
    stage.kill("one");
    stage.kill("other");
    // What comes later shows that it has been seen by then.
    await start("later-1");
    expect(await stateOf(gateway, "other")).toBe("UP");
    await gateway.until(async () => expect(await stateOf(gateway, "one")).toBe("DRAIN"));
  });

  test.each([2, 5])("of %d that are told so in one moment, the last one goes on", async (count) => {
    // In another order than by their names.
    const names = Array.from({ length: count }, (_, index) => `all-${count - index}`);
    await start(...names);
    const [first = "", last = ""] = [names[0], names.at(-1)];
    const expected = Object.fromEntries(
      names.map((name) => [idOf(name).slice(0, 12), name === last ? "UP" : "DRAIN"]),
    );
    stage.patience = SLOW_MS;
    for (const name of names) stage.kill(name);
    while ((await stateOf(gateway, first)) !== "DRAIN") await Bun.sleep(1);
    // Nobody has been read yet; and nobody has to.
    expect((await gateway.get("/foo")).status).toBe(200);
    await gateway.until(async () => expect(await states(gateway)).toEqual(expected));

    // And when everything has been looked at; being killed for good makes none the last one.
    stage.patience = 0;
    stage.kill(first, "9");
    stage.start("other", part({ image: "bar" }));
    await up("other");
    expect(await states(gateway)).toMatchObject(expected);
    expect((await gateway.get("/foo")).status).toBe(200);
  });

  test("restarted before anybody looked, it comes back", async () => {
    await start("one", "two");
    for (let count = 0; count < 5; count++) {
      stage.kill("two");
      stage.tell("two", "die");
      stage.tell("two", "start");
      await start(`later-${count}`);
      await up("two");
    }
    expect(gateway.count(/^reload: /)).toBe(1);
  });

  function part(more: Partial<Part> = {}): Part {
    return { image: "foo", ip: app.address, port: app.port, ...more };
  }

  /** Starts containers of one service and waits until they get requests. */
  async function start(...names: string[]): Promise<void> {
    for (const name of names) stage.start(name, part());
    for (const name of names) await up(name);
  }

  function up(name: string): Promise<void> {
    return gateway.until(async () => expect(await stateOf(gateway, name)).toBe("UP"));
  }
});

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}
