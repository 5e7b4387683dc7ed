// Proves what the labels of a container say of its server: its weight, whether it is a backup, and how
// many requests it gets at a time. None of them needs a reload.

import type { Socket } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { reply, startApp, type App } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { serviceOf, Site, START_MS, type Service } from "../lab/proxy.ts";
import { Running } from "../lab/running.ts";

function of(app: App, name: string, labels: Record<string, string> = {}): Service {
  return serviceOf(app, { image: "foo", name, labels });
}

describe.each(haproxyVersions())("labels of a server, HAProxy %s", (version) => {
  let one: App;
  let other: App;
  let site: Site;
  let running: Running;

  beforeAll(async () => {
    [one, other] = [await startApp(), await startApp()];
    site = await Site.make(version);
    running = await Running.start(site, site.render([]).files);
  }, START_MS);

  beforeEach(() => {
    one.forget();
    other.forget();
  });

  afterAll(async () => {
    await running.stop();
    await one.stop();
    await other.stop();
  });

  const serve = async (...services: Service[]): Promise<void> => {
    expect(await running.serve(services)).not.toBe("reload");
    const wanted = site.render(services).model.services.flatMap(({ servers }) => servers);
    await eventually(async () => {
      const backend = running.applier.runningName("foo");
      for (const { name } of wanted) {
        expect(await running.status(`${backend}/${name}`)).toBe("UP");
      }
    });
  };
  const askForty = async (): Promise<void> => {
    for (let index = 0; index < 40; index++) {
      expect((await site.ask({ target: "/foo/x" })).status).toBe(200);
    }
  };

  test("weight is the share of the requests", async () => {
    await serve(of(one, "a", { "gateway.weight": "3" }), of(other, "b"));
    await askForty();
    expect([one.received.length, other.received.length]).toEqual([30, 10]);
    await running.verify();
    expect(running.applier.applied.doubt).toBeUndefined();
  });

  test("with split its containers share the requests with the others, and take over from them", async () => {
    await serve();
    const next = of(other, "next", { "gateway.split": "20%" });
    await serve(of(one, "old"), next);
    // Servers that are new need some requests to come into step.
    await askForty();
    one.forget();
    other.forget();
    await askForty();
    expect([one.received.length, other.received.length]).toEqual([32, 8]);
    // One more of the others is no more of their share.
    const three = [of(one, "old"), of(one, "old-2"), next];
    await serve(...three);
    await askForty();
    one.forget();
    other.forget();
    await askForty();
    expect(Math.abs(other.received.length - 8)).toBeLessThanOrEqual(1);
    await running.verify();
    expect(running.applier.applied.doubt).toBeUndefined();
    // The weights are those after a reload, too, which HAProxy does not take from its files alone.
    await running.written(site.render(three).files);
    await running.reloadByHand();
    await running.verify();
    expect(running.applier.applied.doubt).toBeUndefined();
    await serve(next);
    other.forget();
    await askForty();
    expect(other.received).toHaveLength(40);
    await running.verify();
    expect(running.applier.applied.doubt).toBeUndefined();
  });

  test("it is gone with its container", async () => {
    await serve();
    await serve(of(one, "c"), of(other, "d"));
    await askForty();
    // Servers that are new need some requests to come into step.
    expect(Math.abs(one.received.length - other.received.length)).toBeLessThan(10);
  });

  test("a backup gets requests only while no other container answers", async () => {
    await serve();
    await serve(of(one, "e"), of(other, "f", { "gateway.backup": "true" }));
    await askForty();
    expect([one.received.length, other.received.length]).toEqual([40, 0]);
    await serve(of(other, "f", { "gateway.backup": "true" }));
    await askForty();
    expect(other.received).toHaveLength(40);
  });

  test("with maxconn it gets so many at a time, and the others wait for their turn", async () => {
    await serve();
    await serve(of(one, "g", { "gateway.maxconn": "2" }));
    const held: Socket[] = [];
    one.answerer = (_, socket) => void held.push(socket);
    const answers = Array.from({ length: 5 }, () => site.ask({ target: "/foo/x" }));
    await eventually(async () => expect(await running.ask("show stat")).toMatch(/,BACKEND,3,/));
    // Those that do not wait have been sent, and may still be on their way.
    await eventually(() => expect(held).toHaveLength(2));
    one.answerer = () => reply(200);
    for (const socket of held) socket.end(reply(200, [["Connection", "close"]]));
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    expect(statuses).toEqual([200, 200, 200, 200, 200]);
  });

  test("HAProxy takes all of it from its files as well", async () => {
    const labels = { "gateway.weight": "9", "gateway.maxconn": "7", "gateway.backup": "1" };
    await serve();
    const { files } = site.render([of(one, "h", labels), of(other, "i")]);
    expect(await running.go(files)).toBe("commands");
    await running.written(files);
    await running.reloadByHand();
    await running.verify();
    await askForty();
    expect([one.received.length, other.received.length]).toEqual([0, 40]);
  });
});
