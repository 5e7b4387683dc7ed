// A gateway in a container on the network of the tasks: it reaches each of them at its own address.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { startBerth, startSwarm, type Berth, type Swarm } from "../lab/swarm.ts";
import {
  BRIEF_HOLD,
  closeGateways,
  startGateway,
  type Gateway,
  type GatewayOptions,
} from "../e2e/gateway.ts";
import { Traffic } from "../e2e/traffic.ts";
import {
  createService,
  removeServices,
  running,
  setAvailability,
  updated,
  updateService,
} from "./services.ts";

setDefaultTimeout(120_000);

const PER_SECOND = 200;
const SHOP = { image: "acme/shop:1.0", networks: ["backend"], graceMs: 500 };

let swarm: Swarm;
let berth: Berth;
let gateway: Gateway;

beforeAll(async () => {
  swarm = await startSwarm();
  for (const node of swarm.nodes) {
    await importImage(node, "acme/shop:1.0", { expose: [8000] });
    await importImage(node, "acme/shop:2.0", { expose: [8000] });
  }
  await swarm.manager.docker.createNetwork({
    Name: "backend",
    Driver: "overlay",
    Attachable: true,
  });
  berth = await startBerth(swarm, "acme/shop:1.0", "backend", 8090);
});
afterAll(() => swarm.stop());

/** Requests that all count. */
function traffic(): Traffic {
  const { host, port } = berth;
  return new Traffic({ host, port, target: "/acme/shop/", perSecond: PER_SECOND });
}

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  const start = async (options: GatewayOptions = {}): Promise<void> => {
    const { dockerHost } = swarm.manager;
    const { inside: prefix, host, port } = berth;
    gateway = await startGateway({ version, dockerHost, prefix, host, port, ...options });
  };
  afterEach(async () => {
    closeGateways();
    await removeServices(swarm);
  });

  test.each(["start-first", "stop-first"] as const)(
    "an update that is %s loses no request",
    async (order) => {
      await start();
      const service = await createService(swarm, "shop", { ...SHOP, replicas: 3 });
      const old = await running(swarm, "shop", 3);
      for (const name of old) await gateway.served("/acme/shop/", name);
      const clients = traffic();
      await updateService(swarm, service, "shop", {
        ...SHOP,
        image: "acme/shop:2.0",
        replicas: 3,
        order,
      });
      await updated(service);
      const fresh = await running(swarm, "shop", 3);
      for (const name of fresh) await gateway.served("/acme/shop/", name);
      const { failures, answered } = await clients.stop();
      expect(failures).toEqual([]);
      // Those before and those after had some of them.
      const names = [...answered.keys()];
      expect(names.filter((name) => old.includes(name))).not.toEqual([]);
      expect(names.filter((name) => fresh.includes(name))).not.toEqual([]);
    },
  );

  test("tasks that end at once, and a gateway that is started anew in between", async () => {
    await start();
    const brief = { ...SHOP, graceMs: 0, replicas: 3 };
    const service = await createService(swarm, "shop", brief);
    const old = await running(swarm, "shop", 3);
    for (const name of old) await gateway.served("/acme/shop/", name);
    await gateway.confirmed();
    const clients = traffic();
    await updateService(swarm, service, "shop", { ...brief, image: "acme/shop:2.0" });
    // HAProxy serves on without it.
    gateway.signal("SIGKILL");
    await gateway.exited;
    await start({ dir: gateway.dir });
    await updated(service);
    for (const name of await running(swarm, "shop", 3)) await gateway.served("/acme/shop/", name);
    const { failures } = await clients.stop();
    expect(failures).toEqual([]);
  });

  test("the tasks of a node that is drained move without a loss", async () => {
    await start();
    await createService(swarm, "shop", { ...SHOP, replicas: 3 });
    const old = await running(swarm, "shop", 3);
    for (const name of old) await gateway.served("/acme/shop/", name);
    const clients = traffic();
    const [, , node] = swarm.nodes;
    if (node === undefined) throw new Error("the swarm has no third node");
    await setAvailability(swarm, node, "drain");
    try {
      const fresh = await gateway.until(async () => {
        const names = await running(swarm, "shop", 3);
        if (names.every((name) => old.includes(name))) throw new Error("no task has moved");
        return names;
      });
      for (const name of fresh) await gateway.served("/acme/shop/", name);
      const { failures } = await clients.stop();
      expect(failures).toEqual([]);
    } finally {
      await setAvailability(swarm, node, "active");
    }
  });

  test("a service grows and shrinks", async () => {
    await start({ flags: [BRIEF_HOLD] });
    const service = await createService(swarm, "shop", { ...SHOP, replicas: 1 });
    const [first = ""] = await running(swarm, "shop", 1);
    await gateway.served("/acme/shop/", first);
    const clients = traffic();
    await updateService(swarm, service, "shop", { ...SHOP, replicas: 4 });
    for (const name of await running(swarm, "shop", 4)) await gateway.served("/acme/shop/", name);
    await updateService(swarm, service, "shop", { ...SHOP, replicas: 1 });
    await gateway.until(() => {
      const count = gateway.count(/^removed \/acme\/shop/);
      if (count !== 3) throw new Error(`${count} tasks were removed`);
    });
    const { failures } = await clients.stop();
    expect(failures).toEqual([]);
    await updateService(swarm, service, "shop", { ...SHOP, replicas: 0 });
    await gateway.answers("/acme/shop/", 503);
    await service.remove();
    await gateway.answers("/acme/shop/", 403);
  });
});
