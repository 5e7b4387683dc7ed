// The loop while requests wait for a container: what HAProxy is told, and what the log says.

import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { lineOf } from "../../src/gateway/report.ts";
import { GatewayError } from "../../src/lib/errors.ts";
import type { Container } from "../../src/model.ts";
import { until, useFakeClock } from "../lab/fake-clock.ts";
import { at } from "../lab/make.ts";
import { onLoopback, PlayedGateway, WITH_SOCKET } from "../lab/played-gateway.ts";
import { labDir } from "../lab/leftovers.ts";

const HOLD = 10_000;
/** A template with a waiting room, whose servers are checked. */
const WITH_ROOM = WITH_SOCKET.replace("{{#if disabled}}", " check{{#if disabled}}").replace(
  "{{/each}}\n{{/each}}",
  `{{/each}}
    server _wait 127.0.0.1:1 backup{{#if (eq hold "off")}} disabled{{/if}}
{{/each}}`,
);

const web = onLoopback("web", { image: "web" });
const next = onLoopback("next", { image: "web", attachments: [at("bridge", "127.0.0.3")] });

let played: PlayedGateway;
let app: Server | undefined;

useFakeClock();
afterEach(async () => {
  app?.close();
  app = undefined;
  await played.stop();
  jest.restoreAllMocks();
});

async function serving(template = WITH_ROOM, ...containers: readonly Container[]): Promise<void> {
  played = new PlayedGateway(template, labDir("played"), HOLD);
  await played.start(...(containers.length > 0 ? containers : [web]));
}

/** Lets a container answer at its port. */
async function listen(host: string): Promise<void> {
  app = createServer((socket) => socket.end());
  await new Promise<void>((resolve) => void app?.listen(8000, host, resolve));
}

function serverOf({ id }: Container): string {
  return `web/${id.slice(0, 12)}`;
}

/** Whether requests wait, as HAProxy was told. */
function waits(): boolean {
  return played.haproxy.servers["web/_wait"] === "127.0.0.1:1 ready";
}

/** The lines of the log about services. */
function lines(): string[] {
  const messages = played.gateway.state.changes.map((change) => lineOf(change, "gateway.").message);
  return messages.filter((message) => /^(waiting for|no container|no route)/.test(message));
}

test("the only container dies: requests wait before its server is out", async () => {
  await serving();
  expect(waits()).toBe(false);
  played.haproxy.told.length = 0;
  played.source.die(web);
  await until(() => played.haproxy.told.length >= 2);
  expect(played.haproxy.told.slice(0, 2)).toEqual([
    "set server web/_wait state ready",
    `set server ${serverOf(web)} state drain`,
  ]);
  await played.rest();
  expect([waits(), played.served]).toEqual([true, ["web"]]);
});

test("after the hold they get 503, and nothing is served once the container is removed", async () => {
  await serving();
  played.source.die(web);
  await played.elapse(HOLD - 1);
  expect(waits()).toBe(true);
  await played.elapse(1);
  await until(() => !waits());
  await played.elapse(100);
  expect(played.served).toEqual(["web"]);
  played.source.stopped.clear();
  played.source.change();
  await played.rest();
  expect(played.gateway.state.applied?.services).toEqual([]);
  expect(lines()).toEqual([
    "waiting for a container: requests for /web wait",
    "no container: requests for /web are answered 503",
    "no route: nothing is served at /web any more",
  ]);
});

test("the hold ends while Docker cannot be read, too", async () => {
  await serving();
  played.source.die(web);
  await played.rest();
  played.source.disconnect();
  await played.elapse(HOLD - 1);
  expect(waits()).toBe(true);
  await played.elapse(1);
  await until(() => !waits());
});

