// Engines that are late, that go away and come back, that refuse, that hang, and that are odd.

import { afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, startEngine, type Engine } from "../lab/engine.ts";
import { importImage } from "../lab/images.ts";
import { closeGateways, gatewayDir, startGateway } from "./gateway.ts";
import { startRelay } from "./relay.ts";
import { StrangeEngine } from "./strange-engine.ts";

setDefaultTimeout(120_000);

const NOBODY = 65_534;

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "eng/one:1", { expose: [8000] });
  await importImage(engine, "eng/two:1", { expose: [8000] });
});

afterEach(async () => {
  await removeAll(engine);
  closeGateways();
});

test("one that is not up yet is waited for, and what to do is said once", async () => {
  const socket = join(gatewayDir(), "engine.sock");
  const container = await run(engine, "eng/one:1");
  const gateway = await startGateway({ dockerHost: `unix://${socket}` });
  const line = await gateway.logged(`Cannot reach Docker at "unix://${socket}"`);
  expect(line.details?.join()).toContain("start Docker (systemctl start docker)");
  expect(gateway.running).toBe(true);
  const relay = await startRelay(engine.socket, socket);
  await gateway.served("/eng/one/", container.name);
  expect(gateway.count("there is no such socket")).toBe(1);
  await relay.close();
});

test("one that ordinary users may not use: the message names the group docker", async () => {
  const socket = join(gatewayDir(), "engine.sock");
  const relay = await startRelay(engine.socket, socket);
  chmodSync(socket, 0o600);
  const container = await run(engine, "eng/one:1");
  const gateway = await startGateway({ dockerHost: relay.dockerHost, uid: NOBODY });
  const line = await gateway.logged("permission denied");
  expect(line.details?.join()).toContain("as a user of the group docker");
  expect(gateway.running).toBe(true);
  chmodSync(socket, 0o666);
  await gateway.served("/eng/one/", container.name);
  await relay.close();
});

test("one that is down for a while: what was served is, and what happened meanwhile is seen", async () => {
  const own = await startEngine();
  await importImage(own, "eng/one:1", { expose: [8000] });
  await importImage(own, "eng/two:1", { expose: [8000] });
  const gateway = await startGateway({ dockerHost: own.dockerHost });
  const stays = await run(own, "eng/one:1", { restart: "always" });
  const goes = await run(own, "eng/two:1");
  await gateway.served("/eng/one/", stays.name);
  await gateway.served("/eng/two/", goes.name);
  const { Pid } = (await goes.inspect()).State;

  // Killed, it leaves its containers alone.
  await own.stopDaemon("SIGKILL");
  await gateway.logged(/lost Docker|closed its event stream|Cannot reach Docker/);
  await gateway.served("/eng/one/", stays.name);
  await gateway.served("/eng/two/", goes.name);
  process.kill(Pid, "SIGKILL");
  await gateway.answers("/eng/two/", 503);

  await own.startDaemon();
  await gateway.answers("/eng/two/", 403);
  await gateway.served("/eng/one/", stays.name);
  const next = await run(own, "eng/two:1");
  await gateway.served("/eng/two/", next.name);
  expect(gateway.count(/^connected to Docker/)).toBe(2);
  await own.stop();
});

describe("an odd one", () => {
  test("that refuses API versions under 1.44", async () => {
    const versions = { oldest: "1.44", newest: "1.52" };
    const odd = new StrangeEngine(engine, join(gatewayDir(), "odd.sock"), { versions });
    const container = await run(engine, "eng/one:1");
    const gateway = await startGateway({ dockerHost: odd.dockerHost });
    await gateway.served("/eng/one/", container.name);
    const { message } = await gateway.logged(/^connected to Docker .*\(API 1\.\d+\)$/);
    expect(Number(/1\.(\d+)/.exec(message)?.[1])).toBeGreaterThanOrEqual(44);
    expect(gateway.count("too old")).toBe(0);
    await odd.stop();
  });

  test("that refuses what DOCKER_API_VERSION says", async () => {
    const versions = { oldest: "1.44", newest: "1.52" };
    const odd = new StrangeEngine(engine, join(gatewayDir(), "odd.sock"), { versions });
    const gateway = await startGateway({
      dockerHost: odd.dockerHost,
      env: { DOCKER_API_VERSION: "1.30" },
    });
    const line = await gateway.logged(/^Cannot read "\/events" of Docker: it answered 400/);
    expect(line.details?.join()).toContain("client version 1.30 is too old");
    expect(line.details?.join()).toContain("unset DOCKER_API_VERSION");
    expect(gateway.running).toBe(true);
    await odd.stop();
  });

  test("that fails for one container: all others are served", async () => {
    const failing = new Set<string>();
    const odd = new StrangeEngine(engine, join(gatewayDir(), "odd.sock"), { failing });
    const gateway = await startGateway({ dockerHost: odd.dockerHost });
    const [before, ill] = [await run(engine, "eng/one:1"), await run(engine, "eng/one:1")];
    await gateway.served("/eng/one/", before.name);
    await gateway.served("/eng/one/", ill.name);
    failing.add(ill.id);
    await engine.docker.getContainer(ill.id).pause();
    const warning = `container ${ill.name} (${ill.id.slice(0, 12)}) cannot be read`;
    const line = await gateway.logged(warning);
    expect(line).toMatchObject({ level: "warn" });
    const other = await run(engine, "eng/two:1");
    await gateway.served("/eng/two/", other.name);
    await gateway.served("/eng/one/", before.name);
    expect(gateway.count(warning)).toBe(1);
    failing.clear();
    await gateway.logged(new RegExp(`^no requests for /eng/one .*${ill.name}, it is paused`));
    await engine.docker.getContainer(ill.id).unpause();
    await gateway.served("/eng/one/", ill.name);
    await odd.stop();
  });
});
