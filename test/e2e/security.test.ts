// What docs/security.md says that somebody can do, and which modes sockets and files have.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { chmodSync, existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { freePort } from "../lab/ports.ts";
import { detailsOf } from "./details.ts";
import { closeGateways, gatewayDir, startGateway, type Gateway } from "./gateway.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "acme/shop:1.2", { expose: [8000] });
  await importImage(engine, "evil/shop:1", { expose: [8000] });
});

afterEach(async () => {
  closeGateways();
  await removeAll(engine);
});

afterAll(closeGateways);

/** The mode of a file, in octal digits. */
function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  // What does not depend on HAProxy's version is tested once.
  const detail = detailsOf(version);
  function start(flags: readonly string[] = []): Promise<Gateway> {
    return startGateway({ version, dockerHost: engine.dockerHost, flags });
  }

  test("nobody else reads keys and sockets, and a mode that is set stays", async () => {
    const acme = join(gatewayDir(), "acme");
    const log = join(gatewayDir(), "access.log");
    const gateway = await start([
      `--listen-https=127.0.0.1:${await freePort()}`,
      "--acme=me@example.com",
      // Nobody is asked there.
      "--acme-directory=https://127.0.0.1:1/directory",
      `--acme-dir=${acme}`,
      `--access-log=json:${log}`,
    ]);
    await run(engine, "acme/shop:1.2", { name: "shop-1" });
    await gateway.served("/acme/shop/", "shop-1");
    await gateway.until(() => expect(existsSync(log)).toBe(true));
    const modes = [
      ["haproxy.gateway.sock", "660"],
      ["haproxy.admin.sock", "660"],
      ["haproxy.master.sock", "600"],
      ["haproxy.cfg", "644"],
      ["haproxy.routes.map", "644"],
      ["haproxy.default.pem", "600"],
      ["haproxy.tickets.keys", "600"],
    ] as const;
    for (const [name, mode] of modes) {
      expect([name, modeOf(join(gateway.dir, name))]).toEqual([name, mode]);
    }
    expect([modeOf(acme), modeOf(join(acme, "state")), modeOf(log)]).toEqual(["700", "700", "640"]);

    chmodSync(gateway.output, 0o640);
    await run(engine, "evil/shop:1", { name: "evil-1" });
    await gateway.routed("/evil/shop/", "evil-1");
    await gateway.confirmed();
    expect(modeOf(gateway.output)).toBe("640");
  });

  test("a client finds out which paths are routes", async () => {
    await run(engine, "acme/shop:1.2", { name: "shop-1" });
    const gateway = await start();
    await gateway.served("/acme/shop/", "shop-1");
    const { status, body } = await gateway.get("/acme/none");
    expect([status, body]).toEqual([403, "Nothing is served here.\n"]);
  });

  const SHOP = { "gateway.host": "shop.example.com", "gateway.service": "shop" };

  detail("who sets labels can join a service, but not past a claim", async () => {
    await run(engine, "acme/shop:1.2", { name: "shop-1", labels: SHOP });
    await run(engine, "evil/shop:1", { name: "evil-1", labels: { "gateway.service": "shop" } });
    const headers = { Host: "shop.example.com" };
    const free = await start();
    await free.until(async () => {
      expect((await free.get("/", { headers })).body).toContain("name: evil-1\n");
    });
    closeGateways();

    const claimed = await start(["--claim=shop.example.com=image:acme/*"]);
    await claimed.until(async () => {
      expect((await claimed.get("/", { headers })).body).toContain("name: shop-1\n");
    });
    await claimed.logged(/^not routed: container evil-1 .*--claim shop\.example\.com/);
    for (let count = 0; count < 10; count++) {
      expect((await claimed.get("/", { headers })).body).toContain("name: shop-1\n");
    }
  });

  test("who sets labels can open a port of this host", async () => {
    const port = await freePort();
    const labels = { "gateway.tcp": `${port}`, "gateway.port": "8000" };
    const gateway = await start();
    await gateway.answers("/", 403);
    await run(engine, "evil/shop:1", { name: "evil-1", labels });
    await gateway.until(async () => {
      expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toContain("name: evil-1\n");
    });
  });
});
