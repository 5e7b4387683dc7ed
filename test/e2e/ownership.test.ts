// Two services ask for one route. It is the older one's, also while that is restarted; when that has ended,
// it is the other one's, and no request fails.

import { afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { removeAll, run, type Container } from "../lab/containers.ts";
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { labels } from "../lab/labels.ts";
import { closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { Traffic } from "./traffic.ts";

setDefaultTimeout(120_000);

describe.each(haproxyVersions())(`${testFlavour()}, HAProxy %s`, (version) => {
  let engine: Engine;
  let gateway: Gateway;
  let owner: Container;
  let other: Container;

  beforeAll(async () => {
    engine = await sharedEngine();
    for (const name of ["acme/owner:1", "acme/other:1"]) {
      await importImage(engine, name, { expose: [8000] });
    }
  });

  afterEach(async () => {
    await removeAll(engine);
    closeGateways();
  });

  async function begin(): Promise<Traffic> {
    gateway = await startGateway({ version, dockerHost: engine.dockerHost });
    const own = labels({ path: "/shop" });
    owner = await run(engine, "acme/owner:1", { labels: own, graceMs: 200 });
    await gateway.served("/shop/", owner.name);
    // Containers are as old as the second in which they were made.
    await Bun.sleep(1_100);
    other = await run(engine, "acme/other:1", { labels: own });
    await gateway.logged(/not routed.*belongs to service acme\/owner/);
    return new Traffic({ port: gateway.port, target: "/shop/", perSecond: 50 });
  }

  test("a restart of the owner gives the other one nothing", async () => {
    const traffic = await begin();
    await engine.docker.getContainer(owner.id).restart({ t: 5 });
    await gateway.served("/shop/", owner.name);
    await Bun.sleep(300);
    const { failures, answered } = await traffic.stop();
    expect(failures).toEqual([]);
    expect([...answered.keys()]).toEqual([owner.name]);
  });

  test("when the owner has ended, the other one has the route and the requests that wait", async () => {
    const traffic = await begin();
    await owner.stop();
    await gateway.served("/shop/", other.name);
    await Bun.sleep(300);
    const { failures, answered } = await traffic.stop();
    expect(failures).toEqual([]);
    expect([...answered.keys()].toSorted()).toEqual([owner.name, other.name].toSorted());
    await owner.start();
    await gateway.served("/shop/", owner.name);
  });
});
