// The page of --index with real containers.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import { BRIEF_HOLD, closeGateways, startGateway, type Gateway } from "./gateway.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "acme/shop:1", { expose: [8000] });
});

afterAll(closeGateways);

describe.each(haproxyVersions())(`the page of routes, ${testFlavour()}, HAProxy %s`, (version) => {
  let gateway: Gateway;

  afterEach(async () => {
    await removeAll(engine);
    await gateway.idle();
    await gateway.stop();
    closeGateways();
  });

  test("it has the routes that there are, and no other ones", async () => {
    const flags = [BRIEF_HOLD, "--index"];
    gateway = await startGateway({ dockerHost: engine.dockerHost, version, flags });
    const page = async (): Promise<string> => (await gateway.get("/")).body;
    await eventually(async () => expect(await page()).toContain("There are none now."));
    const shop = await run(engine, "acme/shop:1");
    await gateway.served("/acme/shop/", shop.name);
    expect(await page()).toContain('<a href="/acme/shop/">/acme/shop/</a></td><td>acme/shop</td>');
    const named = await run(engine, "acme/shop:1", {
      labels: { "gateway.path": "/other", "gateway.service": "second" },
    });
    await gateway.served("/other/", named.name);
    expect(await page()).toContain('<a href="/other/">/other/</a></td><td>second</td>');
    await shop.remove();
    await eventually(async () => expect(await page()).not.toContain("acme/shop"), {
      timeoutMs: 20_000,
    });
    expect(await page()).toContain("/other/");
  });
});
