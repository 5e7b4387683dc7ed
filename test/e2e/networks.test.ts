// Which of a container's addresses and ports are served, also when they change while it runs.

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
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { importImage } from "../lab/images.ts";
import { BRIEF_HOLD, closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { connect, createNetwork, disconnect } from "./network.ts";
import { freePort } from "../lab/ports.ts";

setDefaultTimeout(120_000);

/** Its server on port 80 calls itself `second`. */
const TWO_SERVERS = [
  "sh",
  "-c",
  "trap 'exit 0' TERM; nc -llll -p 8000 -e /lab/serve.sh & LAB_NAME=second nc -llll -p 80 -e /lab/serve.sh & wait",
];

describe(`addresses and ports, ${testFlavour()}`, () => {
  let engine: Engine;
  let gateway: Gateway;
  // Docker's default network is called otherwise in Podman.
  const standard = testFlavour() === "podman" ? "podman" : "bridge";

  beforeAll(async () => {
    engine = await sharedEngine();
    await importImage(engine, "net/exposed:1", { expose: [8000] });
    await importImage(engine, "net/bare:1");
    gateway = await startGateway({ dockerHost: engine.dockerHost, flags: [BRIEF_HOLD] });
    await gateway.answers("/", 403);
  });

  afterEach(async () => {
    await removeAll(engine);
    await gateway.idle();
  });
  afterAll(closeGateways);

  /** Waits for the one line that says why a container is not routed. */
  async function rejected(container: Container, reason: string): Promise<void> {
    // Podman's names of images have a registry.
    const start = new RegExp(`^not routed: container ${container.name} \\(image \\S+\\): (.*)$`);
    const { message } = await gateway.logged(start);
    expect(start.exec(message)?.[1]).toBe(reason);
  }

  /** Waits until the container is served and its server is this one. */
  async function servedAt(container: Container, path: string, target: string): Promise<void> {
    const server = new RegExp(` server ${container.id.slice(0, 12)} (\\S+) `);
    await gateway.until(() => expect(server.exec(gateway.config())?.[1]).toBe(target));
    await gateway.served(path, container.name);
  }

  describe("of two networks", () => {
    let container: Container;

    async function runInBoth(labels: Record<string, string> = {}): Promise<void> {
      for (const name of ["aaa", "zzz"]) await createNetwork(engine, name);
      container = await run(engine, "net/exposed:1", { network: "aaa", labels });
      await connect(engine, "zzz", container.id);
    }

    test("the first by name", async () => {
      await runInBoth();
      await servedAt(container, "/net/exposed/", `${await container.ip("aaa")}:8000`);
    });

    test("the default one before others", async () => {
      await runInBoth();
      await connect(engine, standard, container.id);
      await servedAt(container, "/net/exposed/", `${await container.ip(standard)}:8000`);
    });

    test("the one of label gateway.network", async () => {
      await runInBoth({ "gateway.network": "zzz" });
      await servedAt(container, "/net/exposed/", `${await container.ip("zzz")}:8000`);
    });

    test("none, where the label names one that it is not in", async () => {
      await runInBoth({ "gateway.network": "nowhere" });
      await rejected(container, "it is not on network nowhere (label gateway.network)");
      await gateway.answers("/net/exposed/", 403);
    });

    test("the one of --network, and the label before it", async () => {
      const own = await startGateway({
        dockerHost: engine.dockerHost,
        flags: ["--network", "zzz"],
      });
      await runInBoth();
      const labelled = await run(engine, "net/exposed:1", {
        network: "aaa",
        labels: { "gateway.network": "aaa" },
      });
      await connect(engine, "zzz", labelled.id);
      const addresses = [await container.ip("zzz"), await labelled.ip("aaa")];
      await own.until(() => {
        const found = own.config().matchAll(/ server \S+ ([\d.]+):8000 /g);
        expect(new Set([...found].map((match) => match[1]))).toEqual(new Set(addresses));
      });
      await own.served("/net/exposed/", container.name);
      await own.served("/net/exposed/", labelled.name);
      await own.stop();
    });
  });

  test("connected and disconnected while it runs", async () => {
    for (const name of ["here", "there"]) await createNetwork(engine, name);
    const container = await run(engine, "net/exposed:1", { network: "here" });
    await servedAt(container, "/net/exposed/", `${await container.ip("here")}:8000`);
    await connect(engine, "there", container.id);
    await disconnect(engine, "here", container.id);
    await servedAt(container, "/net/exposed/", `${await container.ip("there")}:8000`);

    await disconnect(engine, "there", container.id);
    await gateway.answers("/net/exposed/", 403);
    await rejected(container, "it has no address");
    await connect(engine, "here", container.id);
    await servedAt(container, "/net/exposed/", `${await container.ip("here")}:8000`);
  });

  test("the host's network, with its port in a label", async () => {
    const [port, unknown] = [await freePort(), await freePort()];
    const container = await run(engine, "net/bare:1", {
      hostNetwork: true,
      ports: [port],
      labels: { "gateway.port": String(port) },
    });
    const silent = await run(engine, "net/bare:1", { hostNetwork: true, ports: [unknown] });
    await servedAt(container, "/net/bare/", `127.0.0.1:${port}`);
    await rejected(
      silent,
      "it uses the host's network and none of its ports is known (set label gateway.port)",
    );
    const self = await run(engine, "net/exposed:1", {
      hostNetwork: true,
      ports: [unknown + 1],
      labels: { "gateway.port": String(gateway.port) },
    });
    await rejected(self, `port ${gateway.port} of the host is the gateway's own`);
  });

  test("another container's network", async () => {
    const owner = await run(engine, "net/exposed:1");
    const guest = await run(engine, "net/bare:1", {
      networkOf: owner.name,
      ports: [9000],
      labels: { "gateway.port": "9000" },
    });
    await servedAt(guest, "/net/bare/", `${await owner.ip()}:9000`);
    await servedAt(owner, "/net/exposed/", `${await owner.ip()}:8000`);
  });

  describe("where nothing is exposed", () => {
    test("port 8000", async () => {
      const container = await run(engine, "net/bare:1", { ports: [8000] });
      await gateway.served("/net/bare/", container.name);
    });

    test("port 80", async () => {
      const container = await run(engine, "net/bare:1", { ports: [80] });
      await gateway.served("/net/bare/", container.name);
      await gateway.logged(`routed /net/bare -> ${await container.ip()}:8000 or 80 (container`);
    });

    test("the first one where both are live", async () => {
      const container = await run(engine, "net/bare:1", { cmd: TWO_SERVERS });
      await gateway.served("/net/bare/", container.name);
      for (let count = 0; count < 10; count++) {
        expect((await gateway.get("/net/bare/")).header("X-Container")).toBe(container.name);
      }
    });
  });
});
