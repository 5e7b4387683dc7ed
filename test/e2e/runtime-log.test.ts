// What HAProxy itself says: of what it was told to do it is for debugging, of an outage a warning.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { freePort, startApp, type App } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { labels } from "../lab/labels.ts";
import { startExternal } from "./external.ts";
import { closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { stateOf } from "./running-haproxy.ts";
import { Stage } from "./stage.ts";

setDefaultTimeout(120_000);

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  let stage: Stage;
  let gateway: Gateway;
  let app: App;

  beforeEach(async () => {
    stage = new Stage();
    app = await startApp();
    const flags = ["--log-level", "debug"];
    gateway = await startGateway({ version, dockerHost: stage.dockerHost, flags });
    await gateway.answers("/", 403);
    start("one");
    start("two");
    await reaches("one", "UP");
    await reaches("two", "UP");
  });

  afterEach(async () => {
    closeGateways();
    await stage.stop();
    await app.stop();
  });

  test("changes that were asked for are nothing to warn of", async () => {
    stage.change("two", { status: "paused" });
    stage.tell("two", "pause");
    await reaches("two", "DRAIN");
    stage.change("two", { status: "running" });
    stage.tell("two", "unpause");
    await reaches("two", "UP");
    stage.kill("two");
    await reaches("two", "DRAIN");
    stage.end("two");
    await reaches("two", undefined);
    const moved = await startApp({ address: "127.0.0.2" });
    stage.change("one", { ip: moved.address, port: moved.port });
    stage.tell("one", "restart");
    await gateway.until(async () => expect((await gateway.get("/foo")).body).toBe(moved.name));
    start("other", "bar");
    await reaches("other", "UP");
    stage.end("other");
    stage.end("one");
    await reaches("other", undefined);
    await reaches("one", undefined);
    await moved.stop();
    // A port of its own takes a reload.
    const tcp = labels({ tcp: String(await freePort()) });
    stage.start("bytes", { image: "bytes", ip: app.address, port: app.port, labels: tcp });
    await gateway.logged(/^reload: (?!there is no configuration)/);

    const spoken = gateway.lines().filter(({ message }) => message.startsWith("haproxy: "));
    expect(spoken.length).toBeGreaterThan(5);
    // Neither a backend that was kept in reserve, nor a server: who reads it knows neither.
    expect(spoken.filter(({ message }) => /_spare|[Ss]erver \S+\//.test(message))).toEqual([]);
    expect(spoken.filter(({ level }) => level !== "debug")).toEqual([]);
    expect(gateway.lines().filter(({ level }) => /warn|error/.test(level))).toEqual([]);
  });

  test("a container that stops answering is a warning, and that it answers again is told", async () => {
    const { port } = app;
    await app.stop();
    const down = await gateway.logged(
      /^down \/\S+ -> \S+ \(container one, its port does not answer, /,
    );
    expect(down.level).toBe("warn");
    app = await startApp({ port });
    const up = await gateway.logged(/^up \/\S+ -> \S+ \(container one, after \d+ s, /);
    expect(up.level).toBe("info");
    // HAProxy's own words are for debugging.
    const own = gateway.lines().filter(({ message }) => /^haproxy: .* is (DOWN|UP)/.test(message));
    expect(own.map(({ level }) => level)).toEqual(own.map(() => "debug"));
    expect(own.length).toBeGreaterThan(1);
  });

  function start(name: string, image = "foo"): void {
    stage.start(name, { image, ip: app.address, port: app.port });
  }

  function reaches(name: string, state: string | undefined): Promise<void> {
    return gateway.until(async () => expect(await stateOf(gateway, name)).toBe(state));
  }
});

test("that a container stops answering is told where somebody else runs HAProxy, too", async () => {
  const [version = "3.4"] = haproxyVersions();
  const stage = new Stage();
  const app = await startApp();
  try {
    const { options } = await startExternal(version, stage.dockerHost);
    const flags = ["--master-socket", join(options.dir, "master.sock")];
    const gateway = await startGateway({ ...options, dockerHost: stage.dockerHost, flags });
    stage.start("one", { image: "foo", ip: app.address, port: app.port });
    await gateway.answers("/foo/", 200);
    await app.stop();
    const { level } = await gateway.logged(/^down \/foo -> \S+ \(container one, its port does not/);
    expect(level).toBe("warn");
    const again = await startApp({ port: app.port });
    await gateway.logged(/^up \/foo -> \S+ \(container one, after \d+ s\)$/);
    await again.stop();
  } finally {
    closeGateways();
    await stage.stop();
    await app.stop();
  }
});

/** Long enough after its start to be down for less than it takes to be late. */
const BREAKS_AFTER_MS = 4_000;

test("a container that does not answer after a while is a warning, one that does is none", async () => {
  const [version = "3.4"] = haproxyVersions();
  const stage = new Stage();
  const app = await startApp();
  const broken = await startApp();
  try {
    const gateway = await startGateway({ version, dockerHost: stage.dockerHost });
    await gateway.answers("/", 403);
    const port = await freePort();
    stage.start("talks", { image: "talks", ip: app.address, port: app.port });
    stage.start("breaks", { image: "breaks", ip: broken.address, port: broken.port });
    await gateway.answers("/breaks/", 200);
    stage.start("mute", { image: "mute", ip: "127.0.0.1", port });
    // It answers, but not what its check wants.
    const own = labels({ check: "/x", "check.status": "204" });
    stage.start("checked", { image: "checked", ip: app.address, port: app.port, labels: own });
    // What answered and does no more is told otherwise.
    await Bun.sleep(BREAKS_AFTER_MS);
    await broken.stop();
    await gateway.logged(/^down \/breaks -> /);
    const { message, level } = await gateway.logged(/mute does not answer/);
    expect(level).toBe("warn");
    expect(message).toStartWith(`container mute does not answer at 127.0.0.1:${port} and gets no`);
    expect(gateway.count(/mute does not answer/)).toBe(1);
    const about = await gateway.logged(/^container checked /);
    // HAProxy does not tell the status while the next check runs.
    expect(about.message.replace("with another status", "200")).toBe(
      `container checked gets no requests at ${app.address}:${app.port}: its check, GET /x, ` +
        "is answered 200, and 204 is wanted (label gateway.check.status)",
    );
  } finally {
    closeGateways();
    await stage.stop();
    await app.stop();
    await broken.stop();
  }
});
