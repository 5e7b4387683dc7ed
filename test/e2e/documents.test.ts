// What the documents show is what happens: the README's first commands are typed into a shell, and what the
// program is said to print under "Ask it" and "Troubleshooting" is compared with what it prints.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { dirname, join } from "node:path";
import { programsOf, shownUnder } from "../documents/command-line.ts";
import { blocksOf, readPage } from "../documents/page.ts";
import { run, removeAll } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions, startHaproxy } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import { detailsOf } from "./details.ts";
import { BRIEF_HOLD, closeGateways, firstVersion, gatewayDir, startGateway } from "./gateway.ts";
import { binary, cleanEnvironment, runToEnd, type Finished } from "./program.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
});

afterEach(async () => {
  closeGateways();
  await removeAll(engine);
});

afterAll(closeGateways);

/** The text without what is another one on every machine, its columns as wide as they come. */
function alike(text: string): string {
  return text
    .replaceAll(/\d+\.\d+\.\d+\.\d+:8000/g, "SERVER")
    .replaceAll(/\d+\.\d+\.\d+\.\d+:\d+|\*:\d+/g, "LISTEN")
    .replaceAll(/\d+\.\d+\.\d+\.\d+/g, "ADDRESS")
    .replaceAll(/\([0-9a-f]{12}\)/g, "(ID)")
    .replaceAll(/\/[-.\w/]*\/(?=docker\.sock|haproxy\.)/g, "FOLDER/")
    .replaceAll(/API [\d.]+/g, "API")
    .replaceAll(/HAProxy: \d+.*/g, "HAProxy: VERSION")
    .replaceAll(/process \d+/g, "process PID")
    .replaceAll(/\d+ open files/g, "N open files")
    .replaceAll(/\b\d+ (?:s|min|h)\b/g, "TIME")
    .replaceAll(/\d+ ms\b/g, "N ms")
    .replaceAll(/^\d{4}-\d\d-\d\dT[\d:.]+Z/gm, "WHEN")
    .replaceAll(/(?:1204|\d+) request\b|(?:1204|\d+) requests\b/g, "N requests")
    .replaceAll(/^(.* up +TIME) +\d+ +0$/gm, "$1 N 0")
    .replaceAll("authority.example.com", "LISTEN")
    .replaceAll(/ +/g, " ");
}

/** Runs a command of a page at a gateway, and compares what it prints. */
async function compare(line: string, output: string, socket: string): Promise<void> {
  const [[program, ...words] = []] = programsOf(line);
  expect(program).toBe("docker-api-gateway");
  const { stdout } = await runToEnd([...words, `--gateway=${socket}`]);
  expect(alike(stdout.trimEnd())).toBe(alike(output.trimEnd()));
}

test("under 'Ask it' are the program's answers", async () => {
  await importImage(engine, "acme/shop:1.2", { expose: [8000] });
  for (const name of ["shop-1", "shop-2"]) await run(engine, "acme/shop:1.2", { name });
  const gateway = await startGateway({ dockerHost: engine.dockerHost });
  for (const name of ["shop-1", "shop-2"]) await gateway.served("/acme/shop/", name);
  const another = await startHaproxy({
    version: firstVersion(),
    dir: gatewayDir(),
    config: `defaults
    mode http
    timeout client 5s
frontend f
    bind 127.0.0.1:${gateway.port}
`,
  });
  const shown = shownUnder("docs/operating.md", "Ask it");
  expect(shown.map(({ line }) => line.split(" ")[1])).toEqual([
    "routes",
    "explain",
    "explain",
    "doctor",
  ]);
  for (const { line, output } of shown) {
    await compare(line, output, `${gateway.dir}/haproxy.gateway.sock`);
  }
  await another.stop();
});

/** Answers each connection with what is no HTTP, as a database does. */
const NO_HTTP = ["nc", "-ll", "-p", "8000", "-e", "sh", "-c", String.raw`printf 'J\0\0\n8.0\r\n'`];

