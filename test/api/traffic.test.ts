// What is kept of the last hour: points of requests, errors and times, also over reloads and silences of HAProxy.

import { describe, expect, test } from "bun:test";
import { trafficDocument } from "../../src/api/traffic/document.ts";
import { POINT, POINTS, Ring, type Points } from "../../src/api/traffic/ring.ts";
import { Traffic } from "../../src/api/traffic/traffic.ts";
import { firstState } from "../../src/gateway/state.ts";
import { GatewayError } from "../../src/lib/errors.ts";
import { route } from "../../src/routing/routing.ts";
import { container, HOST, ROUTING, snapshot } from "../lab/make.ts";

describe("a ring", () => {
  test("keeps an hour, and tells it from the oldest that is known on", () => {
    const ring = new Ring();
    expect(ring.points(1)).toEqual({ requests: [], errors: [], times: [] });
    for (let count = 0; count < POINTS + 5; count++)
      ring.add({ requests: count, errors: 0, times: 1 });
    const { requests } = ring.points(1);
    expect([requests.length, requests[0], requests.at(-1)]).toEqual([POINTS, 5, POINTS + 4]);
  });

  test("has a gap where nothing was known, and means of several points by what is known of them", () => {
    const ring = new Ring();
    for (const requests of [2, 4]) ring.add({ requests, errors: 1, times: 10 * requests });
    ring.skip();
    ring.add({ requests: 0, errors: 0, times: Number.NaN });
    expect(ring.points(1)).toEqual({
      requests: [2, 4, null, 0],
      errors: [1, 1, null, 0],
      times: [20, 40, null, null],
    });
    // A time counts by its requests.
    expect(ring.points(2)).toEqual({ requests: [3, 0], errors: [1, 0], times: [33.333, null] });
    expect(ring.latest(2)).toEqual({ requests: 0, errors: 0, times: Number.NaN });
  });
});

/** A HAProxy that counts, and a clock; each step is a look. */
function played(images: readonly string[] = ["shop", "blog"]) {
  const model = route(
    snapshot(images.map((name) => container(`${name}-1`, { image: `acme/${name}:1` }))),
    HOST,
    ROUTING,
  );
  const world = {
    now: 1_000,
    answers: true,
    counts: {} as Record<string, readonly [requests: number, errors: number, time: number]>,
    aliases: {} as Record<string, string>,
    failures: [] as unknown[],
    services: model.services,
  };
  const csv = (): string =>
    [
      "# pxname,svname,stot,hrsp_5xx,rtime",
      ...Object.entries(world.counts).map(([name, [requests, errors, time]]) =>
        [name, "BACKEND", requests, errors, time].join(","),
      ),
    ].join("\n");
  const traffic = new Traffic(
    {
      state: () => ({
        ...firstState("played", 0),
        applied: { ...model, services: world.services },
      }),
      runningName: (backend) => world.aliases[backend] ?? backend,
      running: () => ({
        config: "",
        ownersPath: "",
        read: () => "",
        ask: () =>
          world.answers
            ? Promise.resolve(csv())
            : Promise.reject(new GatewayError("haproxy", "Cannot ask HAProxy: gone")),
      }),
    },
    { failure: (error) => void world.failures.push(error) },
    () => world.now,
  );
  const look = async (counts: typeof world.counts, seconds = POINT): Promise<void> => {
    world.now += seconds * 1000;
    world.counts = counts;
    await traffic.look();
  };
  const shop = (): Points => traffic.ringOf("acme:shop").points(1);
  return { world, traffic, look, shop };
}

