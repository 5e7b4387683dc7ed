// Proves that where a container's port is guessed, only one that answers gets requests.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { haproxyVersions, type Haproxy } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { freePort, startApp, type App } from "../lab/app.ts";
import { Site, START_MS, type Service } from "../lab/proxy.ts";

setDefaultTimeout(START_MS);

const ASKED = 12;
// Two containers, each with an address of its own, that expose nothing.
const ONE = { image: "foo", name: "one", address: "127.0.3.1" };
const TWO = { image: "foo", name: "two", address: "127.0.3.2" };

describe.each(haproxyVersions())("candidate ports, HAProxy %s", (version) => {
  let first: number;
  let second: number;
  let site: Site;
  let haproxy: Haproxy | undefined;
  const apps: App[] = [];

  beforeEach(async () => {
    [first, second] = [await freePort(), await freePort()];
    site = await Site.make(version, { ports: [first, second] });
  });

  afterEach(async () => {
    await haproxy?.stop();
    haproxy = undefined;
    for (const app of apps.splice(0)) await app.stop();
  });

  test("only the first answers: it gets all", async () => {
    const app = await listen(ONE, first);
    await start([ONE]);
    await askOften();
    expect(app.received.length).toBe(ASKED);
    expect((await site.servers())[`one:${second}`]?.chosen).toBe(0);
  });

  test("only the second answers: it gets all", async () => {
    const app = await listen(ONE, second);
    await start([ONE]);
    await askOften();
    expect(app.received.length).toBe(ASKED);
    expect((await site.servers())[`one:${first}`]?.chosen).toBe(0);
  });

  test("both answer: the first gets all", async () => {
    const [app, other] = [await listen(ONE, first), await listen(ONE, second)];
    await start([ONE]);
    await askOften();
    expect([app.received.length, other.received.length]).toEqual([ASKED, 0]);
    // The second is checked all the same.
    await eventually(async () => {
      const { status, check } = (await site.servers())[`one:${second}`] ?? {};
      expect([status, check]).toEqual(["UP", "L4OK"]);
    });
  });

  test("none answers: 503 until one does, whichever that is", async () => {
    await start([ONE]);
    expect((await site.ask({ target: "/foo" })).status).toBe(503);
    const app = await listen(ONE, second);
    await eventually(async () => expect((await site.ask({ target: "/foo" })).status).toBe(200));
    await app.stop();
    const other = await listen(ONE, first);
    await eventually(async () =>
      expect((await site.ask({ target: "/foo" })).body).toBe(other.name),
    );
    await askOften();
  });

  test("the first comes later: it takes over, and nobody notices", async () => {
    const app = await listen(ONE, second);
    await start([ONE]);
    await askOften();
    const other = await listen(ONE, first);
    await eventually(async () => {
      expect((await site.ask({ target: "/foo" })).status).toBe(200);
      expect(other.received.length).toBeGreaterThan(0);
    });
    app.forget();
    await askOften();
    expect(app.received.length).toBe(0);
  });

  test("two containers on the second port share alike", async () => {
    const [app, other] = [await listen(ONE, second), await listen(TWO, second)];
    await start([ONE, TWO]);
    await askOften();
    expect([app.received.length, other.received.length]).toEqual([ASKED / 2, ASKED / 2]);
  });

  test("two containers on different ports: every request is answered", async () => {
    await listen(ONE, second);
    await listen(TWO, first);
    await start([ONE, TWO]);
    await askOften();
  });

  test("before the first check, with nothing known, every request is answered too", async () => {
    const app = await listen(ONE, second);
    haproxy = await site.start([ONE]);
    await askOften();
    expect(app.received.length).toBe(ASKED);
  });

  async function listen({ address }: { address: string }, port: number): Promise<App> {
    const app = await startApp({ address, port });
    apps.push(app);
    return app;
  }

  /** Starts HAProxy as the gateway does: with what is known of the ports. */
  async function start(services: readonly Service[]): Promise<void> {
    await site.saveStates(services, false);
    haproxy = await site.start(services);
  }

  async function askOften(): Promise<void> {
    for (let count = 0; count < ASKED; count++) {
      const method = count % 2 === 0 ? "GET" : "POST";
      expect((await site.ask({ method, target: "/foo" })).status).toBe(200);
    }
  }
});
