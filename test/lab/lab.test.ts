// Tests the lab itself: its engines, its images and their server, its HAProxys and its client.

import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { create, parseAnswer, removeAll, run, type Answer, type Container } from "./containers.ts";
import { sharedEngine, startEngine, testFlavour, type Engine } from "./engine.ts";
import { cli, haproxyVersions, startHaproxy } from "./haproxy.ts";
import { connect, eventually, request, requestBytes, type RawRequest } from "./http.ts";
import { importImage } from "./images.ts";
import { interfaces, labDir } from "./leftovers.ts";
import { freePort } from "./ports.ts";

// An engine starts and stops several times in this, also on a loaded machine with two cores.
const ENGINE_MS = 60_000;

describe(`engine ${testFlavour()}`, () => {
  let engine: Engine;

  beforeAll(async () => {
    engine = await sharedEngine();
    await importImage(engine, "lab/plain:1", { expose: [8000], labels: { "a.b": "c d" } });
  }, ENGINE_MS);

  afterEach(() => removeAll(engine), ENGINE_MS);

  test("an image has the name, labels and ports it was given", async () => {
    await importImage(engine, "registry.example.com:5000/foo/bar:1.2", {
      expose: [8000, "53/udp"],
      labels: { "gateway.path": '/x "y" $z' },
      env: { A: "b" },
      stopSignal: "SIGQUIT",
    });
    const image = await engine.docker.getImage("registry.example.com:5000/foo/bar:1.2").inspect();
    expect(image.RepoTags).toEqual(["registry.example.com:5000/foo/bar:1.2"]);
    expect(image.Config.Labels).toEqual({ "gateway.path": '/x "y" $z' });
    expect(Object.keys(image.Config.ExposedPorts ?? {}).toSorted()).toEqual(["53/udp", "8000/tcp"]);
    expect(image.Config.Env).toContain("A=b");
  });

  test("the server tells what it received, byte by byte", async () => {
    const container = await run(engine, "lab/plain:1", { name: "first" });
    const answer = await ask(container, {
      method: "PATCH",
      target: "//a/../b%2Fc/./?q=1&q=%20",
      headers: { "X-Odd": "a  b", Accept: "*/*" },
      body: "hello",
    });
    expect(answer.name).toBe("first");
    expect(container.id.startsWith(answer.container)).toBe(true);
    expect(answer.method).toBe("PATCH");
    expect(answer.target).toBe("//a/../b%2Fc/./?q=1&q=%20");
    expect(answer.body).toBe(5);
    expect(answer.header("x-odd")).toBe("a  b");
    expect(answer.headers.map(([name]) => name)).toEqual([
      "Host",
      "Connection",
      "Content-Length",
      "X-Odd",
      "Accept",
    ]);
  });

  test("the special paths", async () => {
    const container = await run(engine, "lab/plain:1");
    await ask(container, {});
    const host = await container.ip();
    const at = (target: string, method = "GET") => request({ host, port: 8000, target, method });

    const redirect = await at("/any/prefix/redirect");
    expect(redirect.status).toBe(302);
    expect(redirect.header("Location")).toBe("/login");
    expect((await at("/redirect?to=http://x/y")).header("Location")).toBe("http://x/y");
    expect((await at("/cookie")).header("Set-Cookie")).toBe("a=b; Path=/");
    expect((await at("/status?code=418")).status).toBe(418);
    expect((await at("/x", "HEAD")).body).toBe("");
    expect((await at("/stream?bytes=300000")).body.length).toBe(300_000);

    const start = performance.now();
    await at("/slow?ms=200");
    expect(performance.now() - start).toBeGreaterThan(190);

    expect((await at("/health")).status).toBe(503);
    await container.setHealthy(true);
    expect((await at("/health")).status).toBe(200);
    await container.setHealthy(false);
    expect((await at("/health")).status).toBe(503);
  });

  test("a gigabyte streams", async () => {
    const container = await run(engine, "lab/plain:1");
    await ask(container, {});
    const size = 1 << 30;
    const answer = await fetch(`http://${await container.ip()}:8000/stream?bytes=${size}`);
    let received = 0;
    if (answer.body !== null) for await (const chunk of answer.body) received += chunk.length;
    expect(received).toBe(size);
  }, 30_000);

  test("one connection carries several requests, and a chunked body", async () => {
    const container = await run(engine, "lab/plain:1");
    await ask(container, {});
    const connection = await connect({ host: await container.ip(), port: 8000 });
    const head = { port: 8000, headers: { Connection: undefined } };
    connection.send(requestBytes({ ...head, target: "/one" }));
    expect(parseAnswer((await connection.response()).body).target).toBe("/one");
    const chunked = { Connection: undefined, "Transfer-Encoding": "chunked" };
    connection.send(requestBytes({ port: 8000, method: "POST", headers: chunked }));
    connection.send(`5\r\nhello\r\n186a0\r\n${"x".repeat(100_000)}\r\n0\r\n\r\n`);
    expect(parseAnswer((await connection.response()).body).body).toBe(100_005);
    connection.send(requestBytes({ ...head, target: "/two", body: "x".repeat(200_000) }));
    expect(parseAnswer((await connection.response()).body).body).toBe(200_000);
    connection.close();
  });

  test("a websocket echoes", async () => {
    const container = await run(engine, "lab/plain:1");
    await ask(container, {});
    const connection = await connect({ host: await container.ip(), port: 8000 });
    const headers = {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    };
    connection.send(requestBytes({ port: 8000, headers }));
    const response = await connection.response();
    expect(response.status).toBe(101);
    // This is the example of RFC 6455.
    expect(response.header("Sec-WebSocket-Accept")).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    connection.send(new Uint8Array([0, 255, 10, 13]));
    expect([...(await connection.read(4))]).toEqual([0, 255, 10, 13]);
    connection.close();
  });

  test("ports, exposed ports, labels and variables of a container", async () => {
    const container = await run(engine, "lab/plain:1", {
      ports: [80, 9000],
      expose: [80],
      labels: { "gateway.port": "9000", quoted: 'a"b $c' },
      env: { B: "c" },
    });
    const host = await container.ip();
    for (const port of [80, 9000]) await eventually(() => request({ host, port }));
    const { Config } = await container.inspect();
    expect(Object.keys(Config.ExposedPorts ?? {}).toSorted()).toEqual(["80/tcp", "8000/tcp"]);
    expect(Config.Labels).toMatchObject({ "a.b": "c d", quoted: 'a"b $c' });
    expect(Config.Env).toContain("B=c");
  });

  test("the host's network, another container's, and one of the user's", async () => {
    const port = await freePort();
    const host = await run(engine, "lab/plain:1", { hostNetwork: true, ports: [port] });
    const local = await eventually(() => request({ port }));
    expect(parseAnswer(local.body).name).toBe(host.name);
    expect(host.ip()).rejects.toThrow("no address");

    const owner = await run(engine, "lab/plain:1");
    const guest = await run(engine, "lab/plain:1", { networkOf: owner.name, ports: [8001] });
    const address = await owner.ip();
    const answer = await eventually(() => request({ host: address, port: 8001 }));
    expect(parseAnswer(answer.body).name).toBe(guest.name);

    await engine.docker.createNetwork({ Name: "lab-net" });
    const member = await run(engine, "lab/plain:1", { network: "lab-net" });
    expect(await ask(member, {})).toMatchObject({ name: member.name });
  });

  test("stopping: at once, with grace, and only by force", async () => {
    const plain = await run(engine, "lab/plain:1");
    expect(await stopTime(plain, 10)).toBeLessThan(900);
    const grace = await stopTime(await run(engine, "lab/plain:1", { graceMs: 1_000 }), 10);
    expect(grace).toBeGreaterThan(950);
    expect(grace).toBeLessThan(3_000);
    const stubborn = await stopTime(await run(engine, "lab/plain:1", { ignoreTerm: true }), 1);
    expect(stubborn).toBeGreaterThan(950);
    expect(stubborn).toBeLessThan(4_000);
  }, 20_000);

  test("a container that was made and not started, and one that was killed", async () => {
    const container = await create(engine, "lab/plain:1");
    expect((await container.inspect()).State.Running).toBe(false);
    await container.start();
    await ask(container, {});
    await container.kill();
    await eventually(async () => expect((await container.inspect()).State.Running).toBe(false));
    await container.remove();
    expect(container.inspect()).rejects.toThrow("404");
  });

  test("health follows the file", async () => {
    // Podman leaves health checks to systemd, so there are none here.
    if (testFlavour() === "podman") return;
    await importImage(engine, "lab/checked", { healthcheck: { intervalMs: 50 } });
    const containers = [
      await run(engine, "lab/checked"),
      await run(engine, "lab/plain:1", { healthcheck: { intervalMs: 50 } }),
    ];
    for (const container of containers) {
      const is = (wanted: string) =>
        eventually(async () =>
          expect((await container.inspect()).State.Health?.Status).toBe(wanted),
        );
      await is("unhealthy");
      await container.setHealthy(true);
      await is("healthy");
    }
  });

  test("thirty containers at once", async () => {
    const containers = await Promise.all(
      Array.from({ length: 30 }, () => run(engine, "lab/plain:1")),
    );
    const answers = await Promise.all(containers.map((container) => ask(container, {})));
    expect(new Set(answers.map((answer) => answer.name)).size).toBe(30);
  }, 60_000);
});

