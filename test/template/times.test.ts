// Proves that HAProxy notes how long the answers of containers take, of all requests or of a part of them.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startApp, reply, type App } from "../lab/app.ts";
import { cli, haproxyVersions, type Haproxy } from "../lab/haproxy.ts";
import { request } from "../lab/http.ts";
import { serviceOf, Site, START_MS } from "../lab/proxy.ts";
import { NOTING, quantile } from "../../src/lib/times.ts";
import { readTimes, readTotals } from "../../src/haproxy/runtime/stats.ts";

/** So long some answers take, in milliseconds. */
const LATE = 3_000;

describe.each(haproxyVersions())("how long answers take, HAProxy %s", (version) => {
  let app: App;
  let site: Site;
  let haproxy: Haproxy | undefined;

  beforeAll(async () => {
    app = await startApp({
      answerer: ({ target }, socket) => {
        if (target === "/moved") return reply(302, [["Location", "/elsewhere"]]);
        if (target !== "/late") return reply(200, [], "x");
        setTimeout(() => socket.write(reply(200, [], "x")), LATE);
        return undefined;
      },
    });
    site = await Site.make(version);
    haproxy = await site.start([
      serviceOf(app, { image: "slow", name: "slow" }),
      serviceOf(app, { image: "busy", name: "busy" }),
      serviceOf(app, { image: "idle", name: "idle" }),
    ]);
  }, START_MS);

  afterAll(async () => {
    await haproxy?.stop();
    await app.stop();
  });

  function tell(line: string): Promise<string> {
    return cli(site.setup.paths.haproxy.statsSocket, line);
  }

  /** How many requests there were, and within what time half of them were answered, and nearly all. */
  async function counted(backend: string) {
    const found = (await readTotals(tell)).find((each) => each.backend === backend);
    if (found === undefined) throw new Error(`there is no backend ${backend}`);
    const times = (await readTimes(tell)).get(found.number);
    return { requests: found.requests, p50: quantile(times, 0.5), p95: quantile(times, 0.95) };
  }

  /** How many requests are noted, and of how many these are a part. */
  async function noted(): Promise<{ each: number; part: number }> {
    const table = await tell("show table _times");
    const entries = [...table.matchAll(/key=(\d+) .*=(\d+)$/gm)].map(([, key, count]) => ({
      isPart: Number(key) % NOTING.keys >= NOTING.buckets,
      count: Number(count),
    }));
    const sum = (isPart: boolean): number =>
      entries.filter((each) => each.isPart === isPart).reduce((all, { count }) => all + count, 0);
    return { each: sum(false), part: sum(true) };
  }

  /** Asks so often, so many at a time. */
  async function ask(path: string, count: number, atOnce: number): Promise<void> {
    let left = count;
    const asking = async (): Promise<void> => {
      while (left-- > 0) await request({ host: "127.0.0.1", port: site.port, target: path });
    };
    await Promise.all(Array.from({ length: atOnce }, asking));
  }

  test("of few requests each is noted, but of redirects none", async () => {
    await ask("/slow/", 16, 4);
    await ask("/slow/late", 4, 4);
    await ask("/slow/moved", 4, 4);
    const { p50, p95, requests } = await counted("slow");
    expect([requests, await noted()]).toEqual([24, { each: 20, part: 0 }]);
    expect(p50).toBeLessThan(LATE * 0.8);
    expect(p95).toBeGreaterThanOrEqual(LATE * 0.9);
  });

  test("of many a part is noted", async () => {
    await tell("clear table _times");
    await ask("/busy/", 3_000, 20);
    const { each, part } = await noted();
    expect(each + part).toBeLessThan(1_500);
    expect(part).toBeGreaterThan(0);
    const { p50 = Infinity, p95 } = await counted("busy");
    expect(p95).toBeGreaterThanOrEqual(p50);
  });

  test("of none nothing is known", async () => {
    expect(await counted("idle")).toEqual({ requests: 0, p50: undefined, p95: undefined });
  });
});
