// A container is known before it runs: its requests wait, nothing is sent to it, and it is served as soon
// as it answers.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PARTIALS, TEMPLATES } from "../../src/template/built-in.ts";
import { startApp, type App } from "../lab/app.ts";
import { create, removeAll } from "../lab/containers.ts";
import { sharedEngine, testFlavour } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { connect, request, type RawConnection } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import { BRIEF_HOLD, closeGateways, gatewayDir, startGateway, type Gateway } from "./gateway.ts";
import { ask } from "./running-haproxy.ts";
import { Stage, type Part } from "./stage.ts";

setDefaultTimeout(120_000);

describe.each(haproxyVersions())("a played Engine, HAProxy %s", (version) => {
  let stage: Stage;
  let gateway: Gateway;
  let app: App;
  /** How often somebody connected to the container that is about to start. */
  let connections: number;
  let door: Bun.TCPSocketListener;
  const open: RawConnection[] = [];

  beforeEach(async () => {
    stage = new Stage();
    app = await startApp();
    connections = 0;
    door = Bun.listen({
      hostname: "127.0.0.9",
      port: 0,
      socket: {
        open: () => void connections++,
        data: (socket) => {
          socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        },
      },
    });
  });

  afterEach(async () => {
    for (const connection of open.splice(0)) connection.close();
    closeGateways();
    door.stop(true);
    await stage.stop();
    await app.stop();
  });

  async function serving(...flags: readonly string[]): Promise<void> {
    gateway = await startGateway({ version, dockerHost: stage.dockerHost, flags });
    stage.start("other", { image: "other", ip: app.address, port: app.port });
    await gateway.answers("/other", 200);
    await gateway.logged(/^routed \/other/);
  }

  /** A container that is about to start, where somebody counts the connections. */
  const coming = (): Part => ({ image: "foo", ip: "127.0.0.9", port: door.port });

  async function send(head: string): Promise<RawConnection> {
    const connection = await connect({ port: gateway.port, timeoutMs: 30_000 });
    open.push(connection);
    connection.send(head);
    return connection;
  }

  /** How HAProxy's last checks of the container that is about to start went. */
  async function checks(): Promise<(string | undefined)[]> {
    const [head = "", ...lines] = (await ask(gateway, "show stat -1 4 -1")).split("\n");
    const names = head.replace("# ", "").split(",");
    return lines
      .map((line) => new Map(line.split(",").map((value, index) => [names[index], value])))
      .filter((row) => row.get("addr") === `127.0.0.9:${door.port}`)
      .map((row) => row.get("check_status"));
  }

  const GET = "GET /foo HTTP/1.1\r\nHost: x\r\n\r\n";
  const POST = "POST /foo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody";

  test.each([
    ["was inspected when it was created", 0],
    ["gives no answer before it runs", 3_000],
  ])("one that %s", async (_, patience) => {
    await serving();
    stage.patienceFor.set("one", patience);
    stage.announce("one", coming());
    await gateway.until(async () => {
      const waiting = await send(GET);
      // 403 comes at once.
      const answer = await Promise.race([waiting.response(), Bun.sleep(100)]);
      expect(answer?.status).toBeUndefined();
    });
    const waiting = [...open.slice(-1), await send(POST)];
    // HAProxy would check it every 200 ms. Such a connection is never accepted: HAProxy is asked.
    await Bun.sleep(600);
    expect(connections).toBe(0);
    expect(await checks()).toEqual([""]);
    stage.patienceFor.clear();
    stage.start("one", coming());
    for (const each of waiting) expect((await each.response()).status).toBe(200);
    expect(gateway.count(/^reload: /)).toBeLessThanOrEqual(1);
  });

  test("one that takes a reload: that is done before it runs, and nothing is sent to it", async () => {
    const template = join(gatewayDir(), "mine.hbs");
    // A line of its own makes each service a reload.
    writeFileSync(
      template,
      TEMPLATES.path.replace(
        "{{> backends}}",
        PARTIALS["backends"]?.replace("{{> unanswered}}", "{{> unanswered}}\n    fullconn 100") ??
          "",
      ),
    );
    await serving(`--template-file=${template}`);
    const before = gateway.count(/^reload: /);
    stage.announce("one", coming());
    await gateway.until(() => expect(gateway.count(/^reload: /)).toBe(before + 1));
    await Bun.sleep(600);
    expect(connections).toBe(0);
    expect(await checks()).toEqual([""]);
    stage.start("one", coming());
    await gateway.answers("/foo", 200);
    await gateway.logged(/^routed \/foo/);
    expect(gateway.count(/^reload: /)).toBe(before + 1);
  });

  test("where each change is a reload it is known only once it runs", async () => {
    await serving("--always-reload");
    const before = gateway.count(/^reload: /);
    stage.announce("one", coming());
    await Bun.sleep(600);
    expect([connections, gateway.count(/^reload: /)]).toEqual([0, before]);
    stage.start("one", coming());
    await gateway.answers("/foo", 200);
    await gateway.logged(/^routed \/foo/);
    expect(gateway.count(/^reload: /)).toBe(before + 1);
  });

  test("others of its service serve on", async () => {
    await serving();
    stage.start("first", { image: "foo", ip: app.address, port: app.port });
    await gateway.answers("/foo", 200);
    stage.announce("one", coming());
    for (let count = 0; count < 30; count++) {
      expect((await gateway.get("/foo")).status).toBe(200);
      await Bun.sleep(20);
    }
    expect(connections).toBe(0);
  });

  test("one that has ended before it could be inspected is unavailable, not unknown", async () => {
    await serving(BRIEF_HOLD);
    stage.patienceFor.set("one", 1_000);
    stage.announce("one", coming());
    await gateway.answers("/foo", 503);
    stage.start("one", coming());
    // Docker has it that it is to be started again.
    stage.change("one", { status: "restarting", ip: "" });
    stage.tellNetwork("one", "disconnect");
    stage.tell("one", "die");
    // Until after the Engine has answered.
    for (let count = 0; count < 40; count++) {
      expect((await gateway.get("/foo")).status).toBe(503);
      await Bun.sleep(50);
    }
    expect(connections).toBe(0);
  });

  test("one that does not start after all leaves nothing, and nor do a hundred", async () => {
    await serving(BRIEF_HOLD);
    for (let count = 0; count < 100; count++) {
      const name = `never-${count}`;
      stage.announce(name, { ...coming(), image: name });
      await Bun.sleep(20);
      stage.tellNetwork(name, "disconnect");
      stage.drop(name);
      stage.tell(name, "destroy");
    }
    await gateway.answers("/never-99", 403);
    await gateway.answers("/never-0", 403);
    await gateway.until(() => expect(gateway.config()).not.toContain("never-"));
    // One began it all.
    expect(gateway.count(/^reload: /)).toBeLessThanOrEqual(2);
    const told = gateway.lines().filter(({ event }) => event !== "reload");
    expect(told.filter(({ message }) => message.includes("never-"))).toEqual([]);
    expect(connections).toBe(0);
    expect((await gateway.get("/other")).status).toBe(200);
  });
});

