// The loop and a container that is known before it runs: what HAProxy is told, and when.

import { afterEach, beforeEach, expect, jest, spyOn, test } from "bun:test";
import { createServer, type Server } from "node:net";
import type { Container } from "../../src/model.ts";
import { turn, until, useFakeClock } from "../lab/fake-clock.ts";
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

const other = onLoopback("other", { image: "other" });
const web = onLoopback("web", {
  image: "web",
  state: "starting",
  attachments: [at("bridge", "127.0.0.3")],
});
const { id } = web;
const SERVER = `web/${id.slice(0, 12)}`;

let played: PlayedGateway;
let app: Server | undefined;

useFakeClock();
beforeEach(async () => {
  played = new PlayedGateway(WITH_ROOM, labDir("played"), HOLD);
  await played.start(other);
  played.haproxy.told.length = 0;
});
afterEach(async () => {
  app?.close();
  app = undefined;
  await played.stop();
  jest.restoreAllMocks();
});

/** Lets a container answer at its port. */
async function listen(): Promise<void> {
  app = createServer((socket) => socket.end());
  await new Promise<void>((resolve) => void app?.listen(8000, "127.0.0.3", resolve));
}

/** A container is about to start. */
async function announce(...containers: readonly Container[]): Promise<void> {
  played.source.change(other, ...containers);
  await played.rest();
}

function aboutServer(): string[] {
  return played.haproxy.told.filter((line) => `${line} `.includes(`${SERVER} `));
}

test("before it runs, its route is there, its requests wait, and its server gets none", async () => {
  await announce(web);
  const { services = [] } = played.gateway.state.applied ?? {};
  expect(services.map(({ name, hold }) => [name, hold])).toEqual([
    ["other", ""],
    ["web", "waiting"],
  ]);
  expect(played.haproxy.servers["web/_wait"]).toBe("127.0.0.1:1 ready");
  expect(played.haproxy.servers[SERVER]).toBe("127.0.0.3:8000 maint");
  const messages = played.gateway.state.changes.map(({ event }) => event);
  expect(messages).not.toContain("waiting for a container");
});

test("it runs and answers: its server is enabled at once, and only once", async () => {
  await announce(web);
  await listen();
  played.haproxy.told.length = 0;
  played.source.begin(web);
  await until(() => aboutServer().includes(`set server ${SERVER} health up`));
  expect(aboutServer()).toEqual([
    `enable health ${SERVER}`,
    `set server ${SERVER} state ready`,
    `set server ${SERVER} health up`,
  ]);
  expect(played.haproxy.told.indexOf(`enable health ${SERVER}`)).toBe(0);
  await played.rest();
  // The first requests come before the work of a pass.
  expect(played.gateway.state.changes.at(-1)).not.toMatchObject({ container: "web" });
  expect(played.haproxy.servers["web/_wait"]).toBe("127.0.0.1:1 ready");
  await played.elapse(10);
  expect(played.haproxy.servers["web/_wait"]).toBe("127.0.0.1:1 drain");
  expect(played.haproxy.servers[SERVER]).toBe("127.0.0.3:8000 ready");
  // What is told is the time until it was served, not until the pass.
  expect(played.gateway.state.changes.at(-1)).toMatchObject({
    event: "routed",
    container: "web",
    ms: 0,
  });
});

test("it runs while everything is read: who asked for that is told after the pass that has it", async () => {
  await announce(web);
  await listen();
  const { source } = played;
  const refresh = spyOn(source, "refresh").mockImplementationOnce(() => {
    source.begin(web);
    return source.refresh();
  });
  const compared = played.gateway.resync().then(() => played.gateway.state.changes.at(-1));
  await played.elapse(20);
  expect(refresh.mock.calls.length).toBeGreaterThan(2);
  expect(await compared).toMatchObject({ event: "routed", container: "web" });
});

test("it runs and answers later: its server is enabled then", async () => {
  await announce(web);
  played.source.begin(web);
  await played.elapse(3_000);
  expect(played.haproxy.servers["web/_wait"]).toBe("127.0.0.1:1 ready");
  await listen();
  await played.elapse(20);
  await until(() => played.haproxy.servers["web/_wait"] === "127.0.0.1:1 drain");
  expect(aboutServer().at(-1)).toBe(`set server ${SERVER} health up`);
  expect(played.haproxy.servers[SERVER]).toBe("127.0.0.3:8000 ready");
});

test("it ends before it answers: whoever answers at its address gets nothing", async () => {
  await announce(web);
  played.haproxy.told.length = 0;
  played.source.begin(web);
  await turn();
  played.source.die(web, "removed");
  await listen();
  await played.elapse(500);
  expect(aboutServer()).not.toContain(`set server ${SERVER} state ready`);
});

test("it starts with another address than was known: the next pass enables it there", async () => {
  await announce(web);
  await listen();
  played.haproxy.told.length = 0;
  played.source.begin({ ...web, attachments: [at("bridge", "127.0.0.4")] });
  await played.rest();
  expect(played.haproxy.servers[SERVER]).toBe("127.0.0.4:8000 ready");
  expect(aboutServer()).not.toContain(`set server ${SERVER} health up`);
});

test("it ends as soon as it was enabled: it gets no more requests", async () => {
  await announce(web);
  await listen();
  played.source.begin(web);
  await until(() => aboutServer().includes(`set server ${SERVER} health up`));
  played.source.die(web, "removed");
  await until(() => played.haproxy.servers[SERVER] !== "127.0.0.3:8000 ready");
  await played.rest();
  expect(played.haproxy.servers[SERVER]).not.toBe("127.0.0.3:8000 ready");
});

test("it never starts: nothing of it is left at once, and nobody is told", async () => {
  await announce(web);
  await announce();
  await played.elapse(1_000);
  expect(played.served).toEqual(["other"]);
  expect(played.gateway.state.changes.map(({ event }) => event)).toEqual(["reload", "routed"]);
  expect(played.haproxy.reloads).toHaveLength(1);
  expect(played.haproxy.told.some((line) => /state ready/.test(line) && line.includes(id))).toBe(
    false,
  );
});

test("another of its service serves on meanwhile, and no request waits", async () => {
  const second = onLoopback("second", {
    image: "other",
    state: "starting",
    attachments: [at("bridge", "127.0.0.3")],
  });
  await announce(second);
  expect(played.haproxy.servers["other/_wait"]).not.toBe("127.0.0.1:1 ready");
  const server = `other/${second.id.slice(0, 12)}`;
  expect(played.haproxy.servers[server]).toBe("127.0.0.3:8000 maint");
  await listen();
  played.source.begin(second);
  await until(() => played.haproxy.told.includes(`set server ${server} health up`));
  expect(played.haproxy.servers[server]).toBe("127.0.0.3:8000 ready");
});

test("where the change takes a reload, that is done before it runs", async () => {
  played.haproxy.refuses = /^add server/;
  await announce(web);
  await played.elapse(5_000);
  expect(played.haproxy.reloads).toHaveLength(2);
  expect(played.haproxy.servers[SERVER]).toBe("127.0.0.3:8000 maint");
  await listen();
  played.haproxy.told.length = 0;
  played.source.begin(web);
  await until(() => aboutServer().length > 2);
  expect(aboutServer()).toEqual([
    `enable health ${SERVER}`,
    `set server ${SERVER} state ready`,
    `set server ${SERVER} health up`,
  ]);
  await played.rest();
  expect(played.haproxy.reloads).toHaveLength(2);
});
