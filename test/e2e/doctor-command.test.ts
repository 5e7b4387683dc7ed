// `doctor` finds all well where it is, beside a gateway and before the first; and disturbs nothing.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { makeContext } from "../lab/docker-context.ts";
import { importImage } from "../lab/images.ts";
import { findings, flagsOf, type Findings } from "./asking.ts";
import { startExternal } from "./external.ts";
import { closeGateways, gatewayDir, startGateway } from "./gateway.ts";
import { freePort } from "../lab/ports.ts";

setDefaultTimeout(120_000);

const TITLES =
  "Docker HAProxy Output Sockets Reload Listen Configuration Limits Processes Served".split(" ");

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "doc/one:1", { expose: [8000] });
  await run(engine, "doc/one:1", { name: "doc-one" });
});

afterAll(async () => {
  closeGateways();
  await removeAll(engine);
});

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  test("all is well beside a gateway that runs HAProxy", async () => {
    const gateway = await startGateway({ version, dockerHost: engine.dockerHost });
    await gateway.served("/doc/one/", "doc-one");
    const { worker } = await gateway.haproxy();
    const { status, levels, text } = await findings(flagsOf(gateway, engine, version));
    expect(Object.keys(levels)).toEqual(TITLES);
    expect(new Set(Object.values(levels))).toEqual(new Set(["ok"]));
    expect(status).toBe(0);
    expect(text["Docker"]).toMatch(/^unix:\/\/.*\/docker\.sock, API 1\.\d+, 1 running container$/);
    expect(text["HAProxy"]).toStartWith(`${version}.`);
    expect(text["HAProxy"]).toEndWith(
      ", changes servers and routes without a reload, and up to 64 new services",
    );
    expect(text["Output"]).toBe(gateway.output);
    expect(text["Sockets"]).toBe(
      `${gateway.dir}/haproxy.admin.sock and ${gateway.dir}/haproxy.master.sock`,
    );
    expect(text["Reload"]).toBe("the gateway runs HAProxy itself");
    expect(text["Listen"]).toBe(
      `127.0.0.1:${gateway.port} held by this HAProxy (process ${worker})`,
    );
    expect(text["Configuration"]).toBe("accepted by HAProxy, with 1 route");
    expect(text["Limits"]).toMatch(
      new RegExp(String.raw`^\d+ open files at most, for HAProxy \(process ${worker}\)$`),
    );
  });

  test("and after a reload, and beside a HAProxy that somebody else runs", async () => {
    const { options, haproxy, processes } = await startExternal(version, engine.dockerHost);
    const gateway = await startGateway({
      ...options,
      dockerHost: engine.dockerHost,
      flags: [`--master-socket=${haproxy.masterSocket}`],
    });
    await gateway.served("/doc/one/", "doc-one");
    expect(await haproxy.reload()).toBe(true);
    const { worker } = await processes();
    const flags = flagsOf(gateway, engine, version).filter((flag) => flag !== "--manage-haproxy");
    const { status, levels, text } = await findings([
      ...flags,
      `--master-socket=${haproxy.masterSocket}`,
    ]);
    expect(new Set(Object.values(levels))).toEqual(new Set(["ok"]));
    expect(status).toBe(0);
    expect(text["Reload"]).toBe(`through ${haproxy.masterSocket}`);
    expect(text["Listen"]).toEndWith(`held by this HAProxy (process ${worker})`);
    await gateway.stop();
    await haproxy.stop();
  });
});

test("before the first run all is well but what cannot be known, and nothing is left behind", async () => {
  const dir = gatewayDir();
  const port = await freePort();
  const output = join(dir, "sub", "haproxy.cfg");
  const { status, levels, text } = await findings(flagsOf({ output, port }, engine));
  expect(status).toBe(0);
  expect(levels).toEqual({
    ...Object.fromEntries(TITLES.map((title) => [title, "ok"])),
    Sockets: "warning",
  });
  expect(text["Sockets"]).toContain("does not run a configuration of the gateway's yet");
  expect(text["Listen"]).toBe(`127.0.0.1:${port} free`);
  expect(readdirSync(dir)).toEqual([]);
});

test("it says which docker context names the Engine, also where there is none", async () => {
  const env = { DOCKER_CONFIG: gatewayDir(), DOCKER_CONTEXT: "work" };
  const output = join(gatewayDir(), "haproxy.cfg");
  const flags = flagsOf({ output, port: await freePort() }, engine).slice(1);
  makeContext(env.DOCKER_CONFIG, "work", { host: engine.dockerHost });
  const well = await findings(flags, [], env);
  expect(well.text["Docker"]).toStartWith(`context work: ${engine.dockerHost}, API 1.`);
  expect(well.status).toBe(0);

  makeContext(env.DOCKER_CONFIG, "work", { host: "unix:///nowhere.sock" });
  const ill = await findings(flags, [], env);
  expect(ill.levels["Docker"]).toBe("failure");
  expect(ill.text["Docker"]).toContain('Cannot reach Docker at "unix:///nowhere.sock"');
  expect(ill.text["Docker"]).toEndWith('\ndocker context "work" names it');
});

test("it disturbs no gateway that is changing its files", async () => {
  const gateway = await startGateway({ dockerHost: engine.dockerHost, flags: ["--always-reload"] });
  await gateway.served("/doc/one/", "doc-one");
  const flags = flagsOf(gateway, engine);
  // Files of other contents than the gateway's own, which it would put in place were they mixed up.
  const others = [...flags, `--listen=127.0.0.1:${await freePort()}`, "--ports=1,2,3"];
  const end = new AbortController();
  const looking = [flags, others].map(async (words) => {
    const all: Findings[] = [];
    while (!end.signal.aborted) all.push(await findings(words));
    return all;
  });
  try {
    for (let count = 0; count < 3; count++) {
      const container = await run(engine, "doc/one:1");
      await gateway.until(() =>
        expect(gateway.config()).toContain(`server ${container.id.slice(0, 12)}`),
      );
      await gateway.confirmed();
      expect(gateway.config()).toContain(`bind 127.0.0.1:${gateway.port}`);
      await container.remove();
    }
  } finally {
    end.abort();
  }
  const looked = (await Promise.all(looking)).flat();
  expect(looked.length).toBeGreaterThan(1);
  expect(
    looked.filter(({ levels }) => Object.values(levels).some((level) => level !== "ok")),
  ).toEqual([]);
  await gateway.confirmed();
  // That a container has gone is HAProxy's to say.
  const lines = gateway
    .lines()
    .filter(({ event, message }) => event !== "down" && !message.startsWith("haproxy: Server "));
  expect(lines.filter(({ level }) => level === "warn" || level === "error")).toEqual([]);
  await gateway.until(() => {
    const odd = readdirSync(gateway.dir).filter((name) => /check|new|doctor/.test(name));
    expect(odd).toEqual([]);
  });
});

test("it changes no file", async () => {
  const gateway = await startGateway({ dockerHost: engine.dockerHost });
  await gateway.routed("/doc/one/", "doc-one");
  await gateway.confirmed();
  const look = (): unknown[] =>
    readdirSync(gateway.dir)
      .filter((name) => !name.endsWith(".sock"))
      .map((name) => {
        const path = join(gateway.dir, name);
        return [name, statSync(path).ino, statSync(path).mtimeMs, readFileSync(path, "utf8")];
      });
  const before = look();
  await findings([...flagsOf(gateway, engine), "--ports=1"]);
  expect(look()).toEqual(before);
});
