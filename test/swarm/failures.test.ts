// A node that is lost, and a manager that does not answer: what is served stays, and what is gone is out.

import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { startSwarm, type Swarm } from "../lab/swarm.ts";
import { closeGateways, startGateway, type Gateway } from "../e2e/gateway.ts";
import { Traffic } from "../e2e/traffic.ts";
import { createService, running, updateService } from "./services.ts";

setDefaultTimeout(120_000);

const REJOINED_MS = 60_000;
/** The label that Docker gives each task of the service. */
const SERVICE_LABEL = "com.docker.swarm.service.name=shop";
const SHOP = { image: "acme/shop", networks: ["backend"], replicas: 3 };

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  let swarm: Swarm;
  let berth: { prefix: string[]; host: string; port: number };
  let gateway: Gateway;

  const start = async (heartbeatMs?: number): Promise<void> => {
    swarm = await startSwarm(heartbeatMs);
    for (const node of swarm.nodes) await importImage(node, "acme/shop", { expose: [8000] });
    await swarm.manager.docker.createNetwork({ Name: "backend", Driver: "overlay" });
    berth = await startBerth();
    const { dockerHost } = swarm.manager;
    gateway = await startGateway({ version, dockerHost, ...berth });
  };
  afterEach(async () => {
    closeGateways();
    await swarm.stop();
  });

  /** Makes a task of a worker in whose network the gateway runs, as if it was a service itself. */
  async function startBerth(): Promise<typeof berth> {
    const [, worker] = swarm.nodes;
    if (worker === undefined) throw new Error("the swarm has no worker");
    const port = 8090;
    await createService(swarm, "gateway", {
      image: "acme/shop",
      replicas: 1,
      constraint: `node.id==${worker.id}`,
      networks: ["backend"],
      labels: { "gateway.enable": "false" },
      ports: [{ target: port, published: port, mode: "host" }],
      command: ["sleep", "86400"],
    });
    await running(swarm, "gateway", 1);
    const [own] = await worker.docker.listContainers();
    const { State } = await worker.docker.getContainer(own?.Id ?? "").inspect();
    const prefix = ["nsenter", `--net=/proc/${State.Pid}/ns/net`];
    return { prefix, host: worker.address, port };
  }

  const serveAll = async (): Promise<string[]> => {
    const names = await running(swarm, "shop", 3);
    for (const name of names) await gateway.served("/acme/shop/", name);
    return names;
  };

  const traffic = (): Traffic => {
    const { host, port } = berth;
    return new Traffic({ host, port, target: "/acme/shop/", perSecond: 50 });
  };

  test("a node is lost: its task is out, and another one comes in its place", async () => {
    await start(1_000);
    await createService(swarm, "shop", SHOP);
    const old = await serveAll();
    await swarm.nodes[2]?.lose();
    await gateway.logged("removed /acme/shop");
    const clients = traffic();
    const fresh = await serveAll();
    expect(fresh.filter((name) => !old.includes(name)).length).toBe(1);
    const { failures } = await clients.stop();
    expect(failures).toEqual([]);
  });

  test("the network of a node is cut: its task is out until it is back, and no new request is lost", async () => {
    await start(1_000);
    await createService(swarm, "shop", SHOP);
    await serveAll();
    const [, , node] = swarm.nodes;
    if (node === undefined) throw new Error("the swarm has no second worker");
    const clients = traffic();
    node.setNetwork("cut");
    await gateway.logged("removed /acme/shop");
    for (const name of await running(swarm, "shop", 3)) await gateway.served("/acme/shop/", name);
    node.setNetwork("joined");
    // The swarm has it again, and it ends what it should not run.
    await gateway.until(async () => {
      const here = await node.docker.listContainers({ filters: { label: [SERVICE_LABEL] } });
      if (here.length > 0)
        throw new Error(`it still runs ${here.map(({ Names }) => Names).join()}`);
    });
    // Docker's nodes may take a while until all of them reach each other again.
    for (const name of await running(swarm, "shop", 3)) {
      await gateway.until(() => gateway.served("/acme/shop/", name), REJOINED_MS);
    }
    const { failures } = await clients.stop();
    // Those that were on their way to it.
    expect(failures.filter((each) => !/^request at \d{1,2} ms/.test(each))).toEqual([]);
  });

  test("the manager is killed: what is served stays, and all is well when it is back", async () => {
    await start();
    const options = { ...SHOP, constraint: "node.role==worker" };
    const service = await createService(swarm, "shop", options);
    const names = await serveAll();
    const clients = traffic();
    await swarm.manager.stopDaemon("SIGKILL");
    await gateway.logged("what is served stays as it is");
    for (const name of names) await gateway.served("/acme/shop/", name);
    const before = gateway.lines().length;
    await swarm.manager.startDaemon();
    await gateway.logged(/^connected to Docker/, before);
    for (const name of names) await gateway.served("/acme/shop/", name);
    await updateService(swarm, service, "shop", { ...options, replicas: 4 });
    for (const name of await running(swarm, "shop", 4)) await gateway.served("/acme/shop/", name);
    const { failures } = await clients.stop();
    expect(failures).toEqual([]);
  });

  test("a task that ends while the manager is away is out, and so is its address", async () => {
    await start();
    const options = { ...SHOP, constraint: "node.role==worker" };
    await createService(swarm, "shop", options);
    const names = await serveAll();
    await gateway.confirmed();
    await swarm.manager.stopDaemon("SIGKILL");
    await gateway.logged("what is served stays as it is");
    const [, , worker] = swarm.nodes;
    if (worker === undefined) throw new Error("the swarm has no second worker");
    const tasks = await worker.docker.listContainers();
    const own = tasks.filter(({ Names }) => Names[0]?.startsWith("/shop."));
    expect(own.length).toBeGreaterThan(0);
    const gone = own.map(({ Names }) => Names[0]?.slice(1) ?? "");
    await Promise.all(own.map(({ Id }) => worker.docker.getContainer(Id).kill()));
    // HAProxy's checks may find them one after the other.
    for (const name of gone) {
      const [service, slot] = name.split(".");
      await gateway.logged(new RegExp(`^no answer while Docker.*${service}\\.${slot}`));
    }
    for (const { Id } of own) {
      await gateway.until(() => {
        const lines = gateway.config().split("\n");
        const servers = lines.filter((each) => each.includes(`server ${Id.slice(0, 12)}`));
        const isOut = servers.length > 0 && servers.every((each) => each.includes(" disabled"));
        if (!isOut) throw new Error(`it is not out: ${servers.join()}`);
      });
    }
    // The others serve on.
    for (const name of names.filter((each) => !gone.includes(each))) {
      await gateway.served("/acme/shop/", name);
    }
    await swarm.manager.startDaemon();
    // At first it takes those that have ended for running.
    const fresh = await gateway.until(async () => {
      const found = await running(swarm, "shop", 3);
      if (found.some((name) => gone.includes(name))) throw new Error(`they are ${found.join()}`);
      return found;
    });
    for (const name of fresh) await gateway.served("/acme/shop/", name);
  });
});