test("under 'Troubleshooting' is what the program says of each symptom", async () => {
  await importImage(engine, "acme/shop:1.2", { expose: [8000] });
  await importImage(engine, "acme/cache:7", { expose: [8000], cmd: NO_HTTP });
  await importImage(engine, "acme/wiki:1", { expose: [9999] });
  await importImage(engine, "postgres:16", { expose: [5432] });
  await run(engine, "acme/shop:1.2", { name: "shop-1" });
  await run(engine, "acme/cache:7", { name: "cache-1" });
  await run(engine, "acme/wiki:1", { name: "wiki-1" });
  await run(engine, "postgres:16", { name: "db-1" });
  const new1 = { "gateway.host": "new.example.com", "gateway.service": "new" };
  await run(engine, "acme/shop:1.2", { name: "new-1", labels: new1 });
  const gateway = await startGateway({
    dockerHost: engine.dockerHost,
    flags: [
      BRIEF_HOLD,
      "--listen-https=127.0.0.1:8443",
      "--acme=me@example.com",
      // Nobody is asked there: the name cannot be resolved in this network.
      "--acme-directory=https://127.0.0.1:1/directory",
      `--acme-dir=${join(gatewayDir(), "acme")}`,
    ],
  });
  await gateway.served("/acme/shop/", "shop-1");
  await gateway.logged(/^routed http:\/\/new.example.com/);
  const slow = { "gateway.path": "/slow", "gateway.service": "slow", "gateway.timeout": "5m" };
  await run(engine, "acme/shop:1.2", { name: "slow-1", labels: slow });
  await gateway.logged(/^routed \/slow /);
  const socket = `${gateway.dir}/haproxy.gateway.sock`;
  const lines = shownUnder("docs/operating.md", "Troubleshooting");
  // The reload is to be the last change: what follows it, and of no container, is told later.
  const reload = lines.filter(({ line }) => line.includes(" logs "));
  expect(reload).toHaveLength(1);
  for (const { line, output } of reload) await compare(line, output, socket);

  await gateway.until(async () => {
    expect((await gateway.get("/acme/cache/")).status).toBe(502);
    gateway.signal("SIGHUP");
    expect(gateway.count("does not speak HTTP/1.1")).toBe(1);
  });
  await gateway.answers("/acme/wiki/", 503);
  expect((await gateway.get("/cart", { headers: { Host: "www.example.com" } })).status).toBe(403);
  const others = lines.filter(({ line }) => !line.includes(" logs "));
  expect(others.length).toBeGreaterThan(6);
  for (const { line, output } of others) {
    await gateway.until(() => compare(line, output, socket));
  }
});

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  // What does not depend on HAProxy's version is tested once.
  const detail = detailsOf(version);
  test("the README's first commands do what it says", async () => {
    await importImage(engine, "acme/shop:1.2", { expose: [8000] });
    // The port that the README's URLs have; this network is the test's own.
    await startGateway({ version, dockerHost: engine.dockerHost, port: 80 });
    const lines = shownUnder("README.md", "docker-api-gateway").map(({ line }) => line);
    const [start = "", ask = ""] = lines;
    expect(start).toStartWith("docker run ");
    const started = await shell(start);
    expect(started).toMatchObject({ status: 0 });
    await eventually(async () => {
      const { stdout, stderr } = await shell(ask);
      if (!stdout.includes("target: /cart\n")) throw new Error(`${ask}: ${stdout}${stderr}`);
    });
    await shell(`docker rm -f ${started.stdout.trim()}`);
  });

  detail("the socket proxy lets the gateway read, and nobody do more", async () => {
    await importImage(engine, "acme/shop:1.2", { expose: [8000] });
    await run(engine, "acme/shop:1.2", { name: "shop-1" });
    const dir = gatewayDir();
    const socket = join(dir, "read-only.sock");
    const [block] = blocksOf("haproxy", [readPage("docs/security.md")]);
    const config = (block?.text ?? "")
      .replace("/run/docker-read-only.sock", socket)
      .replace("/run/docker.sock", engine.socket)
      .replace(" group docker", "");
    const proxy = await startHaproxy({ version, dir, config: `${config}\n` });
    const gateway = await startGateway({ version, dockerHost: `unix://${socket}` });
    await gateway.served("/acme/shop/", "shop-1");
    expect(gateway.lines().filter(({ level }) => level === "warn")).toEqual([]);
    for (const [method, path] of [
      ["POST", "/containers/create"],
      ["POST", "/v1.41/containers/shop-1/stop"],
      ["DELETE", "/containers/shop-1"],
      ["GET", "/containers/shop-1/logs"],
      ["GET", "/containers/shop-1/archive?path=/etc"],
      ["GET", "/secrets"],
      ["GET", "/info"],
    ] as const) {
      const { status } = await fetch(`http://docker${path}`, { method, unix: socket });
      expect([method, path, status]).toEqual([method, path, 403]);
    }
    await gateway.stop();
    await proxy.stop();
  });
});

/** Runs a line as a person does who has the program, and whose docker asks the Engine of the tests. */
async function shell(line: string): Promise<Finished> {
  const env = cleanEnvironment({ DOCKER_HOST: engine.dockerHost });
  const path = `${dirname(await binary())}:${env["PATH"]}`;
  const child = Bun.spawn(["sh", "-c", line], {
    env: { ...env, PATH: path },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { status, stdout, stderr };
}
