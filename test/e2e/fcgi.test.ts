// PHP in real containers is served without a web server beside it.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { removeAll } from "../lab/containers.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import { PHP_COMMAND, runPhp, type Told } from "../lab/php.ts";
import { explained, flagsOf } from "./asking.ts";
import { BRIEF_HOLD, closeGateways, startGateway } from "./gateway.ts";
import { labels } from "../lab/labels.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "acme/php:8-fpm", { cmd: PHP_COMMAND, expose: [9000] });
});

afterAll(closeGateways);

describe.each(haproxyVersions())(`PHP, ${testFlavour()}, HAProxy %s`, (version) => {
  test("comes and goes, and another of its kind needs no reload", async () => {
    const gateway = await startGateway({
      dockerHost: engine.dockerHost,
      version,
      flags: [BRIEF_HOLD],
    });
    await gateway.answers("/", 403);
    const told = (path: string): Promise<Told> =>
      eventually(async () => {
        const { status, body } = await gateway.get(path);
        expect(status).toBe(200);
        return JSON.parse(body) as Told;
      });
    const first = await runPhp(engine, "acme/php:8-fpm", { labels: labels({ scheme: "fcgi" }) });
    expect((await told("/acme/php/cart?a=b")).server).toMatchObject({
      SCRIPT_FILENAME: "/var/www/html/index.php",
      SCRIPT_NAME: "/acme/php/index.php",
      PATH_INFO: "/cart",
      REQUEST_URI: "/acme/php/cart?a=b",
    });
    await gateway.logged(/^routed \/acme\/php/);
    const before = gateway.count(/^reload: /);
    const other = { scheme: "fcgi", path: "/other", service: "other" };
    const second = await runPhp(engine, "acme/php:8-fpm", { labels: labels(other) });
    expect((await told("/other/x")).server).toMatchObject({ SCRIPT_NAME: "/other/index.php" });
    const about = await explained(second.name, [...flagsOf(gateway, engine, version), BRIEF_HOLD]);
    expect(about).toContain("setting    scheme=fcgi, from label gateway.scheme");
    await first.remove();
    await second.remove();
    await gateway.answers("/other/x", 403);
    expect(gateway.count(/^reload: /)).toBe(before);
    await removeAll(engine);
    await gateway.idle();
    await gateway.stop();
  });
});
