// A new HAProxy program, as an upgrade of the system brings it, is taken over while requests go on.

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, copyFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cli, haproxyProgram, haproxyVersions, type HaproxyVersion } from "../lab/haproxy.ts";
import { labDir } from "../lab/leftovers.ts";
import { PlayedEngine } from "../lab/played-engine.ts";
import { closeGateways, startGateway } from "./gateway.ts";
import { Traffic } from "./traffic.ts";

setDefaultTimeout(120_000);

const versions = haproxyVersions();
afterEach(closeGateways);

/** Replaces a file in one step, as a package manager does. */
function replace(path: string, write: (staged: string) => void): void {
  write(`${path}.new`);
  chmodSync(`${path}.new`, 0o755);
  renameSync(`${path}.new`, path);
}

function copyOf(version: HaproxyVersion): (staged: string) => void {
  return (staged) => copyFileSync(haproxyProgram(version), staged);
}

test("another version, and one that does not run", async () => {
  const dir = labDir("program");
  const program = join(dir, "haproxy");
  const engine = new PlayedEngine(join(dir, "engine.sock"));
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("here") });
  const { port = 0 } = server;
  engine.add({ id: "a".repeat(64), name: "c1", image: "next/one", ip: "127.0.0.1", port });
  const [first = "2.6", second = first] = versions;
  replace(program, copyOf(first));
  const { dockerHost } = engine;
  const gateway = await startGateway({ dockerHost, flags: [`--haproxy=${program}`] });
  await gateway.until(async () => expect((await gateway.get("/next/one/")).body).toBe("here"));
  await gateway.confirmed();
  // It was replaced a while after it was started: HAProxy tells its age in whole seconds.
  await gateway.until(async () => expect(await uptime(gateway.dir)).toBeGreaterThan(2));
  const { master } = await gateway.haproxy();
  const traffic = new Traffic({ port: gateway.port, target: "/next/one/", perSecond: 100 });
  replace(program, copyOf(second));
  gateway.signal("SIGHUP");
  const { message } = await gateway.logged(new RegExp(`^reload: ${program} was replaced`));
  expect(message).not.toContain(", ");
  expect(await info(gateway.dir)).toContain(`\nVersion: ${second}.`);
  // The configuration is the new version's, too.
  expect(gateway.config().includes("tune.bufsize.small")).toBe(second === "3.4");
  await gateway.until(async () => expect(await uptime(gateway.dir)).toBeGreaterThan(2));
  const lines = gateway.lines().length;
  replace(program, (staged) => writeFileSync(staged, "#!/bin/sh\nexit 1\n"));
  gateway.signal("SIGHUP");
  const line = await gateway.logged(/HAProxy goes on with the program before it/, lines);
  expect(line.level).toBe("error");
  const { failures } = await traffic.stop();
  expect(failures).toEqual([]);
  expect((await gateway.haproxy()).master).toBe(master);
  await gateway.stop();
  await engine.stop();
  await server.stop(true);
});

function info(dir: string): Promise<string> {
  return cli(join(dir, "haproxy.admin.sock"), "show info");
}

/** How long its worker has run, in seconds. */
async function uptime(dir: string): Promise<number> {
  return Number(/^Uptime_sec: (\d+)$/m.exec(await info(dir))?.[1]);
}
