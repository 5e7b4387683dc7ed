// Requests that are under way to a container which loses its network: nothing comes from there any more, not even
// the end of a connection.

import { afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { parseAnswer, removeAll, run, type Container } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { connect, createNetwork, disconnect } from "./network.ts";

setDefaultTimeout(120_000);

const NETWORK = "lost";
/** How long a container takes for an answer, in milliseconds. Its network is gone by half of it. */
const SLOW = 2_000;
/** The kernel notices after 8 s, and then an answer takes its time again, in milliseconds. */
const PATIENCE = 20_000;

let engine: Engine;
let gateway: Gateway;

beforeAll(async () => {
  engine = await sharedEngine();
  for (const name of ["one", "two", "three"]) {
    await importImage(engine, `lost/${name}`, { expose: [8000] });
  }
});

afterEach(async () => {
  closeGateways();
  await removeAll(engine);
});

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  test("a GET is answered by another container, or by the same one when it is back; a POST gets 502", async () => {
    await createNetwork(engine, NETWORK);
    const [only, gone, left, posted] = [
      await run(engine, "lost/one", { network: NETWORK }),
      await run(engine, "lost/two", { network: NETWORK }),
      await run(engine, "lost/two", { network: NETWORK }),
      await run(engine, "lost/three", { network: NETWORK }),
    ];
    gateway = await startGateway({ version, dockerHost: engine.dockerHost });
    await gateway.served("/lost/one/", only.name);
    await gateway.served("/lost/three/", posted.name);
    for (const { name } of [gone, left]) await gateway.served("/lost/two/", name);

    // In turns: one of the two is at each.
    const asked = ["/lost/one/", "/lost/two/", "/lost/two/"].map((target) => answerOf(target));
    asked.push(answerOf("/lost/three/", "POST"));
    await Bun.sleep(SLOW / 2);
    await Promise.all([only, gone, posted].map(({ id }) => disconnect(engine, NETWORK, id)));
    await startAnew(only);
    await connect(engine, NETWORK, only.id);
    expect(await Promise.all(asked)).toEqual([only.name, left.name, left.name, "502"]);
  });
});

/** Who answers a request that takes its time, by name. */
async function answerOf(target: string, method = "GET"): Promise<string> {
  const asked = await gateway.get(`${target}slow?ms=${SLOW}`, { method, timeoutMs: PATIENCE });
  return asked.status === 200 ? parseAnswer(asked.body).name : String(asked.status);
}

/** Another process takes its place, which knows nothing of the former one's connections. */
async function startAnew({ id }: Container): Promise<void> {
  await engine.docker.getContainer(id).restart({ t: 0 });
}
