// Proves the labels gateway.timeout, its kin, and gateway.queue: what they do, and that only a set of
// settings that is new takes a reload.

import type { Socket } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { reply, startApp, type App } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { serviceOf, Site, START_MS, type Service } from "../lab/proxy.ts";
import { Running } from "../lab/running.ts";

function of(app: App, image: string, labels: Record<string, string> = {}): Service {
  return serviceOf(app, { image, name: image, labels });
}

describe.each(haproxyVersions())("timeouts, HAProxy %s", (version) => {
  let app: App;
  let site: Site;
  let running: Running;

  beforeAll(async () => {
    app = await startApp();
    site = await Site.make(version);
    running = await Running.start(site, site.render([of(app, "plain")]).files);
  }, START_MS);

  beforeEach(() => {
    app.forget();
    running.reloads.splice(0);
  });

  afterEach(() => {
    app.answerer = () => reply(200);
  });

  afterAll(async () => {
    await running.stop();
    await app.stop();
  });

  test("a set of settings that is new takes one reload, and further services with it none", async () => {
    const set = { "gateway.timeout": "300ms" };
    const first = [of(app, "plain"), of(app, "a", set)];
    expect(await running.serve(first)).toBe("reload");
    expect(running.reloads).toEqual([['defaults "_timeout:300ms" is new']]);
    const both = [...first, of(app, "b", { "gateway.timeout": " 0s300MS" })];
    expect(await running.serve(both)).toBe("commands");
    app.answerer = () => undefined;
    for (const path of ["/a/x", "/b/x"]) {
      const start = performance.now();
      expect((await site.ask({ target: path })).status).toBe(504);
      expect(performance.now() - start).toBeLessThan(2_000);
    }
    await running.verify();
    expect(running.applier.applied.doubt).toBeUndefined();
  });

  test("it is gone with its containers, and comes back, without a reload", async () => {
    expect(await running.serve([of(app, "plain")])).toBe("commands");
    expect((await site.ask({ target: "/a/x" })).status).toBe(403);
    expect((await site.ask({ target: "/plain/x" })).status).toBe(200);
    expect(await running.serve([of(app, "plain")])).toBe("nothing");
    const again = [of(app, "plain"), of(app, "c", { "gateway.timeout": "300ms" })];
    expect(await running.serve(again)).toBe("commands");
    app.answerer = () => undefined;
    expect((await site.ask({ target: "/c/x" })).status).toBe(504);
    await running.verify();
    expect(running.applier.applied.doubt).toBeUndefined();
  });

  test("a service that loses its label is served as any other", async () => {
    expect(await running.serve([of(app, "plain"), of(app, "c")])).toBe("reload");
    app.answerer = (_, socket) => {
      setTimeout(() => socket.write(reply(200)), 600);
      return undefined;
    };
    expect((await site.ask({ target: "/c/x" })).status).toBe(200);
  });

  test("requests wait for a container with timeout.connect as without", async () => {
    const labels = { "gateway.timeout.connect": "50ms" };
    const held = {
      ...of(app, "d", labels),
      state: "restarting" as const,
      hold: "waiting" as const,
    };
    await running.serve([held]);
    const answer = site.ask({ target: "/d/x", method: "POST", body: "x" });
    await Bun.sleep(300);
    expect(await running.serve([of(app, "d", labels)])).toBe("commands");
    expect((await answer).status).toBe(200);
  });

  test("timeout.tunnel ends a connection that is silent", async () => {
    await running.serve([of(app, "e", { "gateway.timeout.tunnel": "300ms" })]);
    app.answerer = (_, socket) => {
      socket.write("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n");
      return undefined;
    };
    const connection = await site.connect();
    const start = performance.now();
    connection.send(
      "GET /e/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n",
    );
    expect((await connection.response()).status).toBe(101);
    await connection.closed;
    expect(performance.now() - start).toBeWithin(250, 3_000);
  });

  test.each([
    ["0", 0],
    ["2", 2],
  ])("queue=%s lets %d requests wait for their turn", async (queue, waiting) => {
    const labels = { "gateway.maxconn": "1", "gateway.queue": queue };
    const name = `queue-${queue}`;
    await running.serve([of(app, name, labels)]);
    await eventually(async () => {
      // The former worker, which does not know it, may take requests for a moment still.
      for (let count = 0; count < 10; count++) {
        expect((await site.ask({ target: `/${name}/x` })).status).toBe(200);
      }
    });
    const held: Socket[] = [];
    app.answerer = (_, socket) => void held.push(socket);
    let first = site.ask({ target: `/${name}/1` });
    await eventually(async () => {
      // The place of the one before may be taken for a moment still.
      const refused = await Promise.race([first, Bun.sleep(50)]);
      if (refused !== undefined) first = site.ask({ target: `/${name}/1` });
      expect(held).toHaveLength(1);
    });
    const others = Array.from({ length: 4 }, () => site.ask({ target: `/${name}/2` }));
    const statuses: number[] = [];
    for (const each of others) void each.then(({ status }) => statuses.push(status));
    await eventually(() => expect(statuses).toHaveLength(4 - waiting));
    expect(new Set(statuses)).toEqual(new Set([503]));
    app.answerer = () => reply(200, [["Connection", "close"]]);
    held[0]?.end(reply(200, [["Connection", "close"]]));
    expect((await first).status).toBe(200);
    await Promise.all(others);
    expect(statuses.filter((status) => status === 200)).toHaveLength(waiting);
  });

  test("queue=200ms lets them wait so long", async () => {
    await running.serve([of(app, "g", { "gateway.maxconn": "1", "gateway.queue": "200ms" })]);
    const held: Socket[] = [];
    app.answerer = (_, socket) => void held.push(socket);
    const first = site.ask({ target: "/g/1" });
    await eventually(() => expect(held).toHaveLength(1));
    const start = performance.now();
    expect((await site.ask({ target: "/g/2" })).status).toBe(503);
    expect(performance.now() - start).toBeWithin(150, 2_000);
    held[0]?.end(reply(200, [["Connection", "close"]]));
    expect((await first).status).toBe(200);
  });
});
