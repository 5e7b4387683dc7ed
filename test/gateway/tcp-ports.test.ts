// A port of TCP that cannot be had costs nobody else anything.

import { afterEach, describe, expect, test } from "bun:test";
import { createServer, type Server } from "node:net";
import { makeDesired } from "../../src/gateway/desired.ts";
import { TcpPorts } from "../../src/gateway/tcp-ports.ts";
import { GatewayError } from "../../src/lib/errors.ts";
import type { Container } from "../../src/model.ts";
import { PARTIALS } from "../../src/template/built-in.ts";
import { compileTemplate } from "../../src/template/compile.ts";
import { useFakeClock } from "../lab/fake-clock.ts";
import { labels } from "../lab/labels.ts";
import { container, HOST, SETTINGS, snapshot } from "../lab/make.ts";
import { onLoopback, PlayedGateway, WITH_SOCKET } from "../lab/played-gateway.ts";
import { freePort } from "../lab/ports.ts";

/** A template that forwards bytes. */
const WITH_TCP = `${WITH_SOCKET}{{#each tcp.ports}}
frontend _tcp_{{port}}
    bind 127.0.0.1:{{port}}
{{/each}}`;
const STUCK = new GatewayError("haproxy", "Cannot reload HAProxy: it hangs");

const web = onLoopback("web", { image: "web" });
const db = (port: number): Container =>
  onLoopback("db", { image: "db", exposed: [5432], labels: labels({ tcp: String(port) }) });

let other: Server | undefined;

async function listen(port: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  other = createServer().listen(port, "127.0.0.1", () => resolve(undefined));
  await promise;
}

async function close(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  if (other === undefined) return;
  other.close(() => resolve(undefined));
  other = undefined;
  await promise;
}

describe("the gateway", () => {
  let played: PlayedGateway;

  const served = (): string[] =>
    (played.gateway.state.applied?.services ?? []).map(({ name }) => name);
  const complaints = (): string[] => played.log.filter((line) => line.includes("not routed"));

  useFakeClock();
  afterEach(async () => {
    await played.stop();
    await close();
  });

  test("serves all others where somebody else has the port, and it when that one has gone", async () => {
    const port = await freePort();
    await listen(port);
    played = new PlayedGateway(WITH_TCP);
    await played.start(web, db(port));
    await played.elapse(1_000);
    expect(served()).toEqual(["web"]);
    const why = `it cannot be served at tcp port ${port}: bun (process ${process.pid}) has it`;
    expect(played.gateway.state.desired?.rejections.map(({ reason }) => reason)).toEqual([why]);
    const reloads = played.haproxy.reloads.length;
    await played.elapse(20_000);
    expect(played.haproxy.reloads).toHaveLength(reloads);
    expect(complaints().length).toBeLessThan(2);
    await close();
    await played.elapse(3_000);
    expect(served()).toEqual([`db::tcp:${port}`, "web"]);
    expect(played.gateway.state.desired?.rejections).toEqual([]);
  });

  test("goes on where one is added, and HAProxy has it afterwards", async () => {
    const port = await freePort();
    played = new PlayedGateway(WITH_TCP);
    await played.start(web);
    await listen(port);
    played.source.change(web, db(port), onLoopback("shop", { image: "shop" }));
    await played.elapse(1_000);
    expect(served()).toEqual(["shop", "web"]);
    await close();
    await played.elapse(3_000);
    expect(served()).toEqual([`db::tcp:${port}`, "shop", "web"]);
    // Now it is HAProxy that listens there.
    await listen(port);
    played.source.change(web, db(port));
    await played.elapse(3_000);
    expect(served()).toEqual([`db::tcp:${port}`, "web"]);
  });

  test("does without a port with which HAProxy fails, and tries it again later", async () => {
    const port = await freePort();
    played = new PlayedGateway(WITH_TCP);
    await played.start(web);
    played.haproxy.failure = STUCK;
    played.source.change(web, db(port));
    await played.elapse(300);
    played.haproxy.failure = undefined;
    await played.elapse(1_000);
    expect(served()).toEqual(["web"]);
    expect(played.gateway.state.desired?.rejections.map(({ reason }) => reason)).toEqual([
      `it cannot be served at tcp port ${port}: HAProxy fails with it: ${STUCK.message}`,
    ]);
    await played.elapse(70_000);
    expect(served()).toEqual([`db::tcp:${port}`, "web"]);
  });
});

test("a port with which HAProxy fails again is tried less and less often", async () => {
  const ports = new TcpPorts();
  let now = 0;
  for (const pause of [60_000, 120_000, 240_000]) {
    ports.blame(["5432"], STUCK, now);
    const { taken } = ports;
    expect(taken).toEqual({ "5432": `HAProxy fails with it: ${STUCK.message}` });
    expect(await ports.look(now + pause - 1)).toBe(false);
    expect(ports.taken).toBe(taken);
    now += pause;
    expect(await ports.look(now)).toBe(true);
    expect(ports.taken).toEqual({});
  }
});

/** Why containers are not routed with a template of one's own. */
function rejected(text: string, containers: readonly Container[]): Record<string, string> {
  const source = { name: "my.hbs", text, isOwn: true };
  const template = compileTemplate(source, PARTIALS);
  const { model } = makeDesired(snapshot(containers), HOST, SETTINGS, template, () => "then");
  return Object.fromEntries(model.rejections.map((each) => [each.container, each.reason] as const));
}

describe("a template of one's own", () => {
  const own = container("db", { image: "db", exposed: [5432], labels: labels({ tcp: "5433" }) });

  test("that forwards no bytes has none of these containers", () => {
    expect(rejected(WITH_SOCKET, [own, web])).toEqual({
      db: "template my.hbs does not listen at tcp port 5433 (see {{> tcp}} in docs/templates.md)",
    });
    expect(rejected(WITH_TCP, [own, web])).toEqual({});
    expect(rejected(`${WITH_SOCKET}{{> tcp}}`, [own, web])).toEqual({});
  });

  test("that listens there itself has none either", () => {
    expect(rejected(`${WITH_TCP}\nlisten stats\n    bind :5433\n`, [own, web])).toEqual({
      db: "template my.hbs listens at port 5433 for something else",
    });
  });
});

test("a port that a container in the host's network has is not the gateway's", () => {
  const text = WITH_TCP;
  const own = container("db", { image: "db", exposed: [5432], labels: labels({ tcp: "9000" }) });
  const host = container("host", {
    image: "host",
    networkMode: "host",
    attachments: [],
    exposed: [9000],
  });
  expect(rejected(text, [own, host])).toEqual({
    db: "it cannot be served at tcp port 9000: container host has it in the host's network",
  });
});