describe("the container ended while no gateway ran, and Docker is away", () => {
  beforeEach(async () => {
    await serving();
    await played.stop();
    const { dir } = played;
    const owners = join(dir, "haproxy.owners");
    const told = readFileSync(owners, "utf8").replace(/^scope \S+/m, "scope of-another-boot");
    writeFileSync(owners, told.replace(/ - web$/m, " 99/1 web"));
    played = new PlayedGateway(WITH_ROOM, dir, HOLD);
    played.haproxy.read(readFileSync(played.files.output, "utf8"));
    played.source.failure = new GatewayError("docker", "not there");
    await played.start();
    await played.elapse(100);
    await until(() => played.haproxy.servers[serverOf(web)] === "127.0.0.2:8000 maint");
  });

  test("requests wait until it answers again", async () => {
    expect(waits()).toBe(true);
    played.source.failure = undefined;
    played.source.change({ ...web, startedAt: "now" });
    await played.elapse(1_000);
    expect([waits(), played.haproxy.servers[serverOf(web)]]).toEqual([
      true,
      "127.0.0.2:8000 ready",
    ]);
    await listen("127.0.0.2");
    await played.elapse(20);
    await until(() => !waits());
    expect(played.haproxy.told).toContain(`set server ${serverOf(web)} health up`);
    expect(played.haproxy.reloads).toEqual([]);
  });

  test("or until the hold is over, and do not wait again", async () => {
    await played.elapse(HOLD - 1);
    expect(waits()).toBe(true);
    await played.elapse(1);
    await until(() => !waits());
    await played.elapse(2 * HOLD);
    expect(waits()).toBe(false);
  });
});

test("the next container answers after a while: then nobody waits any more", async () => {
  await serving();
  played.source.die(web, "removed");
  await played.rest();
  played.source.change(next);
  await played.elapse(5_000);
  expect(waits()).toBe(true);
  await listen("127.0.0.3");
  await played.elapse(20);
  await until(() => !waits());
  expect(played.haproxy.told).toContain(`set server ${serverOf(next)} health up`);
});

test("the same container is back before anything was read", async () => {
  await serving();
  await listen("127.0.0.2");
  played.haproxy.told.length = 0;
  played.source.die(web);
  played.source.change(web);
  await until(() => played.haproxy.told.includes(`set server ${serverOf(web)} health up`));
  await until(() => played.haproxy.servers["web/_wait"] === "127.0.0.1:1 drain");
  expect(played.haproxy.servers[serverOf(web)]).toBe("127.0.0.2:8000 ready");
});

test("a reload during the hold goes on looking for an answer", async () => {
  await serving();
  played.source.die(web, "removed");
  await played.rest();
  played.haproxy.refuses = /^add server/;
  played.source.change(next);
  await played.elapse(5_000);
  expect(played.haproxy.reloads.length).toBeGreaterThan(1);
  expect(waits()).toBe(true);
  await listen("127.0.0.3");
  await played.elapse(20);
  await until(() => !waits());
});

test("with a template without a waiting room a service is gone with its last container", async () => {
  await serving(WITH_SOCKET.replace("{{#if disabled}}", " check{{#if disabled}}"));
  played.haproxy.told.length = 0;
  played.source.die(web);
  await played.rest();
  expect(played.gateway.state.applied?.services).toEqual([]);
  await played.elapse(2 * HOLD);
  expect(played.haproxy.told.filter((line) => line.includes("_wait"))).toEqual([]);
  expect(played.haproxy.servers).toEqual({});
  expect(lines()).toEqual([]);
});

test("a container that is told to end is drained only once another one answers", async () => {
  await serving();
  played.source.change(web, next);
  await played.elapse(1_000);
  const drained = `set server ${serverOf(web)} state drain`;
  played.source.end(web);
  await played.elapse(1_000);
  expect(played.haproxy.told).not.toContain(drained);
  await listen("127.0.0.3");
  await played.elapse(20);
  await until(() => played.haproxy.told.includes(`set server ${serverOf(next)} health up`));
  await played.elapse(20);
  played.source.end(web);
  await until(() => played.haproxy.told.includes(drained));
});
