// Proves that the label rate lets a client send so many requests, and then tells it when to come again.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { Labelled } from "../lab/labelled.ts";
import { START_MS } from "../lab/proxy.ts";

const LABELS = {
  plain: {},
  minute: { rate: "5/1m" },
  burst: { rate: "60/1h", "rate.burst": "3" },
  fast: { rate: "20/1s", "rate.burst": "2" },
  slow: { rate: "2/1h", "rate.burst": "20" },
  huge: { rate: "1000000/1s", "rate.burst": "1000000" },
  single: { rate: "1/1h" },
  wrong: { rate: "5/1d" },
};

describe.each(haproxyVersions())("rates, HAProxy %s", (version) => {
  let site: Labelled;

  beforeAll(async () => {
    site = await Labelled.start(version, LABELS);
  }, START_MS);

  beforeEach(async () => {
    site.forget();
    await eventually(async () => {
      await site.running.ask("clear table _kept/_rates");
      expect(await site.running.ask("show table _kept/_rates")).toContain("used:0");
    });
  });

  afterAll(() => site.stop());

  async function statuses(target: string, count: number): Promise<number[]> {
    const all: number[] = [];
    for (let at = 0; at < count; at++) all.push((await site.ask(target)).status);
    return all;
  }

  test.each([
    ["minute", 5, 12],
    ["burst", 3, 60],
    ["slow", 20, 1800],
    ["single", 1, 3600],
  ])("%s: %i at once, the next one in %i s", async (name, count, seconds) => {
    expect(await statuses(`/${name}/`, count)).toEqual(Array.from({ length: count }, () => 200));
    const refused = await site.ask(`/${name}/`);
    expect(refused.status).toBe(429);
    const after = Number(refused.header("Retry-After"));
    expect(after).toBeGreaterThan(seconds - 5);
    expect(after).toBeLessThanOrEqual(seconds);
    // What was refused does not count.
    expect(await statuses(`/${name}/`, 20)).toEqual(Array.from({ length: 20 }, () => 429));
    expect(Number((await site.ask(`/${name}/`)).header("Retry-After"))).toBeLessThanOrEqual(after);
    expect(site.received()).toHaveLength(count);
  });

  test("each route counts for itself, and a client goes on as time goes by", async () => {
    const started = performance.now();
    let served = 0;
    while (performance.now() - started < 1_000) {
      if ((await site.ask("/fast/")).status === 200) served++;
    }
    const seconds = (performance.now() - started) / 1_000;
    expect(served).toBeGreaterThanOrEqual(15);
    expect(served).toBeLessThanOrEqual(2 + 20 * seconds + 1);
    expect(await statuses("/minute/", 6)).toEqual([200, 200, 200, 200, 200, 429]);
  });

  test("who has no limit, or a high one, notices nothing", async () => {
    const many = Array.from({ length: 50 }, () => 200);
    for (const name of ["plain", "huge", "wrong"])
      expect(await statuses(`/${name}/`, 50)).toEqual(many);
  });

  test("another limit needs no reload and begins anew", async () => {
    expect(await statuses("/minute/", 6)).toEqual([200, 200, 200, 200, 200, 429]);
    expect(await site.serve({ minute: { rate: "2/1m" } })).toBe("commands");
    expect(await statuses("/minute/", 3)).toEqual([200, 200, 429]);
    await site.running.verify();
    expect(await site.serve({ minute: { rate: "5/1m" } })).toBe("commands");
  });

  test("it is kept over a reload", async () => {
    // A worker of HAProxy 2.6 knows after five seconds that nobody tells it anything, and tells nobody before.
    await eventually(
      async () => {
        await statuses("/minute/", 5);
        expect((await site.ask("/minute/")).status).toBe(429);
        await site.running.reloadByHand();
        await eventually(
          async () =>
            expect(await site.running.ask("show table _kept/_rates")).toMatch(/used:[1-9]/),
          { timeoutMs: 3_000 },
        );
        expect((await site.ask("/minute/")).status).toBe(429);
      },
      { timeoutMs: 30_000, everyMs: 7_000 },
    );
  });

  test("it goes with its container", async () => {
    await site.serve({ minute: {} });
    expect(await statuses("/minute/", 20)).toEqual(Array.from({ length: 20 }, () => 200));
  });
});
