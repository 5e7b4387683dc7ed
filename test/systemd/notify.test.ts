// What the gateway tells systemd, read as systemd reads it: datagrams at NOTIFY_SOCKET.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { importImage } from "../lab/images.ts";
import { closeGateways, gatewayDir, startGateway } from "../e2e/gateway.ts";
import { listenDatagrams, type DatagramSocket } from "./datagrams.ts";

setDefaultTimeout(120_000);

/** What systemd allows, in milliseconds. */
const WATCHDOG = 400;

let engine: Engine;
let socket: DatagramSocket;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "acme/shop:1", { expose: [8000] });
});

afterEach(() => {
  closeGateways();
  socket.close();
});

afterAll(() => removeAll(engine));

/** What came, but for signs of life. */
const said = (): string[] =>
  socket.messages.map(({ text }) => text).filter((text) => text !== "WATCHDOG=1");
/** And but for how it goes. */
const states = (): string[] => said().filter((text) => !text.startsWith("STATUS="));

/** When the signs of life came. */
const signs = (): number[] =>
  socket.messages.filter(({ text }) => text === "WATCHDOG=1").map(({ at }) => at);

const watchdog = { WATCHDOG_USEC: String(WATCHDOG * 1000) };

test("a whole life", async () => {
  const dir = gatewayDir();
  socket = listenDatagrams(join(dir, "notify"));
  const shop = await run(engine, "acme/shop:1");
  const env = { NOTIFY_SOCKET: join(dir, "notify"), ...watchdog };
  const gateway = await startGateway({ dir, dockerHost: engine.dockerHost, env });
  await gateway.served("/acme/shop/", shop.name);
  // The second one is not a matter of time.
  await gateway.until(() =>
    expect(said().slice(0, 3)).toEqual([
      "READY=1",
      "STATUS=waiting for Docker",
      expect.stringMatching(/^STATUS=1 route, last change \d+ s ago$/),
    ]),
  );
  expect(states()).toEqual(["READY=1"]);

  gateway.signal("SIGHUP");
  await gateway.until(() => expect(states()).toEqual(["READY=1", "RELOADING=1", "READY=1"]));
  await gateway.logged("reading everything again (SIGHUP)");

  // It lives: twice as often as it must, as sd_watchdog_enabled(3) advises.
  await gateway.until(() => expect(signs().length).toBeGreaterThan(5));
  const [first = 0, ...others] = signs();
  expect(others.length).toBeGreaterThan(((others.at(-1) ?? 0) - first) / WATCHDOG);

  expect(await gateway.stop()).toBe(0);
  await gateway.until(() =>
    expect(states()).toEqual(["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]),
  );
  await shop.remove();
});

test("a socket in the abstract namespace", async () => {
  const dir = gatewayDir();
  socket = listenDatagrams(`@${dir}/notify`);
  const env = { NOTIFY_SOCKET: `@${dir}/notify` };
  const gateway = await startGateway({ dir, dockerHost: `unix://${dir}/nobody`, env });
  await gateway.until(() => expect(said()).toEqual(["READY=1", "STATUS=waiting for Docker"]));
});

test("without Docker it waits, and is reloaded all the same", async () => {
  const dir = gatewayDir();
  socket = listenDatagrams(join(dir, "notify"));
  const env = { NOTIFY_SOCKET: join(dir, "notify") };
  const gateway = await startGateway({ dir, dockerHost: `unix://${dir}/nobody`, env });
  await gateway.until(() => expect(said()).toContain("STATUS=waiting for Docker"));
  gateway.signal("SIGHUP");
  await gateway.until(() => expect(states()).toEqual(["READY=1", "RELOADING=1", "READY=1"]));
  expect(signs()).toEqual([]);
});

test("signs of life are for the process that is watched", async () => {
  const dir = gatewayDir();
  socket = listenDatagrams(join(dir, "notify"));
  // This is another one, as where the gateway is run by a script.
  const env = { NOTIFY_SOCKET: join(dir, "notify"), ...watchdog, WATCHDOG_PID: "1" };
  const gateway = await startGateway({ dir, dockerHost: `unix://${dir}/nobody`, env });
  await gateway.until(() => expect(states()).toEqual(["READY=1"]));
  await Bun.sleep(3 * WATCHDOG);
  expect(signs()).toEqual([]);
});

test("a systemd that is gone does not matter", async () => {
  const dir = gatewayDir();
  socket = listenDatagrams(join(dir, "notify"));
  const env = { NOTIFY_SOCKET: join(dir, "nobody"), ...watchdog };
  const shop = await run(engine, "acme/shop:1");
  const gateway = await startGateway({ dir, dockerHost: engine.dockerHost, env });
  await gateway.served("/acme/shop/", shop.name);
  expect(await gateway.stop()).toBe(0);
  await shop.remove();
});

test("a systemd that does not listen any more does not matter", async () => {
  const dir = gatewayDir();
  socket = listenDatagrams(join(dir, "notify"));
  const env = { NOTIFY_SOCKET: join(dir, "notify"), WATCHDOG_USEC: "2000" };
  const gateway = await startGateway({ dir, dockerHost: engine.dockerHost, env });
  await gateway.until(() => expect(socket.messages.length).toBeGreaterThan(10));
  socket.stall();
  // One message a millisecond: as many as the kernel keeps, and then some.
  const room = Number(readFileSync("/proc/sys/net/unix/max_dgram_qlen", "utf8"));
  await Bun.sleep(room * 2 + 100);
  const shop = await run(engine, "acme/shop:1");
  await gateway.served("/acme/shop/", shop.name);
  expect(await gateway.stop()).toBe(0);
  await shop.remove();
});
