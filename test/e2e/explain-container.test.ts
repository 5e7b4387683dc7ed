// `explain` and a container: every decision with its reason, why it is not routed, how HAProxy has it.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { join } from "node:path";
import { create, removeAll, run, type Container } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import { explained, flagsOf, pairs, titleOf } from "./asking.ts";
import { closeGateways, gatewayDir, startGateway } from "./gateway.ts";
import { connect, createNetwork } from "./network.ts";

setDefaultTimeout(120_000);

let engine: Engine;
/** The flags where no gateway runs: nobody asks HAProxy. */
let flags: string[];

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "why/shop:1.2", { expose: [8000] });
  await importImage(engine, "why/bare:1");
  flags = flagsOf({ output: join(gatewayDir(), "haproxy.cfg"), port: 29_999 }, engine);
});

afterEach(() => removeAll(engine));
afterAll(closeGateways);

/** What is explained where no gateway runs. */
function explain(what: string, more: readonly string[] = flags): Promise<string[]> {
  return explained(what, more);
}

function title(container: Container, image = "why/shop:1.2"): string {
  return titleOf(container, image);
}

describe("a container that is routed", () => {
  test("is told with every decision, in order; by its name and by its ID", async () => {
    const container = await run(engine, "why/shop:1.2", { name: "shop-1" });
    const lines = await explain("shop-1");
    expect(lines).toEqual([
      `container  ${title(container)}`,
      "state      running",
      "path       /why/shop, from image why/shop:1.2",
      `address    ${await container.ip()}, on network bridge, the only one of its networks that this host reaches`,
      "port       8000, exposed, and one of --ports",
      "health     no HEALTHCHECK: it gets requests while its port answers",
      "route      /why/shop -> backend why:shop",
      "request    http://HOST/why/shop/x goes there as /x (the prefix is stripped)",
    ]);
    expect(await explain(container.id.slice(0, 8))).toEqual(lines);
    expect(await explain(container.id)).toEqual(lines);
  });

  test("paused", async () => {
    const container = await run(engine, "why/shop:1.2");
    await engine.docker.getContainer(container.id).pause();
    const said = pairs(await explain(container.name));
    expect(said["state"]).toBe("paused: it gets no requests");
    expect(said["route"]).toBe("/why/shop -> backend why:shop");
  });

  test("not healthy, and healthy", async () => {
    const container = await run(engine, "why/shop:1.2", { healthcheck: {} });
    const health = async (): Promise<string> =>
      pairs(await explain(container.name))["health"] ?? "";
    await eventually(async () => expect(await health()).toBe("unhealthy: it gets no requests"));
    await container.setHealthy(true);
    await eventually(async () => expect(await health()).toBe("healthy"));
  });

  test("without a label and an exposed port", async () => {
    const container = await run(engine, "why/bare:1");
    const said = pairs(await explain(container.name));
    expect(said["port"]).toBe("8000, then 80, nothing is exposed: --ports (8000, 80) are tried");
  });

  test("whose prefix is left on, and one that is younger", async () => {
    const wanted = { labels: { "gateway.strip": "false" } };
    const container = await run(engine, "why/shop:1.2", wanted);
    const request = async (name: string, more: readonly string[] = flags): Promise<string> =>
      pairs(await explain(name, more))["request"] ?? "";
    const from = "http://HOST/why/shop/x goes there as /why/shop/x (the prefix is left on";
    expect(await request(container.name)).toBe(`${from}, from label gateway.strip)`);
    expect(await request(container.name, [...flags, "--domain=ex.org"])).toMatch(/ as \/x$/);
    expect(pairs(await explain("/why/shop/a?b"))["sent as"]).toBe("/why/shop/a?b");
    const younger = await run(engine, "why/shop:1.2");
    expect(await request(younger.name)).toBe(
      `${from}, as the oldest container of the service has it)`,
    );
  });

  test("on two networks, the first of the rules that applies", async () => {
    await createNetwork(engine, "a-net");
    const container = await run(engine, "why/shop:1.2");
    await connect(engine, "a-net", container.id);
    const address = async (more: readonly string[] = []): Promise<string> =>
      pairs(await explain(container.name, [...flags, ...more]))["address"] ?? "";
    expect(await address()).toBe(
      `${await container.ip("bridge")}, on network bridge, Docker's default network`,
    );
    expect(await address(["--network=a-net"])).toBe(
      `${await container.ip("a-net")}, on network a-net, which --network names`,
    );
  });

  test("in the host's network, with a port of its own", async () => {
    const container = await run(engine, "why/bare:1", {
      hostNetwork: true,
      labels: { "gateway.port": "28111" },
      ports: [28_111],
    });
    const said = pairs(await explain(container.name));
    expect(said["address"]).toBe("127.0.0.1, it uses the host's network");
    expect(said["port"]).toBe("28111, label gateway.port names it");
  });

  test("by host name", async () => {
    const container = await run(engine, "why/shop:1.2");
    const more = [...flags, "--domain=api.example.com"];
    const said = pairs(await explain(container.name, more));
    expect(said["host"]).toBe("a name below api.example.com, from image why/shop:1.2");
    expect(said["request"]).toMatch(
      /^http:\/\/shop(-why)?\.api\.example\.com\/x goes there as \/x$/,
    );
  });
});

