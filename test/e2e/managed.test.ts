// HAProxy of the gateway's own: started, adopted, restarted, ended, and what it cannot listen on.

import { afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { cli, haproxyVersions } from "../lab/haproxy.ts";
import { connect } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import { closeGateways, gatewayDir, startGateway, type Gateway } from "./gateway.ts";
import { freePort } from "../lab/ports.ts";
import { isAlive, userOf } from "./processes.ts";
import { startRelay } from "./relay.ts";

setDefaultTimeout(120_000);

const NOBODY = 65_534;
/** HAProxy itself closes a connection after 10 s at the earliest on which nothing is asked. */
const HAPROXYS_OWN_MS = 7_000;

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "own/one:1", { expose: [8000] });
  await importImage(engine, "own/two:1", { expose: [8000] });
});

afterEach(async () => {
  await removeAll(engine);
  closeGateways();
});

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  test("goes on when the gateway is killed, and the next gateway takes it over", async () => {
    const first = await startGateway({ version, dockerHost: engine.dockerHost });
    const old = await run(engine, "own/one:1");
    await first.served("/own/one/", old.name);
    await first.logged(/^routed \/own\/one/);
    const { master } = await first.haproxy();
    // Changed while it ran: the files follow.
    const address = await old.ip();
    await first.until(() => expect(first.config()).toContain(address));
    await first.confirmed();
    await first.kill9();
    await first.served("/own/one/", old.name);

    const { dir, port } = first;
    const second = await startGateway({ version, dir, port, dockerHost: engine.dockerHost });
    await second.logged(`took over HAProxy (process ${master})`);
    await second.logged(`routed /own/one -> ${address}:8000`);
    expect(second.count(/^reload/)).toBe(0);
    const next = await run(engine, "own/two:1");
    await second.served("/own/two/", next.name);
    await second.served("/own/one/", old.name);
    expect((await second.haproxy()).master).toBe(master);
    expect(await second.stop()).toBe(0);
    expect(isAlive(master)).toBe(false);
  });

  test("is taken over also when somebody removed its sockets meanwhile", async () => {
    const first = await startGateway({ version, dockerHost: engine.dockerHost });
    const old = await run(engine, "own/one:1");
    await first.served("/own/one/", old.name);
    const { master } = await first.haproxy();
    // Changed while it ran: the files follow.
    const address = await old.ip();
    await first.until(() => expect(first.config()).toContain(address));
    await first.confirmed();
    await first.kill9();
    const { dir, port } = first;
    for (const name of ["admin", "master"]) rmSync(join(dir, `haproxy.${name}.sock`));
    const second = await startGateway({ version, dir, port, dockerHost: engine.dockerHost });
    await second.logged(`took over HAProxy (process ${master})`);
    await second.logged(/^reload: .*\.sock was removed /);
    // Changed while it runs, and by the same HAProxy: no other one shares the port.
    const next = await run(engine, "own/two:1");
    await second.served("/own/two/", next.name);
    expect(second.count(/^reload/)).toBe(1);
    expect(second.count(/^started HAProxy/)).toBe(0);
    expect((await second.haproxy()).master).toBe(master);
    expect(await second.stop()).toBe(0);
    expect(isAlive(master)).toBe(false);
  });

  test("is started again when it dies", async () => {
    const gateway = await startGateway({ version, dockerHost: engine.dockerHost });
    const container = await run(engine, "own/one:1");
    await gateway.served("/own/one/", container.name);
    // Changed while it ran, so that only the files have it.
    const later = await run(engine, "own/two:1");
    await gateway.served("/own/two/", later.name);
    for (const victim of ["worker", "master"] as const) {
      const before = await gateway.haproxy();
      const lines = gateway.lines().length;
      process.kill(before[victim], "SIGKILL");
      await gateway.logged(/^HAProxy \(process \d+\) ended by itself; starting it again/, lines);
      await gateway.logged(/^started HAProxy/, lines);
      await gateway.served("/own/one/", container.name);
      await gateway.served("/own/two/", later.name);
      expect((await gateway.haproxy()).master).not.toBe(before.master);
    }
    const last = await run(engine, "own/one:1");
    await gateway.served("/own/one/", last.name);
  });

  test("ends with the gateway, once its requests are done", async () => {
    const gateway = await startGateway({ version, dockerHost: engine.dockerHost });
    const container = await run(engine, "own/one:1");
    await gateway.served("/own/one/", container.name);
    const { master, worker } = await gateway.haproxy();
    const slow = gateway.get("/own/one/slow?ms=1500", { timeoutMs: 10_000 });
    await arrived(gateway);
    const ended = gateway.stop("SIGINT");
    expect((await slow).status).toBe(200);
    expect(await ended).toBe(0);
    expect([isAlive(master), isAlive(worker)]).toEqual([false, false]);
    await gateway.until(() => expect(gateway.get("/")).rejects.toThrow());
  });

  test("does not wait for connections on which nobody asks", async () => {
    const gateway = await startGateway({ version, dockerHost: engine.dockerHost });
    const container = await run(engine, "own/one:1");
    await gateway.served("/own/one/", container.name);
    const { master } = await gateway.haproxy();
    const kept = await connect({ port: gateway.port, timeoutMs: 30_000 });
    const slow = gateway.get("/own/one/slow?ms=1500", { timeoutMs: 10_000 });
    await arrived(gateway);
    const ended = gateway.stop();
    // Neither before the one that has an answer to come, nor long after it.
    expect((await slow).status).toBe(200);
    expect(await Promise.race([ended, Bun.sleep(HAPROXYS_OWN_MS)])).toBe(0);
    expect(isAlive(master)).toBe(false);
    kept.close();
  });

  test("runs as an ordinary user", async () => {
    const dir = gatewayDir();
    const relay = await startRelay(engine.socket, await freePort());
    const gateway = await startGateway({ version, dir, uid: NOBODY, dockerHost: relay.dockerHost });
    const container = await run(engine, "own/one:1");
    await gateway.served("/own/one/", container.name);
    const { stdout } = Bun.spawnSync([
      "ps",
      "-o",
      "uid=",
      "-u",
      String(NOBODY),
      "-N",
      "--pid",
      "1",
    ]);
    expect(stdout.toString()).not.toBe("");
    const { master } = await gateway.haproxy();
    expect(userOf(master)).toBe(NOBODY);
    expect(gateway.lines().filter(({ level }) => level === "warn" || level === "error")).toEqual(
      [],
    );
    expect(await gateway.stop()).toBe(0);
    await relay.close();
  });
});

