// Who may ask at --admin, and when the gateway says that it is well and ready.

import { describe, expect, test } from "bun:test";
import { whyRefused } from "../../src/api/admin/access.ts";
import { Health } from "../../src/api/admin/health.ts";
import { firstState, type State } from "../../src/gateway/state.ts";
import { GatewayError } from "../../src/lib/errors.ts";
import { EMPTY_MODEL } from "../../src/gateway/gateway.ts";
import type { NamedEngine } from "../../src/model.ts";

const RULES = { hosts: ["gateway.example.com"], token: undefined };
const TOKEN = "0123456789abcdef";

function asked(headers: Record<string, string>): Request {
  return new Request("http://127.0.0.1:8404/metrics", { headers });
}

describe("a browser", () => {
  test.each([
    ["127.0.0.1:8404", undefined],
    ["192.0.2.7", undefined],
    ["[::1]:8404", undefined],
    ["localhost:8404", undefined],
    ["LocalHost", undefined],
    ["Gateway.Example.com:8404", undefined],
    ["evil.example.com:8404", 403],
    ["localhost.evil.example.com", 403],
    ["127.0.0.1.evil.example.com", 403],
    ["127.0.0.1@evil.example.com", 403],
    ["gateway.example.com.", 403],
  ])("that knows the gateway as %s", (host, status) => {
    expect(whyRefused(asked({ host }), RULES, true)?.status).toBe(status as 403);
  });

  const host = "127.0.0.1:8404";
  test.each<[Record<string, string>, number | undefined]>([
    [{ "sec-fetch-site": "none" }, undefined],
    [{ "sec-fetch-site": "same-origin", origin: "http://127.0.0.1:8404" }, undefined],
    [{ "sec-fetch-site": "cross-site" }, 403],
    [{ "sec-fetch-site": "same-site" }, 403],
    [{ origin: "http://127.0.0.1:9000" }, 403],
    [{ origin: "http://evil.example.com" }, 403],
    [{ origin: "null" }, 403],
  ])("that asks for a page, %j", (headers, status) => {
    expect(whyRefused(asked({ host, ...headers }), RULES, true)?.status).toBe(status as 403);
  });

  test("does not get to a unix socket, where names do not count", () => {
    expect(whyRefused(asked({ host: "x" }), { hosts: undefined, token: undefined }, false)).toBe(
      undefined,
    );
  });
});

test.each([
  ["", 401],
  [`Bearer ${TOKEN}x`, 401],
  [`Basic ${TOKEN}`, 401],
  [`Basic ${btoa(TOKEN)}`, 401],
  [`Basic ${btoa(`${TOKEN}:`)}`, 401],
  [`Basic ${btoa(`:${TOKEN}x`)}`, 401],
  ["Basic %%%", 401],
  [`Basic ${btoa(`:${TOKEN}`)}`, undefined],
  [`basic ${btoa(`ops:${TOKEN}`)}`, undefined],
  ["Bearer", 401],
  [`Bearer ${TOKEN}`, undefined],
  [`bearer  ${TOKEN}`, undefined],
])("with the token %j", (authorization, status) => {
  const request = asked({ host: "127.0.0.1", ...(authorization && { authorization }) });
  const rules = { ...RULES, token: TOKEN };
  expect(whyRefused(request, rules, false)?.status).toBe(status as 401);
  expect(whyRefused(request, rules, true)).toBe(undefined);
});

/** What it knows, and a clock that a test moves. */
function played(engines: readonly NamedEngine[] = []) {
  const world = {
    now: 0,
    state: firstState("played", 0, engines),
    isComplete: false,
    answers: true,
  };
  const health = new Health(
    {
      state: () => world.state,
      files: () => ({ applied: undefined, desired: undefined }),
      isComplete: () => world.isComplete,
      running: () => ({
        config: "",
        ownersPath: "",
        read: () => "",
        ask: () =>
          world.answers
            ? Promise.resolve("3.4.7")
            : Promise.reject(new GatewayError("haproxy", "Cannot ask HAProxy: gone")),
      }),
    },
    () => world.now,
  );
  const publish = (news: Partial<State>): void => {
    world.state = { ...world.state, ...news };
    health.note(world.state);
  };
  const connected = (is: boolean): void => publish({ engine: { name: "played", connected: is } });
  return { world, health, publish, connected };
}

describe("the gateway", () => {
  test("tells which of several Engines is away", async () => {
    const names = ["blue", "red"].map((name) => ({ name, url: `tcp://${name}` }));
    const { world, health, publish } = played(names);
    const connect = (...there: readonly string[]): void => {
      const engines = names.map((each) => ({ ...each, connected: there.includes(each.name) }));
      publish({ engines });
    };
    connect("blue");
    world.now = 31_000;
    expect(await health.problems()).toEqual(["Docker (red, tcp://red) does not answer for 31 s"]);
    connect("blue", "red");
    expect(await health.problems()).toEqual([]);
    connect("red");
    world.now = 61_000;
    expect(await health.problems()).toEqual(["Docker (blue, tcp://blue) does not answer for 30 s"]);
  });

  test("is well until Docker was away for 30 s, and again when it is back", async () => {
    const { world, health, connected } = played();
    world.now = 29_999;
    expect(await health.problems()).toEqual([]);
    world.now = 31_000;
    expect(await health.problems()).toEqual(["Docker (played) does not answer for 31 s"]);
    connected(true);
    expect(await health.problems()).toEqual([]);
    world.now = 100_000;
    connected(false);
    world.now = 120_000;
    connected(false);
    expect(await health.problems()).toEqual([]);
    world.now = 130_000;
    expect(await health.problems()).toEqual(["Docker (played) does not answer for 30 s"]);
  });

  test("is well until HAProxy was away for 30 s, and again when it answers", async () => {
    const { world, health, connected } = played();
    connected(true);
    expect(await health.problems()).toEqual([]);
    world.answers = false;
    world.now = 50_000;
    expect(await health.problems()).toEqual([]);
    world.now = 80_000;
    expect(await health.problems()).toEqual([
      "HAProxy does not answer for 30 s: Cannot ask HAProxy: gone",
    ]);
    world.answers = true;
    world.now = 82_000;
    expect(await health.problems()).toEqual([]);
  });

  test("asks HAProxy at most once in a second", async () => {
    const { world, health } = played();
    expect(await health.unready()).toEqual(["Docker's containers have not all been read yet"]);
    world.answers = false;
    world.now = 999;
    expect(await health.unready()).toEqual(["Docker's containers have not all been read yet"]);
    world.now = 1_000;
    expect(await health.unready()).toEqual(["Cannot ask HAProxy: gone"]);
  });

  test("is ready once all was read and HAProxy runs it, and stays so while Docker is away", async () => {
    const { world, health, publish, connected } = played();
    publish({ applied: EMPTY_MODEL });
    expect(await health.unready()).not.toEqual([]);
    publish({ problem: ["Cannot reload HAProxy"] });
    expect(await health.unready()).toEqual(["Cannot reload HAProxy"]);
    world.isComplete = true;
    publish({ problem: undefined });
    expect(await health.unready()).toEqual([]);
    connected(false);
    publish({ problem: ["Cannot reload HAProxy"] });
    expect(await health.unready()).toEqual([]);
  });
});
