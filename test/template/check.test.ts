// Proves the label gateway.check and its kin: a container gets requests once its check is content, not
// once its port answers.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { reply, startApp, type App } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { serviceOf, Site, START_MS, type Service } from "../lab/proxy.ts";
import { Running } from "../lab/running.ts";

const CHECK = "/health?a='b'&c=$HOME";

describe.each(haproxyVersions())("checks, HAProxy %s", (version) => {
  let app: App;
  let site: Site;
  let running: Running;
  let health: number;

  const container = (name: string, labels: Record<string, string>): Service =>
    serviceOf(app, { image: "foo", name, labels: { "gateway.check": CHECK, ...labels } });
  const status = async (): Promise<string | undefined> => {
    const backend = running.applier.runningName("foo");
    const states = Object.entries(await running.servers());
    return states.find(([key]) => key.startsWith(`${backend}/`))?.[1].status;
  };

  beforeAll(async () => {
    app = await startApp();
    site = await Site.make(version);
    running = await Running.start(site, site.render([]).files);
  }, START_MS);

  beforeEach(() => {
    app.forget();
    health = 200;
    app.answerer = ({ target }) => reply(target === CHECK ? health : 200);
  });

  afterAll(async () => {
    await running.stop();
    await app.stop();
  });

  test.each(["reload", "commands"])("it is up once its check is content, by %s", async (how) => {
    health = 500;
    await running.serve([]);
    expect(await running.serve([container(how, { "gateway.check.host": "a.org" })])).toBe(
      how as "commands",
    );
    await eventually(() => expect(app.received.length).toBeGreaterThan(2));
    expect(await status()).toMatch(/^DOWN/);
    expect((await site.ask({ target: "/foo/x" })).status).toBe(503);
    const [asked] = app.received;
    expect(asked?.method).toBe("GET");
    expect(asked?.target).toBe(CHECK);
    expect(asked?.values("Host")).toEqual(["a.org"]);
    health = 301;
    await eventually(async () => expect(await status()).toBe("UP"));
    expect((await site.ask({ target: "/foo/x" })).status).toBe(200);
    await running.verify();
    expect(running.applier.applied.doubt).toBeUndefined();
  });

  test("one that is not content any more gets no requests", async () => {
    const labels = { "gateway.check.interval": "100ms", "gateway.check.status": "200" };
    await running.serve([container("a", labels)]);
    await eventually(async () => expect(await status()).toBe("UP"));
    health = 204;
    await eventually(async () => expect(await status()).toMatch(/^DOWN/));
    expect((await site.ask({ target: "/foo/x" })).status).toBe(503);
    health = 200;
    await eventually(async () => expect(await status()).toBe("UP"));
  });

  test("without the label its port is enough", async () => {
    health = 500;
    await running.serve([]);
    // The one before is checked until it is gone.
    await eventually(async () => expect(await running.servers()).toEqual({}));
    app.forget();
    await running.serve([serviceOf(app, { image: "foo", name: "b" })]);
    await eventually(async () => expect(await status()).toBe("UP"));
    expect(app.received).toEqual([]);
  });
});
