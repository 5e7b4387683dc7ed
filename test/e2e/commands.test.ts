// What the program prints and how it ends: its commands, its help, its exit statuses, its log.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyProgram } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { PlayedEngine } from "../lab/played-engine.ts";
import { closeGateways, firstVersion, gatewayDir, startGateway } from "./gateway.ts";
import { binary, cleanEnvironment, runToEnd } from "./program.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "cmd/one:1", { expose: [8000] });
});

afterEach(() => removeAll(engine));
afterAll(closeGateways);

/** The flags that every run here needs. */
function flags(dir: string, dockerHost = engine.dockerHost): string[] {
  return [
    `--docker-host=${dockerHost}`,
    `--haproxy=${haproxyProgram(firstVersion())}`,
    `--output-file=${join(dir, "haproxy.cfg")}`,
    "--manage-haproxy",
  ];
}

describe("render", () => {
  test("prints the configuration and its maps, and writes nothing", async () => {
    const dir = gatewayDir();
    const container = await run(engine, "cmd/one:1");
    const { status, stdout, stderr } = await runToEnd(["render", ...flags(dir)]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toStartWith(`# ${dir}/haproxy.cfg\n# Written by docker-api-gateway`);
    expect(stdout).toContain(`server ${container.id.slice(0, 12)} `);
    expect(stdout).toContain(`\n# ${dir}/haproxy.routes.map\n/cmd/one/ cmd:one|/cmd/one\n`);
    expect(readdirSync(dir)).toEqual([]);
  });

  test("--diff tells what would change, also by its exit status", async () => {
    const dir = gatewayDir();
    const gateway = await startGateway({ dir, dockerHost: engine.dockerHost });
    const container = await run(engine, "cmd/one:1");
    await gateway.served("/cmd/one/", container.name);
    await gateway.until(() =>
      expect(gateway.config()).toContain(`server ${container.id.slice(0, 12)}`),
    );
    await gateway.confirmed();
    const words = ["render", "--diff", ...flags(dir), `--listen=127.0.0.1:${gateway.port}`];
    expect(await runToEnd(words)).toEqual({ status: 0, stdout: "", stderr: "" });
    await gateway.stop();

    const before = gateway.config();
    await container.stop();
    const { status, stdout } = await runToEnd(words);
    expect(status).toBe(3);
    expect(stdout).toMatch(new RegExp(`^-    server ${container.id.slice(0, 12)}`, "m"));
    expect(stdout).toMatch(/^-\/cmd\/one\/ cmd:one\|\/cmd\/one$/m);
    expect(gateway.config()).toBe(before);
  });
});

describe("template", () => {
  test("lists what is built in, and prints one that works as it is", async () => {
    const list = await runToEnd(["template"]);
    expect([list.status, list.stderr]).toEqual([0, ""]);
    for (const name of ["path", "host", "backends"]) {
      expect(list.stdout).toMatch(new RegExp(`^${name} +\\S`, "m"));
    }
    const { status, stdout } = await runToEnd(["template", "path"]);
    expect(status).toBe(0);
    const file = join(gatewayDir(), "own.hbs");
    writeFileSync(file, stdout);
    const dir = gatewayDir();
    const [own, builtIn] = [
      await runToEnd(["render", ...flags(dir), `--template-file=${file}`]),
      await runToEnd(["render", ...flags(dir)]),
    ];
    expect(own).toEqual(builtIn);
  });
});

describe("help and version", () => {
  test("--version names the package's version and the commit", async () => {
    const { status, stdout } = await runToEnd(["--version"]);
    expect(status).toBe(0);
    const git = Bun.spawnSync(["git", "rev-parse", "--short=12", "HEAD"], { cwd: import.meta.dir });
    const commit = git.success ? git.stdout.toString().trim() : "unknown commit";
    expect(stdout).toStartWith(`docker-api-gateway ${manifest.version} (${commit}`);
    expect(stdout).toEndWith(")\n");
  });

  test.each([[["--help"]], [["-help"]], [["render", "--help"]], [["template", "-h"]]])(
    "%p has examples and no colours",
    async (words) => {
      const { status, stdout, stderr } = await runToEnd(words);
      expect([status, stderr]).toEqual([0, ""]);
      expect(stdout).toContain("EXAMPLES");
      expect(stdout).toContain("docker-api-gateway");
      expect(stdout).not.toContain("\u001b");
    },
  );
});

test("flags may stand before the command", async () => {
  const dir = gatewayDir();
  const [before, behind] = [
    await runToEnd([...flags(dir), "render"]),
    await runToEnd(["render", ...flags(dir)]),
  ];
  expect(before).toEqual(behind);
  expect(before.status).toBe(0);
  const { stderr, status } = await runToEnd(["--once", "template", "path"]);
  expect([status, stderr]).toEqual([
    2,
    expect.stringContaining('Cannot read flag "--once": there is no such flag'),
  ]);
});

describe("exit status", () => {
  test.each([
    [["--no-such-flag"], "--no-such-flag"],
    [["--output-fil", "x"], "did you mean --output-file?"],
    [["--output-file"], "--output-file"],
    [["--ports", "http"], '"http"'],
    [["--wait", "soon"], '"soon"'],
    [["--listen", "here"], '"here"'],
    [["--docker-host", "foo://"], "foo"],
    [["rendr"], "did you mean render?"],
    [["--template-file=/dev/null", "--template=path"], "--template-file"],
    [["--reload-cmd", "a; b"], ";"],
  ])("2 for %p", async (words, named) => {
    const { status, stdout, stderr } = await runToEnd(words);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(named);
    expect(stderr.trimEnd().split("\n").length).toBeLessThan(3);
  });

  test("2 for what the environment has, a flag goes before it", async () => {
    const wrong = await runToEnd(["render"], { GATEWAY_PORTS: "http" });
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toContain('"http"');
    const words = ["render", ...flags(gatewayDir()), "--ports=9000"];
    expect((await runToEnd(words, { GATEWAY_PORTS: "http" })).status).toBe(0);
  });

  test("10 without Docker", async () => {
    const socket = join(gatewayDir(), "none.sock");
    const words = ["render", ...flags(gatewayDir(), `unix://${socket}`)];
    const { status, stderr } = await runToEnd(words);
    expect(status).toBe(10);
    expect(stderr).toContain(`Cannot reach Docker at "unix://${socket}"`);
    expect(stderr).toContain("start Docker");
  });

  test("11 for a template", async () => {
    const words = ["render", ...flags(gatewayDir()), "--template-file=/nowhere/own.hbs"];
    const { status, stderr } = await runToEnd(words);
    expect(status).toBe(11);
    expect(stderr).toContain("/nowhere/own.hbs");
  });

  test("12 for a configuration that HAProxy refuses", async () => {
    const dir = gatewayDir();
    const file = join(dir, "own.hbs");
    writeFileSync(file, "nonsense\n");
    const words = [...flags(dir), "--once", `--template-file=${file}`];
    const { status, stderr } = await runToEnd(words);
    expect(status).toBe(12);
    expect(stderr).toContain("unknown keyword 'nonsense'");
    expect(readdirSync(dir)).toEqual(["own.hbs"]);
  });

  test("13 without HAProxy", async () => {
    const words = ["render", ...flags(gatewayDir()), "--haproxy=/nowhere/haproxy"];
    const { status, stderr } = await runToEnd(words);
    expect(status).toBe(13);
    expect(stderr).toContain('Cannot find HAProxy "/nowhere/haproxy"');
    expect(stderr).toContain("apt install haproxy");
  });
});

/** As systemd runs a service whose standard error is the journal. */
const JOURNAL = [
  "sh",
  "-c",
  'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); export JOURNAL_STREAM; exec "$@"',
  "sh",
];

async function logOf(logFormat: "text" | "json", prefix: string[] = []): Promise<string[]> {
  const gateway = await startGateway({ dockerHost: engine.dockerHost, logFormat, prefix });
  const container = await run(engine, "cmd/one:1");
  const unrouted = await run(engine, "cmd/one:1", { labels: { "gateway.port": "x" } });
  await gateway.served("/cmd/one/", container.name);
  await gateway.until(() => expect(gateway.log()).toContain(unrouted.name));
  await gateway.stop();
  return gateway.log().trimEnd().split("\n");
}

describe("the log", () => {
  test("as text has a time before each line", async () => {
    const lines = await logOf("text");
    for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S/);
    expect(lines.some((line) => /Z routed \/cmd\/one -> /.test(line))).toBe(true);
    expect(lines.some((line) => /Z warn: not routed: container /.test(line))).toBe(true);
  });

  test("for the journal has priorities and no times, which the journal adds", async () => {
    const lines = await logOf("text", JOURNAL);
    for (const line of lines) {
      expect(line).toMatch(/^<[3-7]>/);
      expect(line).not.toMatch(/\d\d:\d\d:\d\d/);
    }
    expect(lines.some((line) => line.startsWith("<6>routed /cmd/one -> "))).toBe(true);
    expect(lines.some((line) => line.startsWith("<4>warn: not routed: container "))).toBe(true);
  });

  test("as JSON has an object on each line", async () => {
    const lines = (await logOf("json")).map((line) => JSON.parse(line) as Record<string, unknown>);
    for (const line of lines) {
      expect(line["time"]).toMatch(/^\d{4}-/);
      expect(["info", "warn"]).toContain(String(line["level"]));
      expect(line["message"]).toBeString();
    }
    const routed = lines.find((line) => line["event"] === "routed");
    expect(routed).toMatchObject({ route: "/cmd/one", level: "info" });
    expect(String(routed?.["server"])).toMatch(/^[\d.]+:8000$/);
  });
});

