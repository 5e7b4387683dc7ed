// A real Engine that answers only a part of what it is asked: what it does tell is acted on at once.

import {
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { removeAll, run, type Container } from "../lab/containers.ts";
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import { detailsOf } from "./details.ts";
import { BRIEF_HOLD, closeGateways, gatewayDir, startGateway, type Gateway } from "./gateway.ts";
import { states } from "./running-haproxy.ts";
import { StrangeEngine } from "./strange-engine.ts";
import { Traffic } from "./traffic.ts";

setDefaultTimeout(120_000);

/** What is not held back is served by then, on a loaded machine too; an answer is given up after 30 s. */
const AT_ONCE_MS = 15_000;
/** In seconds. */
const HOUR = 3_600;

const addresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((each = []) => each.map(({ address }) => address));

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  // What does not depend on HAProxy's version is tested once.
  const detail = detailsOf(version);
  let engine: Engine;
  let odd: StrangeEngine;

  beforeAll(async () => {
    engine = await sharedEngine();
    for (const image of ["half/one:1", "half/two:1", "half/three:1"]) {
      await importImage(engine, image, { expose: [8000] });
    }
  });
  beforeEach(() => {
    odd = new StrangeEngine(engine, join(gatewayDir(), "odd.sock"));
  });
  afterEach(async () => {
    await odd.stop();
    await removeAll(engine);
    closeGateways();
  });

  const start = (dir?: string): Promise<Gateway> =>
    startGateway({
      version,
      dockerHost: odd.dockerHost,
      flags: [BRIEF_HOLD],
      ...(dir === undefined ? {} : { dir }),
    });

  /** Starts a container and waits until it is served, which must be soon. */
  async function servedAtOnce(gateway: Gateway, image: string): Promise<Container> {
    const begun = performance.now();
    const container = await run(engine, `${image}:1`);
    await gateway.served(`/${image}/`, container.name);
    expect(performance.now() - begun).toBeLessThan(AT_ONCE_MS);
    return container;
  }

  for (const trick of ["hold", "refuse", "cut"] as const) {
    detail(`networks that it does not tell: ${trick}`, async () => {
      odd.tricks.set("/networks", trick);
      const before = await run(engine, "half/one:1");
      const gateway = await start();
      await gateway.served("/half/one/", before.name);
      const container = await servedAtOnce(gateway, "half/two");
      await engine.docker.createNetwork({ Name: "half" });
      await container.remove();
      await gateway.answers("/half/two/", 403);
      const { level, message } = await gateway.logged(/^Cannot read "\/networks" of Docker/);
      expect(level).toBe("warn");
      expect(message).toContain("a macvlan or ipvlan network may get an address");
      expect(gateway.count(/"\/networks"/)).toBe(1);
      odd.release();
      await gateway.logged("the networks can be read again");
      expect(gateway.count(/^routed /)).toBe(2);
    });
  }

  test("a container that it does not tell of keeps its route, and holds up no other", async () => {
    const [stuck, other] = [await run(engine, "half/one:1"), await run(engine, "half/two:1")];
    const first = await start();
    await first.routed("/half/one/", stuck.name);
    await first.routed("/half/two/", other.name);
    const traffic = new Traffic({ port: first.port, target: "/half/one/", perSecond: 50 });
    await first.confirmed();
    await first.kill9();
    // Also by the digits that the files have, which it is asked by where the list is late.
    for (const id of [stuck.id, stuck.id.slice(0, 12)]) {
      odd.tricks.set(`/containers/${id}/json`, "hold");
    }
    const gateway = await startGateway({
      version,
      dockerHost: odd.dockerHost,
      flags: [BRIEF_HOLD],
      dir: first.dir,
      port: first.port,
    });
    await gateway.logged(/^connected to Docker/);
    await servedAtOnce(gateway, "half/three");
    await other.remove();
    await gateway.answers("/half/two/", 403);
    const { message } = await gateway.logged(/cannot be read/);
    expect(message).toBe(
      `container ${stuck.name} (${stuck.id.slice(0, 12)}) cannot be read and is served as ` +
        "Docker's list has it: the Engine gives no answer",
    );
    expect(gateway.count(/cannot be read/)).toBe(1);
    await stuck.kill();
    odd.release();
    await gateway.answers("/half/one/", 503);
    const { failures } = await traffic.stop();
    // Until it was killed.
    expect(failures.filter((failure) => !/answered 503/.test(failure))).toEqual([]);
    expect(gateway.count(/^reload: /)).toBeLessThanOrEqual(1);
  });

  for (const trick of ["hold", "refuse"] as const) {
    detail(`a list that it does not give: ${trick}`, async () => {
      const path = "/containers/json";
      odd.tricks.set(path, trick);
      const before = await run(engine, "half/one:1");
      const gateway = await start();
      expect((await gateway.logged(/^Cannot read "\/containers\/json"/)).level).toBe("error");
      const named = await servedAtOnce(gateway, "half/two");
      odd.release();
      await gateway.served("/half/one/", before.name);
      await gateway.logged("the list of containers can be read again");

      // Now that the containers are known, it is only a warning that there is no list.
      odd.tricks.set(path, trick);
      const lines = gateway.lines().length;
      gateway.signal("SIGHUP");
      await named.remove();
      await gateway.answers("/half/two/", 403);
      await servedAtOnce(gateway, "half/three");
      const { level } = await gateway.logged(/^Cannot read "\/containers\/json"/, lines);
      expect(level).toBe("warn");
      expect(gateway.count(/"\/containers\/json"/)).toBe(2);
    });
  }

  test("a list that it does not give at once: what is served stays", async () => {
    const container = await run(engine, "half/one:1");
    const first = await start();
    await first.routed("/half/one/", container.name);
    await first.confirmed();
    await first.kill9();
    odd.tricks.set("/containers/json", "hold");
    const gateway = await startGateway({
      version,
      dockerHost: odd.dockerHost,
      flags: [BRIEF_HOLD],
      dir: first.dir,
      port: first.port,
    });
    const traffic = new Traffic({ port: gateway.port, target: "/half/one/", perSecond: 50 });
    // The list does not tell of what was started before.
    await gateway.logged(/^connected to Docker/);
    await servedAtOnce(gateway, "half/two");
    await gateway.logged(/^Cannot read "\/containers\/json"/);
    odd.release();
    await servedAtOnce(gateway, "half/three");
    expect((await traffic.stop()).failures).toEqual([]);
  });
});

