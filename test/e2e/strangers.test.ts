// No request ever reaches another service's container, whatever becomes of Docker and of the gateway.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, type Container } from "../lab/containers.ts";
import { answers, startEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { connect, eventually, request } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import {
  closeGateways,
  gatewayDir,
  startGateway,
  type Gateway,
  type GatewayOptions,
} from "./gateway.ts";
import { createNetwork } from "./network.ts";
import { runToEnd } from "./program.ts";

setDefaultTimeout(120_000);

const SERVICES = 12;
/** So many clients, each with its share of the services. */
const CLIENTS = 3;
/** Requests wait for containers that are to come back. */
const PATIENCE_MS = 20_000;

let engine: Engine;
let containers: Container[];
let gateway: Gateway;
let asking: Asking | undefined;

beforeAll(async () => {
  engine = await startEngine();
  containers = [];
  for (let index = 0; index < SERVICES; index++) {
    const name = `s${index}`;
    await importImage(engine, `own/${name}:1`);
    containers.push(await run(engine, `own/${name}:1`, { name, restart: "always" }));
  }
});

afterEach(async () => {
  await asking?.stop();
  asking = undefined;
  closeGateways();
  if (!(await answers(engine.socket))) await engine.startDaemon();
});

afterAll(() => engine.stop());

interface Told {
  /** Answers of another container than the one that was asked for. */
  readonly wrong: string[];
  /** How many answers were right. */
  right: number;
  /** How many were none, or not of a container. */
  none: number;
}

/** Asks all services without a pause. */
class Asking {
  readonly told: Told = { wrong: [], right: 0, none: 0 };
  readonly #end = new AbortController();
  readonly #clients: Promise<void>[];

  constructor(
    private readonly port: number,
    names: readonly string[],
  ) {
    this.#clients = Array.from({ length: CLIENTS }, (_, client) =>
      this.#ask(names.filter((__, index) => index % CLIENTS === client)),
    );
  }

  async stop(): Promise<Told> {
    this.#end.abort();
    await Promise.all(this.#clients);
    return this.told;
  }

  async #ask(names: readonly string[]): Promise<void> {
    while (!this.#end.signal.aborted) {
      for (const name of names) await this.#askOne(name);
    }
  }

  async #askOne(name: string): Promise<void> {
    const question = { port: this.port, target: `/own/${name}/`, timeoutMs: PATIENCE_MS };
    const response = await request(question).catch(() => undefined);
    const answered = response?.status === 200 ? response.header("X-Container") : undefined;
    if (answered === undefined) this.told.none++;
    else if (answered === name) this.told.right++;
    else this.told.wrong.push(`${name} was answered by ${answered}`);
  }
}

/** Starts a gateway, waits until it serves all, and asks from then on. */
async function serve(options: GatewayOptions): Promise<void> {
  gateway = await startGateway({ dockerHost: engine.dockerHost, ...options });
  await allServed();
  await gateway.confirmed();
  ask();
}

function ask(): void {
  asking = new Asking(
    gateway.port,
    containers.map(({ name }) => name),
  );
}

async function allServed(): Promise<void> {
  for (const { name } of containers) await gateway.served(`/own/${name}/`, name);
}

/** Starts another gateway in the place of the one before. */
async function startNext(options: GatewayOptions): Promise<void> {
  const { dir, port } = gateway;
  gateway = await startGateway({ dockerHost: engine.dockerHost, ...options, dir, port });
}

/** Waits until all are served again after Docker is back, and tells how all requests went. */
async function told(): Promise<Told> {
  await allServed();
  if (asking === undefined) throw new Error("nobody asks");
  return asking.stop();
}

/** Makes a network in which every container gets the same address. Returns what to run one with. */
async function oneAddress() {
  await createNetwork(engine, "own");
  const { IPAM } = await engine.docker.getNetwork("own").inspect();
  const subnet = String(IPAM?.Config?.[0]?.["Subnet"]);
  await importImage(engine, "own/first:1");
  await importImage(engine, "own/second:1");
  const at = { IPAMConfig: { IPv4Address: subnet.replace(/\d+\/\d+$/, "77") } };
  return { network: "own", create: { NetworkingConfig: { EndpointsConfig: { own: at } } } };
}

/** The addresses of all containers, in their order. */
function addresses(): Promise<string[]> {
  return Promise.all(containers.map((container) => container.ip()));
}

/** Ends all containers behind Docker's back. Docker is not there. */
async function endAll(pids: readonly number[]): Promise<void> {
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await eventually(() => expect(pids.some((pid) => existsSync(`/proc/${pid}`))).toBe(false));
}