describe("a container that is not routed", () => {
  test.each([
    [
      "left out by its label",
      { labels: { "gateway.enable": "false" } },
      "label gateway.enable is false",
    ],
    [
      "with a bad label",
      { labels: { "gateway.port": "http" } },
      'label gateway.port="http" is not a port number (1 to 65535)',
    ],
    ["without a network", { network: "none" }, "it has no network (network mode none)"],
    [
      "on the host without a port",
      { hostNetwork: true },
      "it uses the host's network and none of its ports is known (set label gateway.port)",
    ],
  ])("%s", async (_, options, reason) => {
    const container = await run(engine, "why/bare:1", options);
    const lines = await explain(container.name);
    expect(lines[0]).toBe(`container   ${title(container, "why/bare:1")}`);
    expect(lines[1]).toBe("state       running");
    expect(lines.at(-1)).toBe(`not routed  ${reason}`);
  });

  test("stopped, and never started, by its name and by its ID", async () => {
    const stopped = await run(engine, "why/shop:1.2");
    await stopped.stop();
    expect(await explain(stopped.name)).toEqual([
      `container   ${title(stopped)}`,
      "not routed  it does not run (Docker says: exited)",
    ]);
    expect(await explain(stopped.id.slice(0, 12))).toEqual(await explain(stopped.name));
    const created = await create(engine, "why/shop:1.2");
    expect((await explain(created.name)).at(-1)).toBe(
      "not routed  it does not run (Docker says: created)",
    );
  });

  test("of an image without a name", async () => {
    const { Id } = await engine.docker.getImage("why/bare:1").inspect();
    for (const image of [Id, Id.slice("sha256:".length, "sha256:".length + 12)]) {
      const container = await run(engine, image);
      const reason = `image ${image} is a bare ID, which has no path`;
      expect((await explain(container.name)).at(-1)).toBe(`not routed  ${reason}`);
      expect((await explain(image))[0]).toBe(`container   ${title(container, image)}`);
      await container.remove();
    }
  });
});

describe.each(haproxyVersions())("what HAProxy %s says of it", (version) => {
  afterEach(closeGateways);

  test("up, down and draining, and nothing where it does not answer", async () => {
    const gateway = await startGateway({ version, dockerHost: engine.dockerHost });
    const own = flagsOf(gateway, engine, version);
    const live = async (container: Container): Promise<string[]> =>
      (await explain(container.name, own)).filter((line) => line.startsWith("haproxy "));
    const up = await run(engine, "why/shop:1.2", { name: "live-up" });
    await gateway.served("/why/shop/", "live-up");
    const down = await run(engine, "why/shop:1.2", { labels: { "gateway.port": "7777" } });
    const both = await run(engine, "why/bare:1");
    await gateway.served("/why/bare/");
    const paused = await run(engine, "why/shop:1.2");
    await gateway.until(async () => expect((await live(paused))[0]).toContain("up for"));
    await engine.docker.getContainer(paused.id).pause();

    await gateway.until(async () => {
      expect(await live(up)).toEqual([
        expect.stringMatching(/^haproxy +up for \d+ s, \d+ requests?$/),
      ]);
      expect(await live(down)).toEqual([
        expect.stringMatching(/^haproxy +down for \d+ s: its port does not answer$/),
      ]);
      expect(await live(both)).toEqual([
        expect.stringMatching(/^haproxy +port 8000: up for \d+ s, [1-9]\d* requests?$/),
        expect.stringMatching(/^haproxy +port 80: down for \d+ s: its port does not answer$/),
      ]);
      expect(await live(paused)).toEqual([
        expect.stringMatching(/^haproxy +draining for \d+ s, \d+ requests$/),
      ]);
    });

    // What is not running has no server; what the gateway does not know has none yet.
    await down.stop();
    await gateway.until(async () => expect(await live(down)).toEqual([]));
    await gateway.kill9();
    const late = await run(engine, "why/shop:1.2");
    expect(await live(late)).toEqual([
      "haproxy    has no server of it (yet): is the gateway running?",
    ]);

    const whole = await explain(up.name, own);
    const { master, worker } = await gateway.haproxy();
    for (const pid of [master, worker]) process.kill(pid, "SIGKILL");
    await gateway.until(async () => {
      expect(await explain(up.name, own)).toEqual(
        whole.filter((line) => !line.startsWith("haproxy ")),
      );
    });
  });
});
