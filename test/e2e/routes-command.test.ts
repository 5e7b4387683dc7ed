// `routes` with whatever is served, or nothing, on whatever terminal; and what it says without HAProxy.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { importImage } from "../lab/images.ts";
import { labels } from "../lab/labels.ts";
import { cellsOf, flagsOf, routesOf, statesOf } from "./asking.ts";
import { closeGateways, gatewayDir, startGateway } from "./gateway.ts";
import { isAlive } from "./processes.ts";
import { runToEnd } from "./program.ts";
import { runInTerminal } from "./terminal.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  for (const name of ["ask/one:1", "ask/many:1", "ask/late:1"]) {
    await importImage(engine, name, { expose: [8000] });
  }
});

afterEach(async () => {
  closeGateways();
  await removeAll(engine);
});
afterAll(closeGateways);

test("nothing is served", async () => {
  const gateway = await startGateway({ dockerHost: engine.dockerHost });
  await gateway.answers("/", 403);
  const flags = flagsOf(gateway, engine);
  expect(await runToEnd(["routes", ...flags])).toEqual({
    status: 0,
    stdout: "Nothing is served.\n",
    stderr: "",
  });
  const { stdout } = await runToEnd(["routes", "--json", ...flags]);
  expect(JSON.parse(stdout)).toEqual({ routes: [], notRouted: [], refusals: [] });
});

test("routes by host name are URLs", async () => {
  const flags = ["--domain=api.example.com"];
  const gateway = await startGateway({ dockerHost: engine.dockerHost, flags });
  await run(engine, "ask/one:1", { name: "named" });
  await gateway.until(async () => {
    const rows = await routesOf([...flagsOf(gateway, engine), ...flags]);
    expect(Object.keys(rows)).toContain("http://one.api.example.com/");
    expect(statesOf(rows["http://one.api.example.com/"])).toEqual({ named: "up" });
  });
});

test("networks that may use a route are no routes themselves", async () => {
  const gateway = await startGateway({ dockerHost: engine.dockerHost });
  const own = labels({ allow: "127.0.0.1,10.0.0.0/8", "headers.response.x-a": "1" });
  await run(engine, "ask/one:1", { name: "kept", labels: own });
  await gateway.served("/ask/one/", "kept");
  expect(Object.keys(await routesOf(flagsOf(gateway, engine)))).toEqual(["/ask/one"]);
});

test("a template without a map has its backends shown, and no other map's values", async () => {
  const dir = gatewayDir();
  const file = join(dir, "own.hbs");
  writeFileSync(join(dir, "words.map"), "/x /y\n");
  writeFileSync(
    file,
    `{{> global}}
{{> defaults}}
frontend f from _frontend
{{> frontend}}
    http-request set-header X-Word %[path,map(${dir}/words.map)]
    default_backend all
backend all from _backend
{{#each backends}}
{{#each servers}}
    server {{name}} {{address}}:{{port}} check
{{/each}}
{{/each}}
`,
  );
  const flags = [`--template-file=${file}`];
  const gateway = await startGateway({ dockerHost: engine.dockerHost, dir, flags });
  await run(engine, "ask/one:1", { name: "any" });
  await gateway.served("/", "any");
  const words = ["routes", ...flagsOf(gateway, engine), ...flags];
  // Its name is on disk a moment after it is served.
  await gateway.until(async () => {
    expect(cellsOf((await runToEnd(words)).stdout)).toEqual([
      expect.objectContaining({ ROUTE: "-", BACKEND: "all", CONTAINER: "any", STATE: "up" }),
    ]);
  });
});

test("on a terminal the backend is left out where there is no room for it", async () => {
  const gateway = await startGateway({ dockerHost: engine.dockerHost });
  await run(engine, "ask/one:1", { name: "shown" });
  await gateway.routed("/ask/one/", "shown");
  await gateway.confirmed();
  const words = ["routes", ...flagsOf(gateway, engine)];
  const heads: string[] = [];
  for (const columns of [120, 72, 40]) {
    const { screen, exited } = await runInTerminal(words, { columns });
    expect(await exited).toBe(0);
    const lines = screen.text().split("\n");
    expect(lines).toHaveLength(2);
    heads.push((lines[0] ?? "").replaceAll(/ +/g, " ").replace(/ S?T?A?$/, ""));
  }
  expect(heads).toEqual([
    "ROUTE BACKEND CONTAINER SERVER STATE SINCE REQUESTS ERRORS",
    "ROUTE CONTAINER SERVER STATE SINCE REQUESTS ERRORS",
    "ROUTE CONTAINER SERVER",
  ]);
});

describe("what is missing is told, with what to do", () => {
  test("no gateway has run there", async () => {
    const gateway = { output: join(gatewayDir(), "haproxy.cfg"), port: 80 };
    const { status, stdout, stderr } = await runToEnd(["routes", ...flagsOf(gateway, engine)]);
    expect([status, stdout]).toEqual([12, ""]);
    expect(stderr).toStartWith(`Cannot read "${gateway.output}": there is no such file`);
    expect(stderr).toContain("the flags that the gateway runs with");
  });

  test("the configuration is somebody else's", async () => {
    const output = join(gatewayDir(), "haproxy.cfg");
    writeFileSync(output, "global\n  stats socket /run/none.sock\n");
    const words = ["routes", ...flagsOf({ output, port: 80 }, engine)];
    const { status, stderr } = await runToEnd(words);
    expect(status).toBe(12);
    expect(stderr).toContain("the gateway did not write it");
    expect(stderr).toContain("the flags that the gateway runs with");
  });

  test("HAProxy is not there", async () => {
    const gateway = await startGateway({ dockerHost: engine.dockerHost });
    await gateway.answers("/", 403);
    const { master, worker } = await gateway.haproxy();
    await gateway.kill9();
    for (const pid of [master, worker]) process.kill(pid, "SIGKILL");
    await gateway.until(() => expect([master, worker].some(isAlive)).toBe(false));
    const { status, stdout, stderr } = await runToEnd(["routes", ...flagsOf(gateway, engine)]);
    expect([status, stdout]).toEqual([13, ""]);
    expect(stderr).toContain(`Cannot ask HAProxy at "${gateway.dir}/haproxy.admin.sock"`);
    expect(readdirSync(gateway.dir)).toContain("haproxy.cfg");
  });
});
