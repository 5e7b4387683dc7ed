// Which containers are routed and under which path: images, tags, labels, many at once.

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
import { importImage } from "../lab/images.ts";
import { BRIEF_HOLD, closeGateways, startGateway, type Gateway } from "./gateway.ts";

setDefaultTimeout(120_000);

describe(`images and labels, ${testFlavour()}`, () => {
  let engine: Engine;
  let gateway: Gateway;

  beforeAll(async () => {
    engine = await sharedEngine();
    for (const name of ["shop:1", "shop:2", "registry.example.com:5000/shop/cart:1", "other:1"]) {
      await importImage(engine, name, { expose: [8000] });
    }
    gateway = await startGateway({ dockerHost: engine.dockerHost, flags: [BRIEF_HOLD] });
    await gateway.answers("/", 403);
  });

  afterEach(async () => {
    await removeAll(engine);
    await gateway.idle();
  });
  afterAll(closeGateways);

  test("several tags of one repository are servers of one backend", async () => {
    const containers = [
      await run(engine, "shop:1"),
      await run(engine, "shop:1"),
      await run(engine, "shop:2"),
    ];
    for (const { name } of containers) await gateway.served("/shop/", name);
    await gateway.until(() => {
      expect(gateway.config().match(/^backend shop /gm)?.length).toBe(1);
      expect(gateway.config().match(/^ +server (?!_wait |_reserve )/gm)?.length).toBe(3);
    });
  });

  test("a longer path is its own, and the registry is no part of it", async () => {
    const shop = await run(engine, "shop:1");
    const cart = await run(engine, "registry.example.com:5000/shop/cart:1");
    await gateway.served("/shop/", shop.name);
    expect((await gateway.served("/shop/cart/list?a=1", cart.name)).target).toBe("/list?a=1");
    expect((await gateway.served("/shop/carts", shop.name)).target).toBe("/carts");
    expect((await gateway.get("/shopping/")).status).toBe(403);
  });

  test("an image whose tag has moved on keeps its containers' path", async () => {
    const container = await run(engine, "other:1");
    await gateway.served("/other/", container.name);
    await importImage(engine, "other:1", { expose: [8000] });
    // The list of containers has only the image's ID from now on.
    gateway.signal("SIGHUP");
    const newer = await run(engine, "other:1");
    await gateway.served("/other/", newer.name);
    await gateway.served("/other/", container.name);
    expect(gateway.count(`container ${container.name} (image`)).toBe(0);
  });

  test("an image given by its ID has no path, which is said once", async () => {
    const { Id } = await engine.docker.getImage("shop:1").inspect();
    const full = await run(engine, Id);
    const short = await run(engine, Id.replace("sha256:", "").slice(0, 12));
    if (engine.flavour === "podman") {
      // There the container has the image's name, whatever it was made from.
      for (const { name } of [full, short]) await gateway.served("/shop/", name);
      return;
    }
    for (const { name } of [full, short]) {
      const line = await gateway.logged(
        new RegExp(`^not routed: container ${name} .* is a bare ID`),
      );
      expect(line.level).toBe("warn");
    }
    // Everything is looked at again, and more than once.
    const other = await run(engine, "other:1");
    await gateway.served("/other/", other.name);
    gateway.signal("SIGHUP");
    await gateway.logged("reading everything again (SIGHUP)");
    await other.remove();
    await gateway.answers("/other/", 403);
    for (const { name } of [full, short]) expect(gateway.count(`container ${name} `)).toBe(1);
  });

  test("gateway.enable=false leaves a container out", async () => {
    const hidden = await run(engine, "shop:1", { labels: { "gateway.enable": "false" } });
    const shown = await run(engine, "other:1", { labels: { "gateway.enable": "true" } });
    await gateway.served("/other/", shown.name);
    // What was there before may be held still.
    await gateway.answers("/shop/", 403);
    const line = await gateway.logged(`not routed: container ${hidden.name} `);
    expect(line).toMatchObject({ level: "info", reason: "label gateway.enable is false" });
  });

  test("an invalid label costs only its own container", async () => {
    const wrong = {
      "gateway.port": "http",
      "gateway.enable": "perhaps",
      "gateway.network": " ",
    };
    const [valid, ...invalid] = await Promise.all([
      run(engine, "shop:1"),
      ...Object.entries(wrong).map(([label, value]) =>
        run(engine, "shop:1", { labels: { [label]: value } }),
      ),
    ]);
    for (const [index, container] of invalid.entries()) {
      const label = Object.keys(wrong)[index] ?? "";
      const line = await gateway.logged(new RegExp(`^not routed: container ${container.name} `));
      expect(line).toMatchObject({ level: "warn" });
      expect(line.reason).toContain(`label ${label}`);
    }
    for (let count = 0; count < 10; count++) await gateway.served("/shop/", valid.name);
  });

  test("a misspelt label is told", async () => {
    const container = await run(engine, "shop:1", { labels: { "gateway.prot": "8000" } });
    await gateway.served("/shop/", container.name);
    await gateway.logged(
      `container ${container.name}: label gateway.prot is unknown, gateway.port was probably meant`,
    );
  });

  test("thirty at once", async () => {
    const before = gateway.count(/^reload: /);
    const images = ["shop:1", "shop:2", "other:1"];
    const containers = await Promise.all(
      Array.from({ length: 30 }, (_, index) => run(engine, images[index % 3] ?? "")),
    );
    const waiting = new Set(containers.map(({ name }) => name));
    await gateway.until(async () => {
      for (const path of ["/shop/", "/other/"]) {
        waiting.delete((await gateway.get(path)).header("X-Container") ?? "");
      }
      expect([...waiting]).toEqual([]);
    });
    await removeAll(engine);
    await gateway.answers("/shop/", 403);
    await gateway.answers("/other/", 403);
    // Services come and go without one.
    expect(gateway.count(/^reload: /) - before).toBe(0);
  });

  test("by host name", async () => {
    const own = await startGateway({
      dockerHost: engine.dockerHost,
      flags: ["--domain", "example.test"],
    });
    const cart = await run(engine, "registry.example.com:5000/shop/cart:1");
    await own.until(async () => {
      const response = await own.get("/list", { headers: { Host: "cart.example.test" } });
      expect(response.header("X-Container")).toBe(cart.name);
    });
    expect((await own.get("/shop/cart/")).status).toBe(403);
    await own.stop();
  });
});
