// A gateway on a manager's host, which is on no network of the tasks: it reaches the ports that they publish.

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
import { startSwarm, type Swarm } from "../lab/swarm.ts";
import { closeGateways, startGateway, type Gateway, type GatewayOptions } from "../e2e/gateway.ts";
import { createService, removeServices, running } from "./services.ts";

setDefaultTimeout(120_000);

let swarm: Swarm;
let gateway: Gateway;

beforeAll(async () => {
  swarm = await startSwarm(3);
  for (const node of swarm.nodes) await importImage(node, "acme/shop:1.0", { expose: [8000] });
});
afterAll(() => swarm.stop());

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  const start = async (options: GatewayOptions = {}): Promise<void> => {
    const { dockerHost, inside: prefix, address: host } = swarm.manager;
    gateway = await startGateway({ version, dockerHost, prefix, host, ...options });
  };
  afterEach(async () => {
    await removeServices(swarm);
    closeGateways();
  });

  test("a service is served by the name of its image, by all tasks", async () => {
    await start();
    await createService(swarm, "shop", {
      image: "acme/shop:1.0",
      replicas: 3,
      ports: [{ target: 8000, published: 18_000, mode: "host" }],
    });
    for (const name of await running(swarm, "shop", 3)) await gateway.served("/acme/shop/", name);
    console.log(
      gateway
        .lines()
        .map((l: any) => JSON.stringify(l).slice(0, 250))
        .join("\n"),
    );
    expect(gateway.count("routed")).toBe(3);
  });
});
