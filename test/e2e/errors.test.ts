// Labels put files of this machine in the place of errors of real containers.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import { labDir } from "../lab/leftovers.ts";
import { explained, flagsOf } from "./asking.ts";
import { BRIEF_HOLD, closeGateways, startGateway, type Gateway } from "./gateway.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "acme/shop:1", { expose: [8000] });
});

afterAll(closeGateways);

describe.each(haproxyVersions())(`pages for errors, ${testFlavour()}, HAProxy %s`, (version) => {
  let gateway: Gateway;

  afterEach(async () => {
    await removeAll(engine);
    await gateway.idle();
    await gateway.stop();
    closeGateways();
  });

  test("a page is there, a change of its file is taken up, and both go with the container", async () => {
    const folder = labDir("pages");
    const page = join(folder, "503.html");
    writeFileSync(page, "<h1>Closed</h1>");
    const flags = [BRIEF_HOLD, "--label-files", folder];
    gateway = await startGateway({ dockerHost: engine.dockerHost, version, flags });
    const shop = await run(engine, "acme/shop:1", {
      labels: {
        "gateway.port": "8001",
        "gateway.errors.503": page,
        "gateway.errors.404": "/etc/passwd",
      },
    });
    const answer = async (): Promise<string> => (await gateway.get("/acme/shop/")).body;
    // Nothing answers at that port.
    await eventually(async () => expect(await answer()).toBe("<h1>Closed</h1>"));
    const { message } = await gateway.logged(/gateway\.errors\.404/);
    expect(message).toContain(`"/etc/passwd" counts for nothing: it is not below ${folder}`);
    expect(await explained(shop.name, [...flagsOf(gateway, engine, version), ...flags])).toContain(
      `setting    errors.503=${page}, from label gateway.errors.503`,
    );
    writeFileSync(page, "<h1>Closed today</h1>");
    await eventually(async () => expect(await answer()).toBe("<h1>Closed today</h1>"), {
      timeoutMs: 10_000,
    });
    rmSync(page);
    await eventually(async () => expect(await answer()).not.toContain("Closed"), {
      timeoutMs: 10_000,
    });
    await shop.remove();
    const plain = await run(engine, "acme/shop:1");
    await gateway.served("/acme/shop/", plain.name);
  });

  test("the gateway's own errors have the pages of a folder, and a bad one changes nothing", async () => {
    const folder = labDir("own-pages");
    const page = join(folder, "403.html");
    writeFileSync(page, "<h1>No</h1>");
    const flags = ["--error-dir", folder];
    gateway = await startGateway({ dockerHost: engine.dockerHost, version, flags });
    const shop = await run(engine, "acme/shop:1");
    await gateway.served("/acme/shop/", shop.name);
    const answer = async (): Promise<string> => (await gateway.get("/nothing")).body;
    expect(await answer()).toBe("<h1>No</h1>");
    writeFileSync(page, "<h1>No, sorry</h1>");
    const soon = { timeoutMs: 10_000 };
    await eventually(async () => expect(await answer()).toBe("<h1>No, sorry</h1>"), soon);
    writeFileSync(join(folder, "503.http"), "Sorry");
    const { message } = await gateway.logged(/503\.http/);
    expect(message).toContain("no empty line ends its headers; the pages before it are used on");
    expect(await answer()).toBe("<h1>No, sorry</h1>");
    await gateway.served("/acme/shop/", shop.name);
  });
});