describe("traffic", () => {
  test("is what counters grew by, from the second look on", async () => {
    const { traffic, look, shop } = played();
    await look({ "acme:shop": [1_000, 7, 5], "acme:blog": [0, 0, 0] });
    expect([traffic.age, traffic.all.points(1).requests]).toEqual([undefined, []]);
    await look({ "acme:shop": [1_050, 9, 20], "acme:blog": [10, 0, 80] });
    await look({ "acme:shop": [1_050, 9, 20], "acme:blog": [10, 0, 80] });
    expect(traffic.age).toBe(0);
    expect(traffic.all.points(1)).toEqual({
      requests: [6, 0],
      errors: [0.2, 0],
      times: [30, null],
    });
    expect(shop()).toEqual({ requests: [5, 0], errors: [0.2, 0], times: [20, null] });
  });

  test("begins again after a reload, and goes on under another name in HAProxy", async () => {
    const { world, look, shop } = played();
    world.aliases["acme:shop"] = "_spare_1";
    await look({ _spare_1: [100, 0, 5] });
    await look({ _spare_1: [120, 0, 5] });
    world.aliases = {};
    await look({ "acme:shop": [30, 1, 5] });
    await look({ "acme:shop": [10, 0, 5] });
    expect(shop().requests).toEqual([2, 3, 1]);
    expect(shop().errors).toEqual([0, 0.1, 0]);
  });

  test("has a gap where HAProxy did not answer, or nobody looked", async () => {
    const { world, look, shop } = played();
    await look({ "acme:shop": [0, 0, 5] });
    await look({ "acme:shop": [10, 0, 5] });
    world.answers = false;
    await look({});
    world.answers = true;
    // Since the last answer it has been 20 s.
    await look({ "acme:shop": [70, 0, 5] });
    await look({ "acme:shop": [100, 0, 5] }, 3 * POINT);
    expect(shop().requests).toEqual([1, null, 3, null, null, 1]);
    await look({ "acme:shop": [100, 0, 5] }, 1_000_000);
    expect(shop().requests).toEqual([0]);
    expect(world.failures).toEqual([]);
  });

  test("of a service that is gone is kept for an hour", async () => {
    const { world, look, shop } = played();
    await look({ "acme:shop": [0, 0, 5] });
    await look({ "acme:shop": [10, 0, 5] });
    const { services } = world;
    world.services = services.filter(({ name }) => name !== "acme/shop");
    for (let count = 0; count < POINTS - 1; count++) await look({});
    expect(shop().requests[0]).toBe(1);
    await look({});
    // All that is left is that nothing was asked of it.
    expect(new Set(shop().requests)).toEqual(new Set([0]));
  });

  test("has points of its own for so many services, then for one that came instead of one that went", async () => {
    const names = Array.from({ length: 4_001 }, (_, index) => `n${index}`);
    const { world, traffic, look } = played();
    const named = (all: readonly string[]) =>
      all.map((backend) => ({ ...world.services[0], backend, name: backend }) as never);
    const counts = (each: number) =>
      Object.fromEntries(names.map((name) => [name, [each, 0, 1] as const]));
    world.services = named(names);
    await look(counts(0));
    await look(counts(10));
    const lastOf = (backend: string) => traffic.ringOf(backend).points(1).requests.at(-1);
    expect([lastOf("n0"), lastOf("n3999"), lastOf("n4000")]).toEqual([1, 1, 0]);
    expect(traffic.all.points(1).requests).toEqual([4_001]);
    world.services = named(names.slice(1));
    await look(counts(10));
    await look(counts(20));
    expect([lastOf("n0"), lastOf("n4000")]).toEqual([0, 1]);
  });
});

describe("the answer", () => {
  const services = [{ name: "acme/shop", backend: "acme:shop" }];
  const answer = (traffic: Traffic | undefined, query: string) =>
    trafficDocument(traffic, services, new URLSearchParams(query));

  test("has all together, the last minute of each service, and the hour of those that were asked for", async () => {
    const { traffic, look } = played();
    await look({ "acme:shop": [0, 0, 5] });
    await look({ "acme:shop": [10, 0, 5] });
    await look({ "acme:shop": [40, 10, 9] });
    expect(answer(traffic, "backend=acme:shop&backend=gone")).toEqual({
      every: POINT,
      until: expect.stringMatching(/^\d{4}-.*Z$/),
      all: { requests: [1, 3], errors: [0, 1], times: [5, 9] },
      services: [{ ...services[0], requests: 2, errors: 0.5, times: 8 }],
      asked: [{ backend: "acme:shop", requests: [1, 3], errors: [0, 1], times: [5, 9] }],
    } as never);
    expect(answer(traffic, "every=60").all).toEqual({ requests: [2], errors: [0.5], times: [8] });
    expect(answer(traffic, "").asked).toEqual([]);
  });

  test("is none where nothing is kept, or where it is not understood", () => {
    const { traffic } = played();
    expect(() => answer(undefined, "")).toThrow("nothing is kept of it");
    expect(answer(traffic, "")).toMatchObject({ until: null, all: { requests: [] } });
    for (const every of ["", "0", "15", "-10", "70", "1e1", "7200"]) {
      expect(() => answer(traffic, `every=${every}`)).toThrow(`every "${every}" seconds`);
    }
    expect(() => answer(traffic, "backend=x&".repeat(201))).toThrow("at 201 services");
  });
});
