// Several managers of one swarm: their tasks are served once, and the next one is asked where one is gone.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import { startSwarm, type Swarm } from "../lab/swarm.ts";
import { closeGateways, startGateway, type Gateway } from "../e2e/gateway.ts";
import { Traffic } from "../e2e/traffic.ts";
import { createService, running, updateService } from "../swarm/services.ts";

setDefaultTimeout(180_000);

/** A new leader is chosen within seconds. */
const ELECTION_MS = 60_000;

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  let swarm: Swarm;
  let gateway: Gateway;

  beforeEach(async () => {
    swarm = await startSwarm();
    for (const node of swarm.nodes) await importImage(node, "acme/shop", { expose: [8000] });
    for (const { id } of swarm.nodes.slice(1)) {
      const node = swarm.manager.docker.getNode(id);
      const { Version, Spec } = (await node.inspect()) as {
        Version: { Index: number };
        Spec: object;
      };
      await node.update({ version: Version.Index, ...Spec, Role: "manager" });
    }
    for (const { docker } of swarm.nodes) {
      await eventually(() => docker.listServices(), { timeoutMs: ELECTION_MS });
    }
  });
  afterEach(async () => {
    closeGateways();
    await swarm.stop();
  });

  test("one is killed: what is served stays, and the tasks that come after that are served, too", async () => {
    const [first, second] = swarm.nodes;
    if (first === undefined || second === undefined) throw new Error("the swarm is too small");
    const shop = {
      image: "acme/shop",
      replicas: 2,
      constraint: `node.id!=${first.id}`,
      ports: [{ target: 8000, published: 8000, mode: "host" as const }],
    };
    const service = await createService(swarm, "shop", shop);
    const old = await running(swarm, "shop", 2);
    gateway = await startGateway({
      version,
      flags: [
        `--docker-host=one=${first.dockerHost}`,
        `--docker-host=two=${second.dockerHost}`,
        `--engine-address=one=${first.address},two=${second.address}`,
      ],
    });
    for (const name of old) await gateway.served("/acme/shop/", name);
    const { port } = gateway;
    const clients = new Traffic({ port, target: "/acme/shop/", perSecond: 50 });
    await gateway.until(() => {
      if (gateway.count(/^routed /) < 2) throw new Error("not all are told yet");
    });
    const told = gateway.lines().filter(({ event }) => event === "routed");
    const shown = told.map(({ container }) => String(container));
    expect(shown.toSorted()).toEqual(["shop.1@one", "shop.2@one"]);
    await first.stopDaemon("SIGKILL");
    await gateway.logged("(Engine one: what is served stays as it is");
    const rest = { ...swarm, manager: second };
    await eventually(() => second.docker.listServices(), { timeoutMs: ELECTION_MS });
    // Of all that is told now the other one tells.
    const same = second.docker.getService(service.id);
    await updateService(rest, same, "shop", { ...shop, graceMs: 300 });
    const fresh = await eventually(
      async () => {
        const names = await running(rest, "shop", 2);
        if (names.some((name) => old.includes(name))) throw new Error("it is not updated yet");
        return names;
      },
      { timeoutMs: ELECTION_MS },
    );
    for (const name of fresh) await gateway.served("/acme/shop/", name);
    await gateway.logged(/^routed .*@two/);
    const { failures } = await clients.stop();
    expect(failures).toEqual([]);
  });

  test("two of three are killed: without a leader all stays as it is, and changes go on once there is one", async () => {
    const [first, second, third] = swarm.nodes;
    if (first === undefined || second === undefined || third === undefined) {
      throw new Error("the swarm is too small");
    }
    // Where an Engine starts again, it ends the tasks that it finds: so they are where none does.
    const shop = {
      image: "acme/shop",
      replicas: 1,
      constraint: `node.id==${third.id}`,
      ports: [{ target: 8000, published: 8000, mode: "host" as const }],
    };
    await createService(swarm, "shop", shop);
    const [name = ""] = await running(swarm, "shop", 1);
    gateway = await startGateway({ version, dockerHost: third.dockerHost });
    await gateway.served("/acme/shop/", name);
    const { port } = gateway;
    const clients = new Traffic({ port, target: "/acme/shop/", perSecond: 50 });
    await Promise.all([first, second].map((node) => node.stopDaemon("SIGKILL")));
    // It takes the one that is left 20 s to say that it knows nothing of the swarm.
    const told = (): Promise<unknown> => gateway.logged("the tasks that are known are served on");
    await eventually(told, { timeoutMs: ELECTION_MS });
    await gateway.served("/acme/shop/", name);
    const since = gateway.lines().length;
    await Promise.all([first, second].map((node) => node.startDaemon()));
    await eventually(() => third.docker.listServices(), { timeoutMs: ELECTION_MS });
    await gateway.logged("the tasks of the swarm can be read again", since);
    const rest = { ...swarm, manager: third };
    await createService(rest, "wiki", {
      ...shop,
      labels: { "gateway.path": "/wiki" },
      ports: [{ target: 8000, published: 8001, mode: "host" }],
    });
    const [added = ""] = await eventually(() => running(rest, "wiki", 1), {
      timeoutMs: ELECTION_MS,
    });
    await gateway.served("/wiki/", added);
    const { failures } = await clients.stop();
    expect(failures).toEqual([]);
  });
});