/** The servers that HAProxy may send requests to, as its configuration on disk says. */
function enabled(): string[] {
  return gateway
    .config()
    .split("\n")
    .filter((line) => /^ {4}server (?!_wait )/.test(line) && !line.includes(" disabled"));
}

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  test("Docker is killed, and starts all containers anew at other addresses", async () => {
    await serve({ version });
    const before = await addresses();
    const [first] = await Promise.all(
      containers.slice(0, 1).map((container) => container.inspect()),
    );
    await engine.stopDaemon("SIGKILL");
    // Without Docker they go on. One that ends is out; nobody else knows of it.
    await allServed();
    process.kill(Number(first?.State.Pid), "SIGKILL");
    await gateway.logged("ended while Docker cannot be asked: s0; no requests go there");
    await engine.startDaemon();
    const { wrong, right } = await told();
    expect(wrong).toEqual([]);
    expect(right).toBeGreaterThan(SERVICES);
    // Else this showed nothing.
    expect(await addresses()).not.toEqual(before);
  });

  test("Docker is stopped with all its containers, and starts again", async () => {
    await serve({ version });
    await engine.stopDaemon();
    await eventually(() => expect(enabled()).toEqual([]));
    await engine.startDaemon();
    expect((await told()).wrong).toEqual([]);
  });

  test("Docker is killed, and the gateway too; the next gateway starts before Docker", async () => {
    await serve({ version });
    await engine.stopDaemon("SIGKILL");
    await gateway.kill9();
    await startNext({ version });
    await gateway.logged(/^took over HAProxy/);
    await allServed();
    await engine.startDaemon();
    expect((await told()).wrong).toEqual([]);
  });

  test.each<[string, (text: string) => string, RegExp]>([
    ["is torn", (text) => text.slice(0, text.length / 2), /owners is damaged or missing: nobody/],
    ["is of another boot", (text) => text.replace(/^scope \S+/m, "scope 0-0-0"), /^ended while/],
  ])(
    "what is known of the containers %s when the gateway starts without Docker",
    async (_, damage, line) => {
      // Until then all are refused at once. Requests that wait are in the other tests.
      const options = { version, flags: ["--hold", "1s"] };
      await serve(options);
      await engine.stopDaemon("SIGKILL");
      await gateway.kill9();
      await asking?.stop();
      const file = gateway.output.replace(/\.cfg$/, ".owners");
      writeFileSync(file, damage(readFileSync(file, "utf8")));
      await startNext(options);
      await eventually(async () => {
        for (const { name } of containers) {
          expect((await gateway.get(`/own/${name}/`)).status).toBe(503);
        }
      });
      await eventually(() => expect(enabled()).toEqual([]));
      await gateway.logged(line);
      ask();
      await engine.startDaemon();
      expect((await told()).wrong).toEqual([]);
    },
  );

  test("containers end while neither runs: a HAProxy of its own starts without them", async () => {
    const options = { version, flags: ["--hold", "60s"] };
    await serve(options);
    const inspected = await Promise.all(containers.map((container) => container.inspect()));
    await engine.stopDaemon("SIGKILL");
    await asking?.stop();
    // It takes HAProxy with it.
    await gateway.stop();
    await endAll(inspected.map(({ State }) => State.Pid));
    await startNext(options);
    await gateway.logged(/^HAProxy starts without all servers: their containers have ended/);
    await gateway.logged(/^started HAProxy/);
    await gateway.logged(/^ended while Docker cannot be asked/);
    // Requests wait for them, until Docker has started them again.
    ask();
    await engine.startDaemon();
    const { wrong, none } = await told();
    expect({ wrong, none }).toEqual({ wrong: [], none: 0 });
  });

  test("with live-restore nothing changes for anybody", async () => {
    const config = join(engine.dir, "daemon.json");
    writeFileSync(config, JSON.stringify({ "live-restore": true }));
    try {
      await engine.restartDaemon();
      await serve({ version });
      await engine.stopDaemon("SIGKILL");
      await allServed();
      await engine.startDaemon();
      await eventually(() => expect(gateway.count("connected to Docker")).toBe(2));
      const { wrong, none } = await told();
      expect({ wrong, none }).toEqual({ wrong: [], none: 0 });
      expect(gateway.count("ended while Docker")).toBe(0);
    } finally {
      writeFileSync(config, "{}");
      await engine.restartDaemon();
    }
  });

  test("a new container takes an address at once", async () => {
    const options = await oneAddress();
    let last = await run(engine, "own/first:1", { ...options, name: "first" });
    gateway = await startGateway({ dockerHost: engine.dockerHost, version });
    await gateway.served("/own/first/", "first");
    // One client each, as they wait for the container of theirs.
    asking = new Asking(gateway.port, ["first", "second", "first"]);
    const counted = asking.told;
    for (const name of ["second", "first", "second", "first"]) {
      await last.remove();
      const before = counted.right;
      last = await run(engine, `own/${name}:1`, { ...options, name });
      await gateway.until(() => expect(counted.right).toBeGreaterThan(before));
    }
    const { wrong, right } = await asking.stop();
    await last.remove();
    await engine.docker.getNetwork("own").remove();
    expect(wrong).toEqual([]);
    expect(right).toBeGreaterThan(CLIENTS);
  });

  test("a new container takes an address, and a client of before a reload is still asking", async () => {
    const options = await oneAddress();
    const first = await run(engine, "own/first:1", { ...options, name: "first" });
    const dir = gatewayDir();
    const template = join(dir, "own.hbs");
    const printed = await runToEnd(["template", "path"]);
    writeFileSync(template, printed.stdout);
    const flags = ["--template-file", template];
    gateway = await startGateway({ dockerHost: engine.dockerHost, version, dir, flags });
    await gateway.served("/own/first/", "first");
    const client = await connect({ port: gateway.port });
    client.send("GET /own/first/ HTTP/1.1\r\nHost: a\r\n");
    writeFileSync(template, `${printed.stdout}\nuserlist extra\n`);
    gateway.signal("SIGHUP");
    await gateway.logged(/^reload: .*extra/);
    await first.remove();
    const second = await run(engine, "own/second:1", { ...options, name: "second" });
    await gateway.served("/own/second/", "second");
    client.send("\r\n");
    expect((await client.response()).status).toBe(503);
    client.close();
    await second.remove();
    await engine.docker.getNetwork("own").remove();
  });
});
