// An Engine that holds its word back: it delays nobody but the container that it is about.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { startApp, type App } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { detailsOf } from "./details.ts";
import { BRIEF_HOLD, closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { stateOf } from "./running-haproxy.ts";
import { idOf, Stage } from "./stage.ts";
import { Traffic } from "./traffic.ts";

setDefaultTimeout(120_000);

/** A real Engine answers so late while it starts or ends a container on a loaded machine. */
const HELD_MS = 3_000;
/** A container is started by then; before that the Engine only tells of its network. */
const STARTS_AFTER_MS = 500;

describe.each(haproxyVersions())("held back, HAProxy %s", (version) => {
  // What does not depend on HAProxy's version is tested once.
  const detail = detailsOf(version);
  let stage: Stage;
  let gateway: Gateway;
  const apps: App[] = [];

  beforeEach(async () => {
    stage = new Stage();
    gateway = await startGateway({ version, dockerHost: stage.dockerHost, flags: [BRIEF_HOLD] });
    await gateway.answers("/", 403);
  });

  afterEach(async () => {
    closeGateways();
    await stage.stop();
    for (const app of apps.splice(0)) await app.stop();
  });

  detail("one container's start and end wait for no other's", async () => {
    await prepare("stuck", "quick", "next");
    stage.patienceFor.set("stuck", HELD_MS);
    stage.tell("stuck", "start");
    const begun = performance.now();
    for (const name of ["quick", "next"]) {
      stage.tell(name, "start");
      await gateway.answers(`/${name}/`, 200);
    }
    stage.end("quick");
    await gateway.answers("/quick/", 403);
    expect(performance.now() - begun).toBeLessThan(HELD_MS);
    expect(gateway.count(/^routed \/stuck/)).toBe(0);
    await gateway.answers("/stuck/", 200);
    expect(performance.now() - begun).toBeGreaterThan(HELD_MS);
    const { message } = await gateway.logged(/^routed \/stuck/);
    expect(Number(/(\d+) ms\)$/.exec(message)?.[1])).toBeGreaterThanOrEqual(HELD_MS);
  });

  test("what has ended gets no requests before the Engine says more", async () => {
    await startReplicas("one", "two", "three", "four");
    const traffic = new Traffic({ port: gateway.port, target: "/same/", perSecond: 200 });
    stage.patience = HELD_MS;
    const begun = performance.now();
    for (const name of ["one", "two", "three"]) stage.tell(name, "die", { exitCode: "137" });
    for (const name of ["one", "two", "three"]) {
      await gateway.until(async () => expect(await stateOf(gateway, name)).toBe("DRAIN"));
    }
    // Had their ports closed before, HAProxy's checks might have noticed it first.
    for (const app of apps.slice(0, 3)) await app.stop();
    expect(performance.now() - begun).toBeLessThan(HELD_MS);
    for (const name of ["one", "two", "three"]) stage.drop(name);
    for (const name of ["one", "two", "three"]) {
      await gateway.until(async () => expect(await stateOf(gateway, name)).toBeUndefined());
    }
    expect((await traffic.stop()).failures).toEqual([]);
    expect(await stateOf(gateway, "four")).toBe("UP");
  });

  test("one that ended and runs again gets requests again", async () => {
    await startReplicas("one", "two");
    for (let count = 0; count < 100; count++) {
      // Below and above what the gateway waits for.
      stage.patience = (count % 5) * 10;
      stage.tell("one", "die", { exitCode: "1" });
      stage.tell("one", "start");
      await gateway.until(async () => expect(await stateOf(gateway, "one")).toBe("UP"));
    }
    expect(await stateOf(gateway, "two")).toBe("UP");
  });

  test("of all that go, the last is one that still runs", async () => {
    await startReplicas("leaves", "dies");
    stage.patience = HELD_MS;
    stage.kill("leaves");
    await gateway.until(async () => expect(await stateOf(gateway, "leaves")).toBe("DRAIN"));
    await apps[1]?.stop();
    stage.tell("dies", "die", { exitCode: "1" });
    await gateway.until(async () => {
      expect(await stateOf(gateway, "dies")).toBe("DRAIN");
      expect(await stateOf(gateway, "leaves")).toBe("UP");
    });
    expect((await gateway.get("/same/")).status).toBe(200);
  });

  detail("what happens to one while it is read is read too", async () => {
    await prepare("old");
    stage.change("old", { status: "exited" });
    stage.tellsOldNews = true;
    // Nobody waits for it any more when the next event comes, nor when that has been looked at.
    stage.patience = 300;
    stage.tell("old", "connect");
    await Bun.sleep(100);
    stage.change("old", { status: "running" });
    stage.tell("old", "start");
    await gateway.answers("/old/", 200);
  });

  detail(
    "one that fails late is told once and asked for once a second, and the others are served",
    async () => {
      await prepare("bad", "good");
      stage.failing.add("bad");
      stage.patienceFor.set("bad", 100);
      stage.tell("bad", "start");
      await gateway.logged(/cannot be read/);
      stage.tell("good", "start");
      await gateway.answers("/good/", 200);
      await Bun.sleep(HELD_MS);
      expect(gateway.count(/cannot be read/)).toBe(1);
      const asked = stage.asked.get(idOf("bad")) ?? 0;
      expect(asked).toBeGreaterThan(2);
      expect(asked).toBeLessThan(10);
      stage.failing.delete("bad");
      await gateway.answers("/bad/", 200);
    },
  );

  detail("old news does not end one that was started since", async () => {
    await prepare("again");
    stage.tell("again", "start");
    await gateway.answers("/again/", 200);
    stage.tellsOldNews = true;
    stage.patience = 10;
    for (let count = 0; count < 10; count++) {
      stage.change("again", { status: "exited" });
      stage.tell("again", "die", { exitCode: "1" });
      await Bun.sleep(5);
      stage.change("again", { status: "running" });
      stage.tell("again", "start");
      await Bun.sleep(50);
    }
    expect(gateway.count(/^removed /)).toBe(0);
    await gateway.answers("/again/", 200);
  });

  detail("the time until it is served counts from its start", async () => {
    await prepare("late");
    stage.change("late", { status: "exited" });
    stage.patienceFor.set("late", 2 * STARTS_AFTER_MS);
    stage.tell("late", "connect");
    await Bun.sleep(STARTS_AFTER_MS);
    stage.change("late", { status: "running" });
    stage.patienceFor.delete("late");
    stage.tell("late", "start");
    const { message } = await gateway.logged(/^routed \/late/);
    expect(Number(/(\d+) ms\)$/.exec(message)?.[1])).toBeLessThan(2 * STARTS_AFTER_MS);
  });

  /** Starts containers of one service. */
  async function startReplicas(...names: string[]): Promise<void> {
    await prepare(...names);
    for (const name of names) {
      stage.change(name, { image: "same" });
      stage.tell(name, "start");
      await gateway.until(async () => expect(await stateOf(gateway, name)).toBe("UP"));
    }
  }

  /** Has containers ready, each with an image of its own name, without a word of the Engine. */
  async function prepare(...names: string[]): Promise<void> {
    for (const name of names) {
      const app = await startApp();
      apps.push(app);
      stage.set(name, { image: name, ip: app.address, port: app.port });
    }
  }
});