describe(`an engine of its own, ${testFlavour()}`, () => {
  test(
    "goes away, comes back and leaves nothing",
    async () => {
      const engine = await startEngine();
      await importImage(engine, "lab/plain");
      await engine.docker.createNetwork({ Name: "gone" });
      const container = await run(engine, "lab/plain", { network: "gone", restart: "always" });
      const networks = interfaces();

      await engine.stopDaemon();
      expect(engine.docker.ping()).rejects.toThrow();
      await engine.startDaemon();
      await engine.stopDaemon("SIGKILL");
      await engine.startDaemon();
      await eventually(async () => expect((await container.inspect()).State.Running).toBe(true));
      const { Pid } = (await container.inspect()).State;
      expect(existsSync(`/proc/${Pid}`)).toBe(true);

      await engine.stop();
      expect(existsSync(engine.dir)).toBe(false);
      expect(readFileSync("/proc/mounts", "utf8")).not.toContain(engine.dir);
      await eventually(() => expect(running(Pid)).toBe(false));
      const left = interfaces();
      expect(networks.filter((name) => !left.includes(name)).length).toBeGreaterThan(1);
    },
    ENGINE_MS,
  );

  test.each([
    ["", []],
    [", in a network namespace that goes with it", ["unshare", "--net", "--"]],
  ])(
    "is cleaned away when its process has died%s",
    async (_, apart) => {
      const script = `
        const { startEngine } = await import("./engine.ts");
        const { importImage } = await import("./images.ts");
        const { run } = await import("./containers.ts");
        const engine = await startEngine();
        await importImage(engine, "lab/plain");
        await engine.docker.createNetwork({ Name: "left" });
        const container = await run(engine, "lab/plain", { network: "left" });
        const network = require("node:fs").readlinkSync("/proc/self/ns/net");
        console.log(JSON.stringify([engine.dir, (await container.inspect()).State.Pid, network]));
        process.kill(process.pid, "SIGKILL");`;
      const options = { cwd: import.meta.dir, timeout: ENGINE_MS };
      const dead = Bun.spawnSync([...apart, process.execPath, "-e", script], options);
      const [dir, pid, network] = JSON.parse(dead.stdout.toString()) as [string, number, string];
      expect(existsSync(dir)).toBe(true);
      expect(running(pid)).toBe(true);

      const clean = `(await import("./leftovers.ts")).cleanLeftovers()`;
      Bun.spawnSync([process.execPath, "-e", clean], options);
      // Another run of the tests on this machine may be cleaning it away as well.
      await eventually(() => expect(existsSync(dir)).toBe(false));
      expect(readFileSync("/proc/mounts", "utf8")).not.toContain(dir);
      await eventually(() => expect(running(pid)).toBe(false));
      if (apart.length > 0) await eventually(() => expect(inNetwork(network)).toEqual([]));
    },
    ENGINE_MS,
  );
});

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  test("starts, answers, reloads, keeps what it has when a file is bad, and stops", async () => {
    const dir = labDir("h");
    const port = await freePort();
    const haproxy = await startHaproxy({
      version,
      dir,
      config: haproxyConfig(dir, port, "one"),
      maps: { "words.map": "/a alpha\n" },
    });
    expect(await get(port, "/a")).toBe("one alpha");
    const admin = join(dir, "admin.sock");
    expect(await cli(admin, "show info")).toContain(`Version: ${version}.`);
    expect(await cli(admin, `set map ${dir}/words.map /a beta`)).toBe("");
    expect(await get(port, "/a")).toBe("one beta");
    expect(await cli(haproxy.masterSocket, "show proc")).toContain(`${haproxy.pid} `);

    await Bun.write(haproxy.configFile, haproxyConfig(dir, port, "two"));
    expect(await haproxy.reload()).toBe(true);
    await eventually(async () => expect(await get(port, "/b")).toBe("two none"));
    await Bun.write(haproxy.configFile, "bogus\n");
    expect(await haproxy.reload()).toBe(false);
    expect(await get(port, "/a")).toBe("two alpha");
    expect(haproxy.log()).toContain("bogus");

    await haproxy.stop();
    expect(request({ port })).rejects.toThrow();
  }, 30_000);

  test("says why it does not start", async () => {
    expect(startHaproxy({ version, config: "bogus\n" })).rejects.toThrow("unknown keyword 'bogus'");
  });
});

async function ask(container: Container, options: Omit<RawRequest, "port">): Promise<Answer> {
  const host = await container.ip();
  const response = await eventually(() => request({ host, port: 8000, ...options }));
  return parseAnswer(response.body);
}

async function stopTime(container: Container, seconds: number): Promise<number> {
  await ask(container, {});
  const start = performance.now();
  await container.stop(seconds);
  return performance.now() - start;
}

async function get(port: number, target: string): Promise<string> {
  return (await request({ port, target })).body;
}

function haproxyConfig(dir: string, port: number, text: string): string {
  return `
global
  stats socket ${dir}/admin.sock mode 600 level admin expose-fd listeners
defaults
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 10s
frontend web
  bind 127.0.0.1:${port}
  http-request return status 200 content-type text/plain lf-string "${text} %[path,map(${dir}/words.map,none)]"
`;
}

// The processes in a network namespace. It exists as long as there is one.
function inNetwork(network: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/ns/net`) === network;
    } catch {
      return false;
    }
  });
}

// A process that has ended keeps its ID until its parent has waited for it.
function running(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
