// Labels say how real containers are treated: shares, other ports, checks, timeouts, cookies.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { removeAll, run, parseAnswer } from "../lab/containers.ts";
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { explained, flagsOf } from "./asking.ts";
import { detailsOf } from "./details.ts";
import { BRIEF_HOLD, closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { labels } from "../lab/labels.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  for (const name of ["acme/shop:1", "acme/shop:2", "acme/api:1"]) {
    await importImage(engine, name, { expose: [8000] });
  }
});

afterAll(closeGateways);

describe.each(haproxyVersions())(`settings by label, ${testFlavour()}, HAProxy %s`, (version) => {
  // What does not depend on HAProxy's version is tested once.
  const detail = detailsOf(version);
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

  test("a timeout, and further services with it without a reload", async () => {
    await start();
    const own = labels({ timeout: "300ms" });
    const shop = await run(engine, "acme/shop:1", { labels: own });
    await gateway.served("/acme/shop/", shop.name);
    await gateway.logged(/^routed \/acme\/shop/);
    const before = gateway.count(/^reload: /);
    const api = await run(engine, "acme/api:1", { labels: own });
    await gateway.served("/acme/api/", api.name);
    expect((await gateway.get("/acme/api/slow?ms=2000")).status).toBe(504);
    expect((await gateway.get("/acme/shop/slow?ms=2000")).status).toBe(504);
    await shop.remove();
    await api.remove();
    await gateway.answers("/acme/shop/", 403);
    expect(gateway.count(/^reload: /)).toBe(before);
    const plain = await run(engine, "acme/shop:1");
    await gateway.served("/acme/shop/", plain.name);
    expect((await gateway.get("/acme/shop/slow?ms=600")).status).toBe(200);
  });

  test("a canary gets its share of the requests, all of them where it is alone, and costs no reload", async () => {
    await start();
    const old = await run(engine, "acme/shop:1");
    await gateway.served("/acme/shop/", old.name);
    await gateway.logged(/^routed \/acme\/shop/);
    const before = gateway.count(/^reload: /);
    const next = await run(engine, "acme/shop:2", { labels: labels({ split: "20%" }) });
    await gateway.served("/acme/shop/", next.name);
    const countOf = async (): Promise<number> => {
      const names: string[] = [];
      for (let count = 0; count < 100; count++) {
        names.push(parseAnswer((await gateway.get("/acme/shop/")).body).name);
      }
      return names.filter((name) => name === next.name).length;
    };
    await countOf();
    expect(Math.abs((await countOf()) - 20)).toBeLessThanOrEqual(2);
    const more = await run(engine, "acme/shop:1");
    await gateway.served("/acme/shop/", more.name);
    await countOf();
    expect(Math.abs((await countOf()) - 20)).toBeLessThanOrEqual(3);
    await old.remove();
    await more.remove();
    await gateway.served("/acme/shop/", next.name);
    expect(await countOf()).toBe(100);
    expect(gateway.count(/^reload: /)).toBe(before);
    expect(await explained(next.name, flags)).toContain(
      "setting    split=20%, from label gateway.split",
    );
  });

  test("a client keeps its container until that is told to end, and no request fails", async () => {
    await start();
    const own = labels({ sticky: "place", weight: "3" });
    const all = [
      await run(engine, "acme/shop:1", { labels: own, graceMs: 1_000 }),
      await run(engine, "acme/shop:1", { labels: own, graceMs: 1_000 }),
    ];
    for (const { name } of all) await gateway.served("/acme/shop/", name);
    const first = await gateway.get("/acme/shop/");
    const [cookie = ""] = first.header("Set-Cookie")?.split(";") ?? [];
    const { name } = parseAnswer(first.body);
    const ask = async (): Promise<string> => {
      const answer = await gateway.get("/acme/shop/", { headers: { Cookie: cookie } });
      expect(answer.status).toBe(200);
      return parseAnswer(answer.body).name;
    };
    for (let index = 0; index < 10; index++) expect(await ask()).toBe(name);
    const leaving = all.find((each) => each.name === name);
    const ending = leaving?.stop();
    const names: string[] = [];
    // It still answers all that time.
    for (const since = Date.now(); Date.now() - since < 700;) names.push(await ask());
    expect(names.lastIndexOf(name)).toBeLessThan(names.length / 2);
    await ending;
    await gateway.logged(/^removed /);
    for (let index = 0; index < 10; index++) expect(await ask()).not.toBe(name);
  });

  detail("a wrong value is one warning, and costs that setting only", async () => {
    await start();
    const shop = await run(engine, "acme/shop:1", {
      labels: labels({ timeout: "soon", "route.api.path": "/api", "route.api.queue": "9" }),
    });
    await gateway.served("/acme/shop/", shop.name);
    await gateway.served("/api/", shop.name);
    const warning = `container ${shop.name}: label gateway.timeout="soon" is not a time, such as 90s or 5m (1ms to 1h): the label counts for nothing`;
    expect((await gateway.logged(/gateway\.timeout/)).message).toBe(warning);
    const about = await explained(shop.name, flags);
    expect(about).toContain("setting    queue=9, from label gateway.route.api.queue");
    expect(about).toContain("route      /api -> backend acme:shop::route:api");
    expect(await explained("/api/x", flags)).toContain(
      "setting  queue=9, from label gateway.route.api.queue",
    );
  });
});
