// The access log with real containers: in a file, by the gateway that runs HAProxy itself.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { existsSync, readFileSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import { closeGateways, gatewayDir, startGateway, type Gateway } from "./gateway.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "acme/shop:1", { expose: [8000] });
});

afterAll(closeGateways);

describe.each(haproxyVersions())(`the access log, ${testFlavour()}, HAProxy %s`, (version) => {
  let gateway: Gateway;

  afterEach(async () => {
    await removeAll(engine);
    await gateway.idle();
    await gateway.stop();
    closeGateways();
  });

  test("it names containers that come and go, over a reload, a rotation and a new gateway", async () => {
    const dir = gatewayDir();
    const file = join(dir, "access.log");
    const options = { dockerHost: engine.dockerHost, version, dir };
    const flags = [`--access-log=json:${file}`];
    gateway = await startGateway({ ...options, flags });
    /** The line of the one request for this path. */
    const logged = (path: string): Promise<Record<string, unknown>> =>
      eventually(() => {
        const text = existsSync(file) ? readFileSync(file, "utf8") : "";
        const lines = text.trimEnd().split("\n").filter(Boolean);
        const found = lines
          .map((line) => JSON.parse(line) as Record<string, unknown>)
          .filter((line) => line["path"] === path);
        expect(found.length).toBe(1);
        return found[0] ?? {};
      });
    const shop = await run(engine, "acme/shop:1");
    await gateway.served("/acme/shop/", shop.name);
    await gateway.get("/acme/shop/one?token=geheim");
    expect(await logged("/acme/shop/one")).toMatchObject({
      route: "/acme/shop",
      service: "acme/shop",
      container: shop.name,
      id: shop.id.slice(0, 12),
      status: 200,
      cause: "--",
    });
    expect(statSync(file).mode & 0o777).toBe(0o640);

    // Another set of settings is a reload.
    const named = await run(engine, "acme/shop:1", {
      labels: { "gateway.path": "/other", "gateway.service": "second", "gateway.timeout": "7m" },
    });
    await gateway.served("/other/", named.name);
    await gateway.get("/other/two");
    expect(await logged("/other/two")).toMatchObject({ service: "second", container: named.name });
    await gateway.get("/nowhere");
    expect(await logged("/nowhere")).toMatchObject({ status: 403, route: "-", container: "-" });

    renameSync(file, `${file}.1`);
    await gateway.get("/other/three");
    await logged("/other/three");
    const { port } = gateway;
    await gateway.stop();
    gateway = await startGateway({ ...options, flags, port });
    await gateway.served("/other/", named.name);
    await gateway.get("/other/four");
    await logged("/other/four");
    await logged("/other/three");
    expect(readFileSync(`${file}.1`, "utf8") + readFileSync(file, "utf8")).not.toContain("geheim");
  });
});
