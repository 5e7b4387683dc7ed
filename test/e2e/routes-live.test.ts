// `routes` shows how HAProxy has each server, how often it was asked, and services by their names.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { cellsOf, flagsOf, routesOf, statesOf } from "./asking.ts";
import { BRIEF_HOLD, closeGateways, startGateway } from "./gateway.ts";
import { runToEnd } from "./program.ts";
import { ask } from "./running-haproxy.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  for (const name of ["ask/one:1", "ask/many:1", "ask/late:1"]) {
    await importImage(engine, name, { expose: [8000] });
  }
});

afterEach(async () => {
  closeGateways();
  await removeAll(engine);
});
afterAll(closeGateways);

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  test("shows servers that are up, down, draining and disabled, and since when", async () => {
    // HAProxy begins with this one disabled; one that is paused later is drained.
    const paused = await run(engine, "ask/many:1", { name: "c-paused" });
    await engine.docker.getContainer(paused.id).pause();
    const gateway = await startGateway({ version, dockerHost: engine.dockerHost });
    const flags = flagsOf(gateway, engine, version);
    const up = await run(engine, "ask/many:1", { name: "a-up" });
    const down = await run(engine, "ask/many:1", {
      name: "b-down",
      labels: { "gateway.port": "7777" },
    });
    const leaving = await run(engine, "ask/many:1", {
      name: "d-leaving",
      graceMs: 30_000,
      create: { StopTimeout: 30 },
    });
    await gateway.until(async () => {
      const { "/ask/many": row } = await routesOf(flags);
      expect(statesOf(row)).toMatchObject({ "a-up": "up", "d-leaving": "up" });
    });
    void leaving.stop(30).catch(() => undefined);

    const rows = await gateway.until(async () => {
      const found = await routesOf(flags);
      expect(Object.keys(found)).toEqual(["/ask/many"]);
      expect(statesOf(found["/ask/many"])).toEqual({
        "a-up": "up",
        "b-down": "down",
        "c-paused": "disabled",
        "d-leaving": "draining",
      });
      return found["/ask/many"]?.servers ?? [];
    });
    const addresses = [up, down, paused, leaving].map((each) => each.ip());
    expect(rows.map(({ address }) => address.replace(/:.*/, ""))).toEqual(
      await Promise.all(addresses),
    );
    for (const { since } of rows) expect(since).toBeLessThan(60);

    const { status, stdout, stderr } = await runToEnd(["routes", ...flags]);
    expect([status, stderr]).toEqual([0, ""]);
    const cells = cellsOf(stdout);
    expect(cells.map((row) => [row["CONTAINER"], row["STATE"]])).toEqual([
      ["a-up", "up"],
      ["b-down", "down"],
      ["c-paused", "disabled"],
      ["d-leaving", "draining"],
    ]);
    expect(cells[0]).toMatchObject({
      ROUTE: "/ask/many",
      BACKEND: "ask:many",
      SERVER: `${await up.ip()}:8000`,
    });
    expect(cells[1]?.["SERVER"]).toBe(`${await down.ip()}:7777`);
    for (const row of cells) expect(row["SINCE"]).toMatch(/^\d+ s$/);

    // It has been up for longer now than before.
    await gateway.until(async () => {
      const { "/ask/many": row } = await routesOf(flags);
      expect(row?.servers[0]?.since).toBeGreaterThan((rows[0]?.since ?? 0) + 1);
    });
    await leaving.kill();
  });

  test("counts the requests and the errors that there were", async () => {
    const gateway = await startGateway({ version, dockerHost: engine.dockerHost });
    const flags = flagsOf(gateway, engine, version);
    await run(engine, "ask/one:1", { name: "counted" });
    await gateway.served("/ask/one/", "counted");
    const before = (await routesOf(flags))["/ask/one"]?.servers[0];
    for (let count = 0; count < 7; count++) {
      expect((await gateway.get("/ask/one/x")).status).toBe(200);
    }
    for (let count = 0; count < 3; count++) {
      expect((await gateway.get("/ask/one/status?code=503")).status).toBe(503);
    }
    expect((await gateway.get("/ask/one/status?code=404")).status).toBe(404);
    const after = (await routesOf(flags))["/ask/one"]?.servers[0];
    expect((after?.requests ?? 0) - (before?.requests ?? 0)).toBe(11);
    expect((after?.errors ?? 0) - (before?.errors ?? 0)).toBe(3);
    const table = cellsOf((await runToEnd(["routes", ...flags])).stdout);
    expect(table).toEqual([
      expect.objectContaining({
        REQUESTS: String(after?.requests),
        ERRORS: String(after?.errors),
      }),
    ]);
  });

  test("names a service that came while HAProxy ran, with servers and without", async () => {
    const { dockerHost } = engine;
    const gateway = await startGateway({ version, dockerHost, flags: [BRIEF_HOLD] });
    const flags = flagsOf(gateway, engine, version);
    await run(engine, "ask/one:1", { name: "early" });
    await gateway.served("/ask/one/", "early");
    await run(engine, "ask/late:1", { name: "late" });
    await run(engine, "ask/many:1", { name: "ending", cmd: ["false"], restart: "always" });
    await gateway.served("/ask/late/", "late");
    await gateway.until(async () => {
      const rows = await routesOf(flags);
      expect(Object.values(rows).map(({ route, backend }) => [route, backend])).toEqual([
        ["/ask/late", "ask:late"],
        ["/ask/many", "ask:many"],
        ["/ask/one", "ask:one"],
      ]);
      expect(statesOf(rows["/ask/late"])).toEqual({ late: "up" });
      expect(rows["/ask/many"]?.servers).toEqual([]);
    });
    const map = await ask(gateway, `show map ${gateway.dir}/haproxy.routes.map`);
    // HAProxy itself has it under another name.
    expect(/ \/ask\/late\/ (\S+?)\|/.exec(map)?.[1]).toMatch(/^_spare_\d+$/);
    await gateway.until(async () => {
      const cells = cellsOf((await runToEnd(["routes", ...flags])).stdout);
      expect(cells.find((row) => row["ROUTE"] === "/ask/many")).toMatchObject({
        BACKEND: "ask:many",
        CONTAINER: "-",
        STATE: "no server",
      });
    });
  });
});
