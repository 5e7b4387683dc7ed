// Proves that a further route with a port of its own leads to that port of the same container.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { startApp, type App } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { serviceOf, Site, START_MS, type Service } from "../lab/proxy.ts";
import { Running } from "../lab/running.ts";

describe.each(haproxyVersions())("routes to other ports, HAProxy %s", (version) => {
  let web: App;
  let api: App;
  let site: Site;
  let running: Running;

  const container = (more: Record<string, string>): Service =>
    serviceOf(web, { image: "foo", name: "foo", labels: more });
  const toApi = (): Record<string, string> => ({
    "gateway.route.api.path": "/api",
    "gateway.route.api.port": String(api.port),
  });

  beforeAll(async () => {
    [web, api] = [await startApp({ name: "web" }), await startApp({ name: "api" })];
    site = await Site.make(version);
    running = await Running.start(site, site.render([]).files);
  }, START_MS);

  beforeEach(() => {
    web.forget();
    api.forget();
  });

  afterAll(async () => {
    await running.stop();
    await web.stop();
    await api.stop();
  });

  test("each route has its port, and it comes without a reload", async () => {
    expect(await running.serve([container(toApi())])).toBe("commands");
    expect((await site.ask({ target: "/foo/x" })).body).toBe("web");
    expect((await site.ask({ target: "/api/y" })).body).toBe("api");
    expect(web.received.map(({ target }) => target)).toEqual(["/x"]);
    expect(api.received.map(({ target }) => target)).toEqual(["/y"]);
    await running.verify();
    expect(running.applier.applied.doubt).toBeUndefined();
  });

  test("it is gone with the label, and nothing else is", async () => {
    expect(await running.serve([container({})])).toBe("commands");
    expect((await site.ask({ target: "/api/y" })).status).toBe(403);
    expect((await site.ask({ target: "/foo/x" })).status).toBe(200);
  });

  test("HAProxy takes it from its files as well", async () => {
    const { files } = site.render([container(toApi())]);
    await running.go(files);
    await running.written(files);
    await running.reloadByHand();
    await running.verify();
    expect((await site.ask({ target: "/api/y" })).body).toBe("api");
  });
});
