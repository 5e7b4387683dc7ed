// Proves gateway.scheme=h2c with a real gRPC: calls of all four kinds, trailers and errors.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { GrpcClient, startGrpc, type GrpcServer } from "../lab/grpc.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { freePort } from "../lab/ports.ts";
import { Site, START_MS, type Service } from "../lab/proxy.ts";
import { Running } from "../lab/running.ts";

/** Statuses of gRPC. */
const [OK, NOT_FOUND, PERMISSION_DENIED, OUT_OF_RANGE, UNAVAILABLE] = [0, 5, 7, 11, 14];
const HOST = "echo.example.com";

describe.each(haproxyVersions())("gRPC, HAProxy %s", (version) => {
  let servers: readonly GrpcServer[];
  let site: Site;
  let running: Running;
  let client: GrpcClient;

  beforeAll(async () => {
    servers = [await startGrpc(), await startGrpc()];
    site = await Site.make(version);
    running = await Running.start(site, site.render([]).files);
    client = new GrpcClient(site.port, HOST);
  }, START_MS);

  afterAll(async () => {
    client.close();
    await running.stop();
    for (const server of servers) server.stop();
  });

  /** Serves it by these labels, and waits until it answers. */
  const serve = async (labels: Record<string, string>, count = 1): Promise<void> => {
    const all = { scheme: "h2c", ...labels };
    const own = Object.entries(all).map(([key, text]) => [`gateway.${key}`, text]);
    const services = servers.slice(0, count).map(({ port }, index): Service => ({
      image: "acme/echo",
      name: `echo-${index}`,
      address: "127.0.0.1",
      port,
      labels: Object.fromEntries(own) as Record<string, string>,
    }));
    await running.serve(services);
    await eventually(async () => {
      const states = Object.entries(await running.servers());
      const backend = running.applier.runningName("acme:echo");
      const found = states.filter(([key]) => key.startsWith(`${backend}/`));
      expect(found.map(([, { status }]) => status)).toEqual(found.map(() => "UP"));
      expect(found.length).toBe(count);
    });
  };

  test.each([
    ["a path", { path: "/acme.Echo", strip: "false" }],
    ["a host", { host: HOST }],
    ["a host, with rules", { host: HOST, "headers.request.X-Said": "by label", rate: "1000/1s" }],
  ])("by %s: all kinds of calls", async (_, labels) => {
    await serve(labels);
    const said = "headers.request.X-Said" in labels ? "by label" : "there";
    expect(await client.say("hi", "there")).toMatchObject({
      messages: [`hi ${said}`],
      code: OK,
      trailers: { "x-trailer": "there" },
    });
    const long = "x".repeat(300_000);
    expect((await client.say(long, "")).messages[0]?.length).toBeGreaterThanOrEqual(long.length);
    expect(await client.fail()).toMatchObject({
      messages: [],
      code: NOT_FOUND,
      details: "there is none: é",
      trailers: { "x-why": "because" },
    });
    expect(await client.count(4)).toMatchObject({ messages: ["1", "2", "3", "4"], code: OK });
    expect(await client.count(3)).toMatchObject({
      messages: ["1", "2", "3"],
      code: OUT_OF_RANGE,
      details: "odd",
    });
    expect(await client.join(["a", "b", "c"])).toMatchObject({ messages: ["a+b+c"], code: OK });
    expect(await client.chat(["x", "y"])).toMatchObject({
      messages: ["re: x", "re: y"],
      code: OK,
    });
  });

  test("many at a time, over one connection of the client and two containers", async () => {
    await serve({ host: HOST }, 2);
    const all = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        index % 2 === 0 ? client.say(String(index)) : client.count(6),
      ),
    );
    expect(all.filter(({ code }) => code !== OK)).toEqual([]);
    expect(all.filter(({ messages }) => messages.length === 6).length).toBe(50);
  });

  test("a stream goes on while another container comes and one goes", async () => {
    await serve({ host: HOST });
    const stream = client.count(100);
    await serve({ host: HOST }, 2);
    expect((await client.say("hi")).code).toBe(OK);
    expect((await stream).messages.length).toBe(100);
    await serve({ host: HOST });
    expect((await client.say("hi")).code).toBe(OK);
  });

  test("a call waits for its container", async () => {
    await running.serve([]);
    const [{ port } = { port: 0 }] = servers;
    const waiting = {
      image: "acme/echo",
      name: "echo-0",
      address: "127.0.0.1",
      port: await freePort(),
      labels: { "gateway.scheme": "h2c", "gateway.host": HOST },
      hold: "waiting" as const,
    };
    await running.serve([waiting]);
    const calls = [client.say("hi"), client.chat(["x", "y"])];
    await Bun.sleep(1_000);
    await running.serve([{ ...waiting, port }]);
    const all = await Promise.all(calls);
    expect(all.map(({ messages }) => messages)).toEqual([["hi "], ["re: x", "re: y"]]);
  });

  test("who may not is told so, and where nobody answers, too", async () => {
    await serve({ host: HOST, deny: "127.0.0.0/8" });
    expect((await client.say("hi")).code).toBe(PERMISSION_DENIED);
    await running.serve([]);
    expect((await client.say("hi")).code).toBe(PERMISSION_DENIED);
    const dead = { "gateway.scheme": "h2c", "gateway.host": HOST };
    await running.serve([
      { image: "acme/echo", address: "127.0.0.1", port: 1, labels: dead, hold: "over" },
    ]);
    expect((await client.say("hi")).code).toBe(UNAVAILABLE);
  });
});
