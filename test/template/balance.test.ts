// Proves the label gateway.balance, also with containers that come and go while HAProxy runs.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { reply, startApp, type App } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { serviceOf, Site, START_MS, type Service } from "../lab/proxy.ts";
import { Running } from "../lab/running.ts";

describe.each(haproxyVersions())("balance, HAProxy %s", (version) => {
  let apps: App[];
  let site: Site;
  let running: Running;

  beforeAll(async () => {
    apps = [await startApp(), await startApp(), await startApp()];
    site = await Site.make(version);
    running = await Running.start(site, site.render([]).files);
  }, START_MS);

  beforeEach(() => {
    for (const app of apps) {
      app.forget();
      app.answerer = () => reply(200, [], app.name);
    }
  });

  afterAll(async () => {
    await running.stop();
    for (const app of apps) await app.stop();
  });

  /** Serves the first containers. Returns how. */
  const serve = async (balance: string, count: number): Promise<string> => {
    const services = apps
      .slice(0, count)
      .map((app): Service =>
        serviceOf(app, { image: "foo", labels: { "gateway.balance": balance } }),
      );
    const how = await running.serve(services);
    const backend = running.applier.runningName("foo");
    await eventually(async () => {
      const states = Object.entries(await running.servers());
      const up = states.filter(
        ([key, { status }]) => key.startsWith(`${backend}/`) && status === "UP",
      );
      expect(up).toHaveLength(count);
    });
    return how;
  };
  const askFor = async (headers: Record<string, string>): Promise<string> =>
    (await site.ask({ target: "/foo/x", headers })).body;

  test.each([
    ["hash:X-User", (user: string) => ({ "X-User": user })],
    ["hash:cookie:user", (user: string) => ({ Cookie: `a=b; user=${user}; c=d` })],
  ])(
    "%s: one has one container, and keeps it when another comes or goes",
    async (balance, headersOf) => {
      await serve(balance, 2);
      const users = Array.from({ length: 30 }, (_, index) => `user-${index}`);
      const places = async (): Promise<string[]> => {
        const found: string[] = [];
        for (const user of users) found.push(await askFor(headersOf(user)));
        return found;
      };
      const first = await places();
      expect(new Set(first).size).toBe(2);
      expect(await places()).toEqual(first);
      expect(await serve(balance, 3)).toBe("commands");
      const second = await places();
      // Who moved has moved to the new one.
      const moved = second.filter((name, index) => name !== first[index]);
      expect(new Set(moved)).toEqual(new Set([apps[2]?.name ?? ""]));
      expect(moved.length).toBeLessThan(25);
      expect(await serve(balance, 2)).toBe("commands");
      expect(await places()).toEqual(first);
      await running.verify();
      expect(running.applier.applied.doubt).toBeUndefined();
    },
  );

  test("a request without the header goes to any", async () => {
    await serve("hash:X-User", 2);
    const found = new Set<string>();
    for (let index = 0; index < 10; index++) found.add(await askFor({}));
    expect(found.size).toBe(2);
  });

  test("source: an address has one container", async () => {
    await serve("source", 2);
    expect(await serve("source", 3)).toBe("commands");
    const found = new Set<string>();
    for (let index = 0; index < 10; index++) found.add(await askFor({}));
    expect(found.size).toBe(1);
  });

  test("leastconn: the one that is busy gets no more", async () => {
    await serve("leastconn", 1);
    const [busy] = apps as [App];
    busy.answerer = () => undefined;
    // Two, as the other one may still count a request that has just been answered.
    const hanging = [await site.connect(), await site.connect()];
    for (const each of hanging) each.send("GET /foo/x HTTP/1.1\r\nHost: x\r\n\r\n");
    await eventually(() => expect(busy.received).toHaveLength(2));
    expect(await serve("leastconn", 2)).toBe("commands");
    for (let index = 0; index < 10; index++) expect(await askFor({})).toBe(apps[1]?.name ?? "");
    for (const each of hanging) each.close();
  });

  test("random: all get some", async () => {
    await serve("random", 2);
    expect(await serve("random", 3)).toBe("commands");
    const found = new Set<string>();
    for (let index = 0; index < 60; index++) found.add(await askFor({}));
    expect(found.size).toBe(3);
  });
});
