// Proves that the label gateway.strip leaves the prefix on, and that it does so without a reload.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { haproxyVersions } from "../lab/haproxy.ts";
import { reply, startApp, type App } from "../lab/app.ts";
import { serviceOf, Site, START_MS, type Service } from "../lab/proxy.ts";
import { Running } from "../lab/running.ts";

const LEFT_ON = { labels: { "gateway.strip": "false" } };

describe.each(haproxyVersions())("the prefix that is left on, HAProxy %s", (version) => {
  let app: App;
  let other: App;
  let site: Site;
  let running: Running;

  const services = (first: Partial<Service>): Service[] => [
    serviceOf(app, { image: "foo/bar", name: "bar", ...first }),
    serviceOf(other, { image: "foo", name: "foo" }),
  ];

  beforeAll(async () => {
    [app, other] = [await startApp(), await startApp()];
    site = await Site.make(version);
    running = await Running.start(site, site.render(services(LEFT_ON)).files);
  }, START_MS);

  beforeEach(() => {
    app.forget();
    other.forget();
  });

  afterAll(async () => {
    await running.stop();
    await app.stop();
    await other.stop();
  });

  test.each([
    "/foo/bar",
    "/foo/bar/",
    "/foo/bar//x/../y?z=/foo/bar",
    "/foo/bar/a|/foo/bar/b|c",
    "/foo/bar/%2F%c3%a9",
  ])("%s reaches the container as it is", async (target) => {
    for (const method of ["GET", "POST", "DELETE"]) {
      expect((await site.ask({ target, method })).status).toBe(200);
    }
    expect(app.received.map((each) => each.target)).toEqual([target, target, target]);
  });

  test.each(["/foo/bar/..", "/foo/bar/../x", "/foo/bar/x/%2e%2e/..;/y", "/foo/bar/..%2fx"])(
    "%s climbs out, and is answered 400",
    async (target) => {
      expect((await site.ask({ target })).status).toBe(400);
      expect(app.received).toEqual([]);
    },
  );

  test("a whole URL in the request line becomes a path", async () => {
    await site.ask({ target: `http://127.0.0.1:${site.port}/foo/bar/x?y` });
    expect(app.received.map(({ target }) => target)).toEqual(["/foo/bar/x?y"]);
  });

  test("a browser that asks for the prefix itself gets what the application says", async () => {
    const { status } = await site.ask({ target: "/foo/bar", headers: { Accept: "text/html" } });
    expect(status).toBe(200);
    expect(app.received.map(({ target }) => target)).toEqual(["/foo/bar"]);
  });

  test("its pages' links that have no route lead nowhere", async () => {
    const headers = { Host: "www.test", Referer: "http://www.test/foo/bar/page" };
    expect((await site.ask({ target: "/assets/a.js", headers })).status).toBe(403);
  });

  test("there is no X-Forwarded-Prefix, also none of the client's", async () => {
    await site.ask({ target: "/foo/bar/x", headers: { "X-Forwarded-Prefix": "/evil" } });
    expect(app.received[0]?.values("X-Forwarded-Prefix")).toEqual([]);
    expect(app.received[0]?.values("X-Forwarded-For")).toEqual(["127.0.0.1"]);
  });

  test("answers are not mended", async () => {
    for (const [name, value] of [
      ["Location", "/login"],
      ["Location", "/foo/bar/login"],
      ["Location", `http://127.0.0.1:${site.port}/x|y`],
      ["Set-Cookie", "a=b; Path=/"],
      ["Set-Cookie", "a=b; Path=/foo/bar"],
    ] as const) {
      app.answerer = () => reply(302, [[name, value]]);
      expect((await site.ask({ target: "/foo/bar/x" })).header(name)).toBe(value);
    }
    app.answerer = () => reply(200);
  });

  test("another service's is stripped", async () => {
    await site.ask({ target: "/foo/x" });
    expect(other.received[0]?.target).toBe("/x");
    expect(other.received[0]?.values("X-Forwarded-Prefix")).toEqual(["/foo"]);
  });

  test("it comes and goes while HAProxy runs, without drift", async () => {
    for (const [labels, seen] of [
      [{}, "/x"],
      [LEFT_ON, "/foo/bar/x"],
    ] as const) {
      app.forget();
      expect(await running.go(site.render(services(labels)).files)).toBe("commands");
      await site.ask({ target: "/foo/bar/x" });
      expect(app.received.map(({ target }) => target)).toEqual([seen]);
      await running.verify();
      expect(running.applier.applied.doubt).toBeUndefined();
    }
    expect(running.reloads).toEqual([]);
  });
});
