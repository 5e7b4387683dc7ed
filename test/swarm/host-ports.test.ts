// A gateway on a manager's host, which is on no network of the tasks: it reaches the ports that they publish.

import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { run, type Container } from "../lab/containers.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { startSwarm, type Swarm } from "../lab/swarm.ts";
import { detailsOf } from "../e2e/details.ts";
import { BRIEF_HOLD, closeGateways, startGateway, type Gateway } from "../e2e/gateway.ts";
import { runToEnd } from "../e2e/program.ts";
import { createService, removeServices, running, updateService } from "./services.ts";

setDefaultTimeout(120_000);

const SHOP = {
  image: "acme/shop:1.0",
  ports: [{ target: 8000, published: 18_000, mode: "host" as const }],
};

let swarm: Swarm;

beforeAll(async () => {
  swarm = await startSwarm();
  for (const node of swarm.nodes) await importImage(node, "acme/shop:1.0", { expose: [8000] });
  await importImage(swarm.manager, "acme/desk", { expose: [8000] });
  await swarm.manager.docker.createNetwork({ Name: "backend", Driver: "overlay" });
});
afterAll(() => swarm.stop());

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  // What does not depend on HAProxy's version is tested once.
  const detail = detailsOf(version);
  let gateway: Gateway;
  let desk: Container | undefined;

  beforeEach(async () => {
    const { dockerHost, inside: prefix, address: host } = swarm.manager;
    const flags = [BRIEF_HOLD];
    gateway = await startGateway({ version, dockerHost, prefix, host, flags });
  });
  afterEach(async () => {
    closeGateways();
    await desk?.remove();
    desk = undefined;
    await removeServices(swarm);
  });

  const explain = async (what: string): Promise<string> => {
    const { dockerHost, inside } = swarm.manager;
    const words = ["explain", what, `--docker-host=${dockerHost}`];
    const files = [`--output-file=${gateway.output}`, `--listen=*:${gateway.port}`];
    return (await runToEnd([...words, ...files], {}, "/", inside)).stdout;
  };

  test("a service is served by the name of its image, beside the containers of the Engine", async () => {
    await createService(swarm, "shop", { ...SHOP, replicas: 3 });
    desk = await run(swarm.manager, "acme/desk");
    await gateway.served("/acme/desk/", desk.name);
    for (const name of await running(swarm, "shop", 3)) await gateway.served("/acme/shop/", name);
    await gateway.until(() => {
      const count = gateway.count(/^routed/);
      if (count < 4) throw new Error(`${count} are routed`);
    });
    // The container of the task on this Engine is none of its own.
    expect(gateway.count(/^routed/)).toBe(4);
    const text = await explain("shop.1");
    expect(text).toContain("that of its node, where it publishes ports (mode host)");
    expect(await explain("shop")).toContain("shop.3");
  });

  detail("the labels of a service, which change while its tasks run on", async () => {
    const options = {
      ...SHOP,
      labels: { "gateway.path": "/store" },
      containerLabels: { "gateway.path": "/none", "gateway.strip": "false" },
    };
    // A task on each node.
    const service = await createService(swarm, "shop", options);
    const names = await gateway.until(async () => {
      const found = new Set<string>();
      for (let count = 0; count < 12; count++) {
        found.add((await gateway.served("/store/")).name);
      }
      if (found.size < 3) throw new Error(`${found.size} tasks answer`);
      return found;
    });
    await updateService(swarm, service, "shop", {
      ...options,
      labels: { "gateway.path": "/market" },
    });
    expect(names).toContain((await gateway.served("/market/")).name);
    await gateway.answers("/store/", 403);
  });

  detail("two services of one image are served together", async () => {
    await createService(swarm, "blue", { ...SHOP, replicas: 1 });
    const ports = [{ target: 8000, published: 18_001, mode: "host" as const }];
    await createService(swarm, "green", { ...SHOP, ports, replicas: 1 });
    for (const service of ["blue", "green"]) {
      const [name = ""] = await running(swarm, service, 1);
      await gateway.served("/acme/shop/", name);
    }
  });

  detail("the task of a job is served while it runs", async () => {
    const service = await createService(swarm, "once", {
      ...SHOP,
      replicas: 1,
      isJob: true,
      command: ["timeout", "10", "/lab/start.sh"],
    });
    await gateway.served("/acme/shop/");
    await gateway.answers("/acme/shop/", 503);
    await service.remove();
    await gateway.answers("/acme/shop/", 403);
  });

  detail("a service that only the routing mesh reaches has one server", async () => {
    const ports = [{ target: 8000, published: 18_002, mode: "ingress" as const }];
    await createService(swarm, "mesh", { ...SHOP, ports, replicas: 2 });
    await running(swarm, "mesh", 2);
    await gateway.logged(`routed /acme/shop -> ${swarm.manager.address}:18002 (container mesh)`);
    expect(gateway.count(/^routed \/acme\/shop/)).toBe(1);
    expect(await explain("mesh.2")).toContain("the swarm picks the task");
  });

  detail("one that nobody reaches is told of, with the way out", async () => {
    await createService(swarm, "inner", { ...SHOP, ports: [], networks: ["backend"], replicas: 1 });
    const { reason } = await gateway.logged(/^not routed: container inner\.1/);
    expect(reason).toBe(
      "it publishes no port, and the gateway is on none of its networks (backend): " +
        "publish its port (mode=host), or run the gateway in a container on one of its networks",
    );
  });
});