describe("an Engine", () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await sharedEngine();
    await importImage(engine, "half/one:1", { expose: [8000] });
  });
  afterEach(async () => {
    await removeAll(engine);
    closeGateways();
  });

  test("whose clock is ahead does not tell old news when it is connected to again", async () => {
    const socket = join(gatewayDir(), "odd.sock");
    const odd = new StrangeEngine(engine, socket, { ahead: HOUR });
    const survivor = await run(engine, "half/one:1", { ignoreTerm: true });
    const other = await run(engine, "half/one:1");
    await survivor.kill("SIGTERM");
    const killedAt = await engineTime();
    // The last seconds are told again.
    await eventually(async () => expect(await engineTime()).toBeGreaterThan(killedAt + 4_000));
    const gateway = await startGateway({ dockerHost: odd.dockerHost });
    for (const { name } of [survivor, other]) await gateway.served("/half/one/", name);
    await odd.stop();
    const again = new StrangeEngine(engine, socket, { ahead: HOUR });
    await gateway.until(() => expect(gateway.count(/^connected to Docker/)).toBe(2));
    const third = await run(engine, "half/one:1");
    await gateway.served("/half/one/", third.name);
    expect(gateway.count(/it is stopping/)).toBe(0);
    await again.stop();
  });

  /** In milliseconds since 1970. */
  async function engineTime(): Promise<number> {
    const { SystemTime } = (await engine.docker.info()) as { SystemTime: string };
    return Date.parse(SystemTime);
  }

  test("that stops a container for longer than its own stop time: no requests until it ends", async () => {
    // It does not tell that a container is to stop, only that it has ended.
    if (testFlavour() === "podman") return;
    const gateway = await startGateway({ dockerHost: engine.dockerHost });
    const slow = await run(engine, "half/one:1", { graceMs: 4_000, create: { StopTimeout: 1 } });
    const other = await run(engine, "half/one:1");
    for (const { name } of [slow, other]) await gateway.served("/half/one/", name);
    const stopping = slow.stop(30);
    await gateway.logged(new RegExp(`^no requests for .*${slow.name}, it is stopping`));
    const traffic = new Traffic({ port: gateway.port, target: "/half/one/", perSecond: 50 });
    await stopping;
    const { failures, answered, requests } = await traffic.stop();
    expect(failures).toEqual([]);
    expect(requests).toBeGreaterThan(100);
    expect([...answered.keys()]).toEqual([other.name]);
    expect(gateway.count(new RegExp(`^routed .*${slow.name}`))).toBe(1);
  });

  test("that has taken the network of its last container away, and not said that it ended", async () => {
    const odd = new StrangeEngine(engine, join(gatewayDir(), "odd.sock"));
    const gateway = await startGateway({ dockerHost: odd.dockerHost });
    const container = await run(engine, "half/one:1");
    await gateway.served("/half/one/", container.name);
    odd.tricks.set(`/containers/${container.id}/json`, "repeat");
    const { Networks } = (await container.inspect()).NetworkSettings;
    const [bridge = ""] = Object.values(Networks).map(({ Gateway }) => Gateway);
    await container.kill();
    // The bridge has no other container now, and some programs do not see its address any more.
    await eventually(() => expect(addresses()).not.toContain(bridge));
    // The second time it is asked for, the first answer has been acted on.
    for (let count = 0; count < 2; count++) {
      const asked = odd.asked.length;
      gateway.signal("SIGHUP");
      await gateway.until(() => {
        expect(odd.asked.slice(asked).join()).toContain(`/containers/${container.id}/json`);
      });
    }
    expect(gateway.count(/not routed|^removed/)).toBe(0);
    odd.release();
    gateway.signal("SIGHUP");
    await gateway.logged(/^removed .*, it has ended/);
    expect(gateway.count(/not routed/)).toBe(0);
    await odd.stop();
  });

  test("with a container that crashes again and again: that is told some times, and then counted", async () => {
    const gateway = await startGateway({ dockerHost: engine.dockerHost });
    const healthy = await run(engine, "half/one:1");
    await gateway.served("/half/one/", healthy.name);
    // Long enough to be seen each time.
    const cmd = ["sh", "-c", "sleep 0.3; exit 1"];
    const crashing = await run(engine, "half/one:1", { restart: "always", cmd });
    const lines = (): number => gateway.count(new RegExp(`container ${crashing.name}[, ]`));
    await gateway.logged(`container ${crashing.name} comes and goes: 12 changes in`);
    const [told, { RestartCount }] = [lines(), await crashing.inspect()];
    await gateway.until(async () => {
      expect((await crashing.inspect()).RestartCount).toBeGreaterThan(RestartCount);
    });
    await gateway.until(async () => {
      const [state] = Object.entries(await states(gateway)).filter(([id]) =>
        crashing.id.startsWith(id),
      );
      expect(state).toBeUndefined();
    });
    expect(lines()).toBe(told);
    expect(told).toBe(13);
    await gateway.served("/half/one/", healthy.name);
  });
});