test("a port that is taken: the hint says so, and it comes up once the port is free", async () => {
  const port = await freePort();
  const { promise, resolve } = Promise.withResolvers<void>();
  const squatter = createServer().listen({ port, host: "127.0.0.1" }, () => resolve());
  await promise;
  const container = await run(engine, "own/one:1");
  const gateway = await startGateway({ port, dockerHost: engine.dockerHost });
  const line = await gateway.logged(/^Cannot listen on/);
  expect(line.message).toContain(`${port}: bun (process ${process.pid}) has it`);
  expect(line.details?.at(-1)).toContain("end that program");
  expect(gateway.running).toBe(true);
  const closed = Promise.withResolvers<void>();
  squatter.close(() => closed.resolve());
  await closed.promise;
  await gateway.served("/own/one/", container.name);
});

test("a port of root's for an ordinary user: the hint says what to do", async () => {
  const socket = join(gatewayDir(), "engine.sock");
  const relay = await startRelay(engine.socket, socket);
  chmodSync(socket, 0o666);
  const gateway = await startGateway({
    uid: NOBODY,
    dockerHost: relay.dockerHost,
    flags: ["--listen", "*:80"],
    // Elsewhere the system may let everybody have it; in a network of its own it does not.
    prefix: ["unshare", "--net"],
  });
  const line = await gateway.logged(/^Cannot start HAProxy/);
  expect(line.details?.at(-1)).toContain("ports below 1024 are root's");
  await relay.close();
});

/** Waits until a request to the container has arrived: it is to be under way when the end begins. */
function arrived(gateway: Gateway): Promise<void> {
  return gateway.until(async () => {
    const sessions = await cli(join(gateway.dir, "haproxy.admin.sock"), "show sess");
    // Where HAProxy ran before the container did, its service has a spare backend.
    if (!/be=(own:one|_spare_1) /.test(sessions)) throw new Error("the request is not there yet");
  });
}