/** So many containers are started until one is known before its start returns. */
const ROUNDS = 5;

describe.each(haproxyVersions())(`${testFlavour()}, HAProxy %s`, (version) => {
  afterEach(async () => {
    await removeAll(await sharedEngine());
    closeGateways();
  });

  test("a request that comes before a new container runs is answered by it", async () => {
    const engine = await sharedEngine();
    const gateway = await startGateway({ version, dockerHost: engine.dockerHost });
    await gateway.answers("/starting/", 403);
    // On a busy machine a start may return before anybody else has had its turn.
    const known = new Set<number>();
    for (let round = 0; round < ROUNDS && known.size === 0; round++) {
      const image = `starting/new-${round}`;
      await importImage(engine, `${image}:1`, { expose: [8000] });
      const container = await create(engine, `${image}:1`);
      const asked: Promise<number>[] = [];
      const state = { runs: false };
      const starting = container.start().then(() => (state.runs = true));
      while (!state.runs) {
        const { port } = gateway;
        const target = `/${image}/`;
        asked.push(request({ port, target, timeoutMs: 10_000 }).then(({ status }) => status));
        await Bun.sleep(5);
      }
      await starting;
      const statuses = await Promise.all(asked);
      // Some come before Docker tells of the container. All of them come before its start has returned.
      for (const status of statuses.slice(statuses.lastIndexOf(403) + 1)) known.add(status);
    }
    expect(known).toEqual(new Set([200]));
  });

  test("a container that cannot start leaves nothing", async () => {
    const engine = await sharedEngine();
    await importImage(engine, "starting/never:1", { expose: [8000] });
    const flags = [BRIEF_HOLD];
    const gateway = await startGateway({ version, dockerHost: engine.dockerHost, flags });
    await gateway.answers("/starting/", 403);
    const container = await create(engine, "starting/never:1", { cmd: ["/no/such/program"] });
    const failed = await container.start().then(
      () => false,
      () => true,
    );
    expect(failed).toBe(true);
    await gateway.answers("/starting/never/", 403);
    await gateway.until(() => expect(gateway.config()).not.toContain("starting"));
    // The one that began it all.
    expect(gateway.count(/^reload: /)).toBeLessThanOrEqual(1);
  });
});
