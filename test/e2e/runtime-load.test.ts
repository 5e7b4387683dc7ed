// Replicas that come and go under load: no request is lost, and what is not idempotent is sent once.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { reply, startApp, type Answerer, type App } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { Clients, MARK } from "./clients.ts";
import { closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { stateOf, underWay } from "./running-haproxy.ts";
import { Stage } from "./stage.ts";

setDefaultTimeout(120_000);

const ROUNDS = 12;
const CLIENTS = 4;
/** So that requests are under way whenever a container ends, in milliseconds. */
const THINKS_MS = 15;

describe.each(haproxyVersions())("under load, HAProxy %s", (version) => {
  let stage: Stage;
  let gateway: Gateway;
  let apps: Map<string, App>;
  /** The marks of the requests that the containers received, by method. */
  let received: { GET: string[]; POST: string[] };

  beforeEach(async () => {
    stage = new Stage();
    apps = new Map();
    received = { GET: [], POST: [] };
    gateway = await startGateway({ version, dockerHost: stage.dockerHost });
    await gateway.answers("/", 403);
    await startContainer("a");
    await startContainer("b");
    await gateway.logged(/^reload: /);
  });

  afterEach(async () => {
    closeGateways();
    await stage.stop();
    for (const app of apps.values()) await app.stop();
  });

  /** Replaces the containers one by one while clients ask. */
  async function roll(end: (name: string) => Promise<void>) {
    const clients = new Clients(gateway.port, "/foo", CLIENTS);
    const names = ["a", "b"];
    for (let round = 0; round < ROUNDS; round++) {
      const [old = "", next] = [names[round], `n${round}`];
      await startContainer(next);
      names.push(next);
      await end(old);
      await gateway.until(async () => expect(await stateOf(gateway, old)).toBeUndefined());
      collect(old);
    }
    const tally = await clients.stop();
    for (const name of apps.keys()) collect(name);
    expect(gateway.count(/^reload: /)).toBe(1);
    // Otherwise nothing has been shown.
    expect(tally.answered.GET).toBeGreaterThan(ROUNDS * CLIENTS);
    expect(tally.answered.POST).toBeGreaterThan(ROUNDS * CLIENTS);
    return tally;
  }

  test("containers that finish what they do lose nothing", async () => {
    const tally = await roll(async (name) => {
      stage.kill(name);
      await gateway.until(async () => {
        expect(await stateOf(gateway, name)).toBe("DRAIN");
        expect(await underWay(gateway, name)).toBe(0);
      });
      await apps.get(name)?.stop();
      stage.end(name);
    });
    expect(tally.failures).toEqual([]);
    expect(received.POST.toSorted()).toEqual([...new Set(received.POST)].toSorted());
    expect(received.POST).toHaveLength(tally.answered.POST);
  });

  test("of containers that end at once, only what must not be sent twice is lost", async () => {
    const tally = await roll(async (name) => {
      await apps.get(name)?.stop();
      stage.kill(name);
      stage.end(name);
    });
    expect(tally.failures.filter(({ method }) => method === "GET")).toEqual([]);
    expect(received.POST).toHaveLength(new Set(received.POST).size);
    expect(received.POST.length).toBeGreaterThanOrEqual(tally.answered.POST);
  });

  async function startContainer(name: string): Promise<void> {
    const answerer: Answerer = (_, socket) => {
      setTimeout(() => socket.end(reply(200, [["Connection", "close"]], name)), THINKS_MS);
      return undefined;
    };
    const app = await startApp({ name, answerer });
    apps.set(name, app);
    stage.start(name, { image: "foo", ip: app.address, port: app.port });
    await gateway.until(async () => expect(await stateOf(gateway, name)).toBe("UP"));
  }

  /** Takes over what a container has received. */
  function collect(name: string): void {
    for (const { method, values } of apps.get(name)?.received ?? []) {
      if (method === "GET" || method === "POST") received[method].push(...values(MARK));
    }
    apps.get(name)?.forget();
  }
});
