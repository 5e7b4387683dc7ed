// Proves that the rules of a route come before anything that waits: for a container, or for a body.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startApp, type App } from "../lab/app.ts";
import type { Haproxy } from "../lab/haproxy.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { serviceOf, Site, START_MS, type Service } from "../lab/proxy.ts";

describe.each(haproxyVersions())("rules and waiting, HAProxy %s", (version) => {
  let app: App;
  let site: Site;
  let haproxy: Haproxy;

  beforeAll(async () => {
    app = await startApp({ name: "shop" });
    site = await Site.make(version);
    const service = (name: string, own: Record<string, string>): Service =>
      serviceOf(app, {
        image: name,
        name,
        hold: "waiting",
        state: "restarting",
        labels: Object.fromEntries(
          Object.entries(own).map(([key, text]) => [`gateway.${key}`, text]),
        ),
      });
    haproxy = await site.start([
      service("denied", { deny: "127.0.0.0/8" }),
      service("closed", { auth: "x" }),
      service("moved", { redirect: "other.test" }),
      service("large", { body: "3" }),
      service("open", { allow: "127.0.0.0/8", "headers.request.x-a": "1" }),
    ]);
  }, START_MS);

  afterAll(async () => {
    await haproxy.stop();
    await app.stop();
  });

  test.each([
    ["denied", 403],
    ["closed", 503],
    ["moved", 307],
    ["large", 413],
  ])("%s is answered %i at once", async (name, status) => {
    const started = performance.now();
    const answer = await site.ask({ target: `/${name}/x`, method: "POST", body: "four" });
    expect(answer.status).toBe(status);
    expect(performance.now() - started).toBeLessThan(400);
  });

  test("who may come in waits", async () => {
    const started = performance.now();
    const answer = site.ask({ target: "/open/x" }).then(
      ({ status }) => status,
      () => 0,
    );
    const first = await Promise.race([answer, Bun.sleep(800).then(() => "waiting")]);
    expect(first).toBe("waiting");
    expect(performance.now() - started).toBeGreaterThan(700);
  });
});