describe("output that is longer than a pipe takes at once", () => {
  const names = Array.from({ length: 2_000 }, (_, index) => `${"x".repeat(50)}-${10_000 + index}`);
  let played: PlayedEngine;
  beforeAll(() => {
    played = new PlayedEngine(join(gatewayDir(), "played.sock"));
    for (const [index, name] of names.entries()) {
      played.add({ id: `${index}`.padStart(64, "0"), name, image: "a", ip: "127.0.0.2", port: 80 });
    }
  });
  afterAll(() => played.stop());

  test.each([
    ["a slow reader gets all of it", "{ sleep 0.3; grep -c x; }", `${names.length}\n`],
    ["a reader that ends early is no failure", "grep -m1 x", `${names[0]}\n`],
  ])("%s", async (_, reader, stdout) => {
    const script = `set -o pipefail; "$0" complete "--line=x " served | ${reader}`;
    const child = Bun.spawn(["bash", "-c", script, await binary()], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: cleanEnvironment({ DOCKER_HOST: played.dockerHost }),
    });
    const outputs = [child.stdout, child.stderr].map((stream) => new Response(stream).text());
    expect(await Promise.all([child.exited, ...outputs])).toEqual([0, stdout, ""]);
  });

  test("a disk that is full is a failure", async () => {
    const script = `"$0" template path > /dev/full`;
    const child = Bun.spawnSync(["bash", "-c", script, await binary()], {
      env: cleanEnvironment(),
    });
    expect(child.exitCode).toBe(1);
  });
});

test("what lies in the working directory changes nothing", async () => {
  const dir = gatewayDir();
  writeFileSync(join(dir, ".env"), "GATEWAY_PORTS=http\n");
  writeFileSync(join(dir, "bunfig.toml"), 'preload = ["./planted.ts"]\n');
  writeFileSync(
    join(dir, "planted.ts"),
    'import { writeFileSync } from "node:fs"; writeFileSync("ran", "");\n',
  );
  const { status } = await runToEnd(["render", ...flags(gatewayDir())], {}, dir);
  expect(status).toBe(0);
  expect(readdirSync(dir)).not.toContain("ran");
  expect(readFileSync(join(dir, ".env"), "utf8")).toContain("http");
});
