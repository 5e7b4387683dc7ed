// A HAProxy that somebody else runs: what has not changed is neither written nor reloaded.

import { afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { startExternal } from "./external.ts";
import { closeGateways, firstVersion, startGateway, type Gateway } from "./gateway.ts";
import { runToEnd } from "./program.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "same/one:1", { expose: [8000] });
  await importImage(engine, "same/two:1", { expose: [8000] });
});

afterEach(async () => {
  await removeAll(engine);
  closeGateways();
});

/**
 * Before version 3.4 a service that came while HAProxy ran has another name in it, and the next
 * gateway sets that right by a reload; so what comes before is reloaded.
 */
const RELOADED = "--always-reload";

/** What a write or a reload would change. */
async function trace(gateway: Gateway, processes: () => Promise<{ worker: number }>) {
  await gateway.confirmed();
  const { ino, mtimeMs } = statSync(gateway.output);
  return { ino, mtimeMs, worker: (await processes()).worker, text: gateway.config() };
}

/** Makes the gateway read everything again and waits until it has. */
async function passAgain(gateway: Gateway): Promise<void> {
  const before = gateway.count("reading everything again");
  gateway.signal("SIGHUP");
  await gateway.until(() => expect(gateway.count("reading everything again")).toBe(before + 1));
  // A container that cannot be routed is told of by a pass, and changes nothing.
  const seen = await run(engine, "same/two:1", { labels: { "gateway.port": "x" } });
  await gateway.logged(`not routed: container ${seen.name} `);
}

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  test("neither while it runs nor when it is started again", async () => {
    const { options, processes } = await startExternal(version, engine.dockerHost);
    const flags = ["--master-socket", join(options.dir, "master.sock")];
    // Before the gateway: its first change is a reload, so that the service has its name in HAProxy.
    const container = await run(engine, "same/one:1");
    const first = await startGateway({ ...options, dockerHost: engine.dockerHost, flags });
    await first.served("/same/one/", container.name);
    await first.until(() =>
      expect(first.config()).toContain(`server ${container.id.slice(0, 12)}`),
    );
    const before = await trace(first, processes);
    await passAgain(first);
    expect(await trace(first, processes)).toEqual(before);
    await first.stop();

    const second = await startGateway({ ...options, dockerHost: engine.dockerHost, flags });
    await second.logged(`routed /same/one -> ${await container.ip()}:8000`);
    await passAgain(second);
    expect(await trace(second, processes)).toEqual(before);
    const next = await run(engine, "same/two:1");
    await second.served("/same/two/", next.name);
  });
});

test("the time alone is no change, wherever a template has it", async () => {
  const { options, processes } = await startExternal(firstVersion(), engine.dockerHost);
  const { stdout } = await runToEnd(["template", "path"]);
  const file = join(options.dir, "own.hbs");
  writeFileSync(
    file,
    stdout.replace(
      "{{> entrance}}",
      "{{> entrance}}\n    http-response set-header X-Made {{Time}}\n# Made {{Time}}\n",
    ),
  );
  const master = join(options.dir, "master.sock");
  // The end of a hold would be a change.
  const flags = ["--hold=0", "--template-file", file, "--master-socket", master];
  const gateway = await startGateway({ ...options, dockerHost: engine.dockerHost, flags });
  const container = await run(engine, "same/one:1");
  await gateway.served("/same/one/", container.name);
  // The files follow: at first they have it as one that is about to start.
  const enabled = new RegExp(`server ${container.id.slice(0, 12)} \\S+ check #`);
  await gateway.until(() => expect(gateway.config()).toMatch(enabled));
  await gateway.confirmed();
  const time = (await gateway.get("/same/one/")).header("X-Made");
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT/);
  const before = await trace(gateway, processes);
  await passAgain(gateway);
  await passAgain(gateway);
  expect(await trace(gateway, processes)).toEqual(before);
  expect((await gateway.get("/same/one/")).header("X-Made")).toBe(time ?? "");
});

test("--once brings it up to date, once", async () => {
  const { options, processes } = await startExternal(firstVersion(), engine.dockerHost);
  const container = await run(engine, "same/one:1");
  const flags = ["--once", RELOADED, "--master-socket", join(options.dir, "master.sock")];
  const first = await startGateway({ ...options, dockerHost: engine.dockerHost, flags });
  expect(await first.exited).toBe(0);
  // Its first check of a container that has just been started may come too early.
  await first.served("/same/one/", container.name);
  const before = await trace(first, processes);
  expect(readFileSync(first.output, "utf8")).toContain(`server ${container.id.slice(0, 12)}`);

  const second = await startGateway({ ...options, dockerHost: engine.dockerHost, flags });
  expect(await second.exited).toBe(0);
  expect(await trace(second, processes)).toEqual(before);

  await container.stop();
  const third = await startGateway({ ...options, dockerHost: engine.dockerHost, flags });
  expect(await third.exited).toBe(0);
  await third.answers("/same/one/", 403);
});
