// Which ports of a container are connected to: those of databases by no one, others once and for requests.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { removeAll, run, type Container } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { explained, flagsOf } from "./asking.ts";
import { detailsOf } from "./details.ts";
import { closeGateways, startGateway, type Gateway } from "./gateway.ts";

setDefaultTimeout(90_000);

/** Notes each connection that it gets at a port, and every byte on it. */
function recorder(port: number): string[] {
  const note = "echo connection >>/tmp/seen; exec cat >>/tmp/seen";
  return ["sh", "-c", `touch /tmp/seen; exec nc -llll -p ${port} -e sh -c '${note}'`];
}

describe.each(haproxyVersions())("ports, HAProxy %s", (version) => {
  // What does not depend on HAProxy's version is tested once.
  const detail = detailsOf(version);
  let engine: Engine;
  let gateway: Gateway;

  beforeAll(async () => {
    engine = await sharedEngine();
    await importImage(engine, "ports/redis:7", { expose: [6379], cmd: recorder(6379) });
    await importImage(engine, "ports/odd:1", { expose: [7777], cmd: recorder(7777) });
    await importImage(engine, "ports/rabbit:3", {
      expose: [4369, 5671, 5672, 15_671, 15_672, 25_672],
      ports: [15_672, 5672],
    });
    await importImage(engine, "ports/web:1", { expose: [6379], ports: [6379] });
    gateway = await startGateway({ version, dockerHost: engine.dockerHost });
    await gateway.answers("/", 403);
  });

  afterEach(() => removeAll(engine));
  afterAll(closeGateways);

  test("nothing ever connects to a database, and to an unknown port once", async () => {
    const redis = await run(engine, "ports/redis:7");
    const reason =
      "6379 is Redis's port; label gateway.port=6379 if it does speak HTTP, label gateway.tcp=6379 to forward its bytes";
    const line = await gateway.logged(`not routed: container ${redis.name} `);
    expect(line).toMatchObject({ level: "info", reason });
    const odd = await run(engine, "ports/odd:1");
    await gateway.until(async () => expect(await seenBy(odd)).toStartWith("connection\n"));
    await checked(odd, 3);
    expect((await gateway.get("/ports/redis/")).status).toBe(403);
    // Not a single segment, be it of a check or of the gateway itself.
    expect(await tcp(redis)).toMatchObject({ InSegs: 0 });
    expect(await seenBy(redis)).toBe("");
    // That of the gateway itself. HAProxy resets a check before it is a connection; on a machine that
    // is busy for 40 ms just then, the kernel is sooner.
    const { PassiveOpens: connections } = await tcp(odd);
    expect(connections).toBeWithin(1, 3);
    expect(await seenBy(odd)).toBe("connection\n".repeat(connections ?? 0));
    const lines = await explained(redis.name, flagsOf(gateway, engine, version));
    expect(lines.at(-1)).toBe(`not routed  ${reason}`);
  });

  test("with the label it is routed", async () => {
    const labels = { "gateway.port": "6379" };
    const web = await run(engine, "ports/web:1", { labels });
    expect((await gateway.served("/ports/web/x", web.name)).target).toBe("/x");
    const redis = await run(engine, "ports/redis:7", { labels });
    await gateway.until(async () => {
      // What is no web server does not answer.
      await gateway.get("/ports/redis/x", { timeoutMs: 100 }).catch(() => undefined);
      expect(await seenBy(redis)).toContain("GET /x HTTP/1.1");
    });
  });

  test("with --ports it is routed", async () => {
    const own = await startGateway({
      version,
      dockerHost: engine.dockerHost,
      flags: ["--ports=6379"],
    });
    const web = await run(engine, "ports/web:1");
    await own.served("/ports/web/", web.name);
    await own.stop();
  });

  detail("of a broker's ports, the one of its web page is taken", async () => {
    const rabbit = await run(engine, "ports/rabbit:3");
    await gateway.routed("/ports/rabbit/", rabbit.name);
    await gateway.confirmed();
    expect(gateway.config()).toContain(`${await rabbit.ip()}:15672 `);
    expect(gateway.config()).not.toContain(`${await rabbit.ip()}:5672 `);
    const lines = await explained(rabbit.name, flagsOf(gateway, engine, version));
    expect(lines).toContain(
      "port       15672, the lowest that is exposed (4369 is Erlang's port, " +
        "5671 and 5672 are AMQP's ports, 15671 is RabbitMQ's port)",
    );
  });

  /** Waits for this many more checks of a container: HAProxy sends two segments for each. */
  async function checked(container: Container, times: number): Promise<void> {
    const { InSegs: before = 0 } = await tcp(container);
    await gateway.until(async () => {
      const { InSegs: now = 0 } = await tcp(container);
      expect(now).toBeGreaterThanOrEqual(before + 2 * times);
    }, 60_000);
  }
});

/** What a recorder noted. */
function seenBy(container: Container): Promise<string> {
  return container.exec(["cat", "/tmp/seen"]);
}

/** What a container's own network has counted. Source: RFC 4022, the objects of `tcp`. */
async function tcp(container: Container): Promise<Readonly<Record<string, number>>> {
  const text = await container.exec(["cat", "/proc/net/snmp"]);
  const [names = [], values = []] = text
    .split("\n")
    .filter((line) => line.startsWith("Tcp: "))
    .map((line) => line.split(" ").slice(1));
  return Object.fromEntries(names.map((name, index) => [name, Number(values[index])]));
}
