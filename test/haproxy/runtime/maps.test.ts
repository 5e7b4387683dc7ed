// Routes that change while HAProxy runs, few or thousands, and how much is said to it at a time.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { haproxyVersions } from "../../lab/haproxy.ts";
import { eventually } from "../../lab/http.ts";
import { startApp, type App } from "../../lab/app.ts";
import { askAlways } from "../../lab/asking.ts";
import { handmade } from "../../lab/handmade.ts";
import { Site, START_MS } from "../../lab/proxy.ts";
import { startRecorder, type Recorder } from "../../lab/recorder.ts";
import { Running } from "../../lab/running.ts";

setDefaultTimeout(START_MS);

/** What HAProxy takes for a line, or for a payload with the line before it. */
const BUFFER = 16_384;
/** What of it is used at the most, besides the command of a payload itself. */
const LIMIT = 15_000;

describe.each(haproxyVersions())("routes, HAProxy %s", (version) => {
  let site: Site;
  let map: string;
  let app: App;
  let recorder: Recorder;
  let running: Running;

  beforeEach(async () => {
    site = await Site.make(version);
    map = site.setup.files.pathOf("routes.map");
    app = await startApp();
    recorder = await startRecorder(site.setup.paths.haproxy.statsSocket);
  });

  afterEach(async () => {
    await running.stop();
    await recorder.close();
    await app.stop();
    for (const text of recorder.sent) expect(Buffer.byteLength(text)).toBeLessThan(BUFFER);
    expect(running.reloads).toEqual([]);
  });

  test("a few, one by one", async () => {
    await start(["/a/ foo", "/b/ foo", "/c/ foo"]);
    expect(await go(["/a/ foo", "/b/ bar", "/d/ foo|1"])).toBe("commands");
    expect((await running.entries(map)).toSorted()).toEqual(["/a/ foo", "/b/ bar", "/d/ foo|1"]);
    expect(spoken()).toEqual(
      [`set map ${map} /b/ bar`, `add map ${map} /d/ foo|1`, `del map ${map} /c/`].toSorted(),
    );
    expect(await statusOf("/d/")).toBe(200);
    expect(await statusOf("/c/")).toBe(403);
  });

  test("the longest prefix wins, whatever came last", async () => {
    await start(["/a/b/ foo"]);
    await go(["/a/b/ foo", "/a/ bar"]);
    expect([await statusOf("/a/b/"), await statusOf("/a/x")]).toEqual([200, 503]);
    await go(["/a/b/ foo", "/a/ bar", "/a/b/c/ bar"]);
    expect([await statusOf("/a/b/"), await statusOf("/a/b/c/")]).toEqual([200, 503]);
  });

  test("2,000 at once, as one: no request finds half of them", async () => {
    const stable = ["/stable/ foo"];
    const before = many("old", 2_000);
    const after = many("new", 2_000);
    await start([...stable, ...before]);
    const stop = askAlways(site, "/stable/");
    expect(await go([...stable, ...after])).toBe("commands");
    expect(await running.entries(map)).toEqual([...stable, ...after]);
    expect(await go([...after, ...stable])).toBe("nothing");
    expect(await go(stable)).toBe("commands");
    expect(await running.entries(map)).toEqual(stable);
    expect(await stop()).toEqual([200]);

    const payloads = recorder.sent.filter((text) => text.includes("<<\n"));
    expect(payloads.length).toBeGreaterThan(2);
    for (const text of payloads) {
      expect(Buffer.byteLength(text.slice(text.indexOf("\n") + 1).trimEnd())).toBeLessThanOrEqual(
        LIMIT,
      );
    }
    const told = recorder.sent.map((text) => /^(prepare|commit|clear) map/.exec(text)?.[1]);
    expect(told.filter(Boolean)).toEqual(["prepare", "commit", "prepare", "commit"]);
  });

  test("of a key that stands there twice the first counts, as in the file", async () => {
    await start(["/a/ foo"]);
    await go(["/a/ foo", "/a/ bar"]);
    expect(await running.entries(map)).toEqual(["/a/ foo", "/a/ bar"]);
    expect(await statusOf("/a/")).toBe(200);
    await go(["/a/ bar", "/a/ foo"]);
    expect(await statusOf("/a/")).toBe(503);
    await go(["/a/ foo"]);
    expect(await running.entries(map)).toEqual(["/a/ foo"]);
  });

  test("letters of other alphabets, a byte more or less", async () => {
    const routes = Array.from(
      { length: 600 },
      (_, index) => `/${"ü€".repeat(index % 40)}${index}/ foo`,
    );
    await start([]);
    await go(routes);
    expect(await running.entries(map)).toEqual(routes);
    await go(routes.slice(0, -50));
    expect((await running.entries(map)).toSorted()).toEqual(routes.slice(0, -50).toSorted());
  });

  test("what means something to HAProxy's command line is only a word of a route", async () => {
    const odd = ["/a;shutdown/ foo", String.raw`/a\b/ foo`, "/'\"#<</ foo", "/a,b|c/ foo|1"];
    await start([]);
    for (const count of [1, 2, 3, 4]) await go(odd.slice(0, count));
    expect((await running.entries(map)).toSorted()).toEqual(odd.toSorted());
    await go([]);
    expect(await running.entries(map)).toEqual([]);
  });

  test("500 servers at once, in lines that HAProxy takes", async () => {
    await start([]);
    const servers = Array.from(
      { length: 500 },
      (_, index) => `server replica-${index} 127.0.0.1:${app.port} check inter 60s`,
    );
    await running.go(handmade(site, { backends: { foo: servers, bar: [] } }));
    const lines = recorder.sent.filter((text) => text.startsWith("add server"));
    expect(lines.length).toBeGreaterThan(1);
    for (const line of lines) expect(Buffer.byteLength(line)).toBeLessThan(LIMIT + 50);
    await eventually(async () => {
      const states = Object.values(await running.servers()).map(({ status }) => status);
      expect(states.filter((status) => status === "UP")).toHaveLength(500);
    });
    // Not a connection for each command.
    expect(recorder.sent.length).toBeLessThan(60);
  });

  async function start(routes: string[]): Promise<void> {
    running = await Running.start(site, filesWith(routes), { socket: recorder.socket });
    await running.runtime.capabilities();
    recorder.sent.length = 0;
  }

  function go(routes: string[]): ReturnType<Running["go"]> {
    return running.go(filesWith(routes));
  }

  function filesWith(routes: string[]) {
    const backends = { foo: [`server s 127.0.0.1:${app.port}`], bar: [] };
    return handmade(site, { routes, backends });
  }

  /** The commands that changed something, in the order of the alphabet. */
  function spoken(): string[] {
    return recorder.sent
      .flatMap((text) => text.trim().split(";"))
      .filter((command) => !command.startsWith("show "))
      .toSorted();
  }

  async function statusOf(target: string): Promise<number> {
    return (await site.ask({ target })).status;
  }
});

/** Routes of this name, with some length. */
function many(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `/${name}/with/some/segments/${index}/ foo|5`);
}
