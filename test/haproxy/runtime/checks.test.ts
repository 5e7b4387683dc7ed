// When a server counts as up: as soon as its port answers, unless its check asks for more.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { haproxyVersions } from "../../lab/haproxy.ts";
import { eventually } from "../../lab/http.ts";
import { freePort, reply, startApp, type App } from "../../lab/app.ts";
import { askAlways } from "../../lab/asking.ts";
import { handmade, type Handmade } from "../../lab/handmade.ts";
import { Site, START_MS } from "../../lab/proxy.ts";
import { Running } from "../../lab/running.ts";

setDefaultTimeout(START_MS);

/** HAProxy's own check would be far too late. */
const SELDOM = "check inter 60s rise 1";
/** It comes soon. */
const OFTEN = "check inter 100ms rise 1 fall 1";

describe.each(haproxyVersions())("checks, HAProxy %s", (version) => {
  let site: Site;
  let running: Running;
  const apps: App[] = [];

  beforeEach(async () => {
    site = await Site.make(version);
  });

  afterEach(async () => {
    await running.stop();
    for (const app of apps.splice(0)) await app.stop();
  });

  test("a port that answers a moment later is up then, long before HAProxy looks", async () => {
    const port = await freePort();
    await start([]);
    await go([`server one 127.0.0.1:${port} ${SELDOM}`]);
    expect(await running.status("foo/one")).toStartWith("DOWN");
    await newApp(port);
    await eventually(async () => expect(await running.status("foo/one")).toStartWith("UP"));
    expect((await site.ask({ target: "/" })).status).toBe(200);
  });

  test("the same for one that was disabled, and one that moved", async () => {
    const [one, two] = [await freePort(), await freePort()];
    await start([
      `server one 127.0.0.1:${one} ${SELDOM} disabled`,
      `server two 127.0.0.1:1 ${SELDOM}`,
    ]);
    await go([`server one 127.0.0.1:${one} ${SELDOM}`, `server two 127.0.0.1:${two} ${SELDOM}`]);
    expect(await statuses()).toEqual(["DOWN", "DOWN"]);
    await newApp(one);
    await newApp(two);
    await eventually(async () => expect(await statuses()).toEqual(["UP", "UP"]));
  });

  test("an answer of where it was before it moved says nothing", async () => {
    const [old, dead] = [await freePort(), await freePort()];
    await start([]);
    await go([`server one 127.0.0.1:${old} ${SELDOM}`]);
    await go([`server one 127.0.0.1:${dead} ${SELDOM}`]);
    const app = await newApp(old);
    // Somebody asks there: the probes of the old place went on.
    await Bun.sleep(100);
    expect(await running.status("foo/one")).toStartWith("DOWN");
    expect(app.received).toEqual([]);
  });

  test("an answer of one that is on its way out says nothing", async () => {
    const port = await freePort();
    await start([]);
    await go([`server one 127.0.0.1:${port} ${SELDOM}`]);
    await go([`server one 127.0.0.1:${port} ${SELDOM} disabled`]);
    await newApp(port);
    await Bun.sleep(100);
    expect(await running.status("foo/one")).not.toStartWith("UP");
    expect((await site.ask({ target: "/" })).status).toBe(503);
  });

  test("unchecked, it is asked at once", async () => {
    const app = await newApp();
    await start([]);
    await go([`server one 127.0.0.1:${app.port}`]);
    expect((await site.ask({ target: "/" })).status).toBe(200);
    await go([`server one 127.0.0.1:${app.port} disabled`]);
    expect((await site.ask({ target: "/" })).status).toBe(503);
    await go([`server one 127.0.0.1:${app.port}`]);
    expect((await site.ask({ target: "/" })).status).toBe(200);
  });

  describe("where it has to answer a question", () => {
    const CHECK = "option httpchk GET /health";
    let app: App;
    let line: string;
    let healthy: boolean;

    beforeEach(async () => {
      healthy = false;
      app = await newApp();
      app.answerer = ({ target }) => reply(target !== "/health" || healthy ? 200 : 503);
      line = `server one 127.0.0.1:${app.port} ${OFTEN}`;
    });

    test("added, it gets no request before the right answer", async () => {
      await start([CHECK]);
      await onlyWhenHealthy(() => go([CHECK, line]));
    });

    test("the same where its defaults say so", async () => {
      const parts = { defaults: [CHECK], routes: ["/ foo"] };
      await startWith({ ...parts, backends: { foo: [] } });
      await onlyWhenHealthy(async () => {
        await running.go(handmade(site, { ...parts, backends: { foo: [line] } }));
      });
    });

    test("enabled, it gets none either", async () => {
      await start([CHECK, `${line} disabled`]);
      await onlyWhenHealthy(() => go([CHECK, line]));
    });

    test("nor after a reload", async () => {
      await start([CHECK]);
      const parts = { defaults: ["timeout queue 1s"], routes: ["/ foo"] };
      await onlyWhenHealthy(async () => {
        await running.go(handmade(site, { ...parts, backends: { foo: [CHECK, line] } }));
      });
      expect(running.reloads).toEqual([['defaults "_back" changed']]);
    });

    /** None but HAProxy's own questions, until these are answered well. */
    async function onlyWhenHealthy(change: () => Promise<void>): Promise<void> {
      const stop = askAlways(site, "/");
      await change();
      await eventually(() => expect(questions("/health")).toBeGreaterThan(2));
      expect(await stop()).toEqual([503]);
      expect(questions("/")).toBe(0);
      healthy = true;
      await eventually(async () => expect((await site.ask({ target: "/" })).status).toBe(200));
    }

    function questions(target: string): number {
      return app.received.filter((received) => received.target === target).length;
    }
  });

  async function newApp(port?: number): Promise<App> {
    const app = await startApp(port === undefined ? {} : { port });
    apps.push(app);
    return app;
  }

  async function startWith(parts: Handmade): Promise<void> {
    running = await Running.start(site, handmade(site, { routes: ["/ foo"], ...parts }));
  }

  function start(foo: string[]): Promise<void> {
    return startWith({ backends: { foo } });
  }

  async function go(foo: string[]): Promise<void> {
    const files = handmade(site, { backends: { foo }, routes: ["/ foo"] });
    expect(await running.go(files)).toBe("commands");
  }

  async function statuses(): Promise<string[]> {
    return Object.values(await running.servers()).map(({ status }) => status.replace(/ .*/, ""));
  }
});
