// What a cleaner of temporary files takes from under a running gateway comes back, and nothing is lost.

import { afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { cli, haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { startExternal } from "./external.ts";
import { BRIEF_HOLD, closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { Traffic } from "./traffic.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  for (const name of ["gone/one:1", "gone/two:1"]) {
    await importImage(engine, name, { expose: [8000] });
  }
});

afterEach(async () => {
  await removeAll(engine);
  closeGateways();
});

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  test("each of its files comes back at once, while requests go on", async () => {
    const gateway = await startGateway({ version, dockerHost: engine.dockerHost });
    const old = await run(engine, "gone/one:1");
    await gateway.routed("/gone/one/", old.name);
    await gateway.confirmed();
    const { master } = await gateway.haproxy();
    const { port } = gateway;
    const traffic = new Traffic({ port, target: "/gone/one/", perSecond: 100 });
    const told: readonly (readonly [name: string, line: RegExp])[] = [
      ["haproxy.admin.sock", /^reload: .*haproxy\.admin\.sock was removed /],
      ["haproxy.master.sock", /^reload: .*haproxy\.master\.sock was removed /],
      ["haproxy.cfg", /haproxy\.cfg was removed by somebody else: it is written again$/],
      [".haproxy.cfg.lock", /^the lock of .* was removed by somebody else: it is made again$/],
      ["haproxy.routes.map", /haproxy\.routes\.map was removed by somebody else: it is written/],
    ];
    for (const [name, line] of told) {
      const path = join(gateway.dir, name);
      const lines = gateway.lines().length;
      rmSync(path);
      // What HAProxy has read already is missed by the comparison of the minute, which is now.
      if (name.endsWith(".map")) gateway.signal("SIGHUP");
      await gateway.until(() => expect(existsSync(path)).toBe(true));
      await gateway.logged(line, lines);
      await answers(gateway);
    }
    await changesWithoutReload(gateway);
    const { requests, failures } = await traffic.stop();
    expect(failures).toEqual([]);
    expect(requests).toBeGreaterThan(50);
    expect((await gateway.haproxy()).master).toBe(master);
    const second = await startGateway({ version, dir: gateway.dir, dockerHost: engine.dockerHost });
    expect(await second.exited).toBe(12);
  });

  test("a HAProxy that somebody else runs gets its stats socket back", async () => {
    const { options, haproxy } = await startExternal(version, engine.dockerHost);
    const gateway = await startGateway({
      ...options,
      dockerHost: engine.dockerHost,
      flags: [`--master-socket=${haproxy.masterSocket}`],
    });
    const container = await run(engine, "gone/one:1");
    await gateway.routed("/gone/one/", container.name);
    await gateway.confirmed();
    const traffic = new Traffic({ port: options.port, target: "/gone/one/", perSecond: 100 });
    rmSync(join(options.dir, "haproxy.admin.sock"));
    await gateway.logged(/^reload: .*haproxy\.admin\.sock was removed /);
    await changesWithoutReload(gateway);
    expect((await traffic.stop()).failures).toEqual([]);
    await gateway.stop();
    await haproxy.stop();
  });

  test("the whole folder comes back at once, and no address is another's", async () => {
    const flags = [BRIEF_HOLD];
    const gateway = await startGateway({ version, dockerHost: engine.dockerHost, flags });
    const stays = await run(engine, "gone/one:1");
    const goes = await run(engine, "gone/two:1");
    await gateway.routed("/gone/one/", stays.name);
    await gateway.routed("/gone/two/", goes.name);
    await gateway.confirmed();
    const address = await goes.ip();
    const { master } = await gateway.haproxy();
    const { port } = gateway;
    const traffic = new Traffic({ port, target: "/gone/one/", perSecond: 100 });
    rmSync(gateway.dir, { recursive: true });
    await gateway.logged(/^folder .* was removed by somebody else: it is made again$/);
    await gateway.logged(/^reload: .* was removed /);
    await goes.remove();
    // It has the address of the one that is gone.
    const next = await run(engine, "gone/one:1");
    const others = new Traffic({ port, target: "/gone/two/", perSecond: 100 });
    expect(await next.ip()).toBe(address);
    await gateway.answers("/gone/two/", 403);
    await gateway.logged(`routed /gone/one -> ${address}:8000`);
    expect([...(await others.stop()).answered.keys()]).toEqual([]);
    expect((await traffic.stop()).failures).toEqual([]);
    expect((await gateway.haproxy()).master).toBe(master);
    await changesWithoutReload(gateway);
  });
});

/** Waits until HAProxy answers on both of its sockets. */
function answers(gateway: Gateway): Promise<void> {
  return gateway.until(async () => {
    expect(await cli(join(gateway.dir, "haproxy.admin.sock"), "show info")).toContain("Pid: ");
    await gateway.haproxy();
  });
}

/** A new container is served by a change of the running HAProxy. */
async function changesWithoutReload(gateway: Gateway): Promise<void> {
  const reloads = (): string[] =>
    gateway
      .lines()
      .map(({ message }) => message)
      .filter((message) => message.startsWith("reload"));
  const before = reloads();
  const container = await run(engine, "gone/one:1");
  await gateway.served("/gone/one/", container.name);
  expect(reloads()).toEqual(before);
}
