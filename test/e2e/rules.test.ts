// Labels say what is done with the requests and answers of real containers.

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
import { importImage } from "../lab/images.ts";
import { explained, flagsOf } from "./asking.ts";
import { BRIEF_HOLD, closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { AUTHORIZATION, labels, SHA512 } from "../lab/labels.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  for (const name of ["acme/shop:1", "acme/api:1"]) {
    await importImage(engine, name, { expose: [8000] });
  }
});

afterAll(closeGateways);

describe.each(haproxyVersions())(`rules by label, ${testFlavour()}, HAProxy %s`, (version) => {
  let gateway: Gateway;
  let flags: string[];

  async function start(): Promise<void> {
    gateway = await startGateway({ dockerHost: engine.dockerHost, version, flags: [BRIEF_HOLD] });
    await gateway.answers("/", 403);
    flags = [...flagsOf(gateway, engine, version), BRIEF_HOLD];
  }

  afterEach(async () => {
    await removeAll(engine);
    await gateway.idle();
    await gateway.stop();
    closeGateways();
  });

  test("each does what it says, and is gone when its container is", async () => {
    await start();
    const shop = await run(engine, "acme/shop:1", {
      labels: labels({
        auth: `bob:${SHA512}`,
        body: "10",
        "headers.response.X-Own": "1",
        "route.walled.path": "/walled",
        "route.walled.deny": "0.0.0.0/0",
        "route.limited.path": "/limited",
        "route.limited.rate": "2/1h",
        "route.moved.path": "/moved",
        "route.moved.redirect": "https://other.test",
        "route.shared.path": "/shared",
        "route.shared.cors": "https://a.test",
      }),
    });
    await gateway.answers("/acme/shop/", 401);
    // Who may not come in is told so before the container answers; who may would wait for it.
    await gateway.logged(/^routed \/acme\/shop\b/);
    const headers = { Authorization: AUTHORIZATION };
    const answer = await gateway.get("/acme/shop/", { headers });
    expect([answer.status, answer.header("X-Own")]).toEqual([200, "1"]);
    const large = { method: "POST", body: "more than ten", headers };
    expect((await gateway.get("/acme/shop/", large)).status).toBe(413);
    expect((await gateway.get("/walled/")).status).toBe(403);
    for (const status of [200, 200, 429]) {
      expect((await gateway.get("/limited/")).status).toBe(status);
    }
    expect((await gateway.get("/moved/x?y")).header("Location")).toBe(
      "https://other.test/moved/x?y",
    );
    const shared = await gateway.get("/shared/", { headers: { Origin: "https://a.test" } });
    expect(shared.header("Access-Control-Allow-Origin")).toBe("https://a.test");
    const about = await explained(shop.name, flags);
    expect(about).toContain("setting    auth=bob:..., from label gateway.auth");
    expect(about).toContain("setting    rate=2/1h, from label gateway.route.limited.rate");
    expect(await explained("/walled/x", flags)).toContain(
      "setting  deny=0.0.0.0/0, from label gateway.route.walled.deny",
    );

    await shop.remove();
    await gateway.answers("/acme/shop/", 403);
    const plain = await run(engine, "acme/shop:1");
    await gateway.served("/acme/shop/", plain.name);
    expect((await gateway.get("/acme/shop/")).header("X-Own")).toBeUndefined();
  });

  test("a further service, and another value, need no reload", async () => {
    await start();
    const first = await run(engine, "acme/shop:1", { labels: labels({ deny: "127.0.0.0/8" }) });
    await gateway.answers("/acme/shop/", 403);
    await gateway.logged(/^routed \/acme\/shop/);
    const before = gateway.count(/^reload: /);
    const api = await run(engine, "acme/api:1", { labels: labels({ deny: "10.0.0.0/8" }) });
    await gateway.served("/acme/api/", api.name);
    await first.remove();
    await gateway.logged(/^removed \/acme\/shop/);
    const second = await run(engine, "acme/shop:1", { labels: labels({ deny: "10.1.0.0/16" }) });
    await gateway.served("/acme/shop/", second.name);
    expect(gateway.count(/^reload: /)).toBe(before);
  });

  test("where a value is wrong that keeps somebody out, nobody gets in", async () => {
    await start();
    const shop = await run(engine, "acme/shop:1", { labels: labels({ auth: "bob:secret" }) });
    const { message } = await gateway.logged(/gateway\.auth/);
    expect(message).toStartWith(
      `container ${shop.name}: label gateway.auth="bob:..." is not a user`,
    );
    expect(message).toEndWith("the route answers 503 until it is right");
    await gateway.answers("/acme/shop/", 503);
    const headers = { Authorization: `Basic ${Buffer.from("bob:secret").toString("base64")}` };
    expect((await gateway.get("/acme/shop/", { headers })).status).toBe(503);
    expect(await explained("/acme/shop/", flags)).toContain(
      "answer   503: label gateway.auth keeps somebody out and is not right, so nobody comes in",
    );
  });
});
