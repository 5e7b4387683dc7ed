// Real containers with the labels and variables of other proxies are served as these say.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { parseAnswer, removeAll, run, type Answer, type Container } from "../lab/containers.ts";
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { request } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import { freePort } from "../lab/ports.ts";
import { explained, flagsOf } from "./asking.ts";
import { detailsOf } from "./details.ts";
import { BRIEF_HOLD, closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { runToEnd } from "./program.ts";
import { AUTHORIZATION, SHA512 } from "../lab/labels.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  for (const name of ["acme/shop:1", "acme/api:1"]) {
    await importImage(engine, name, { expose: [8000] });
  }
});

afterAll(closeGateways);

describe.each(haproxyVersions())(`from other proxies, ${testFlavour()}, HAProxy %s`, (version) => {
  // What does not depend on HAProxy's version is tested once.
  const detail = detailsOf(version);
  let gateway: Gateway;

  async function start(...more: string[]): Promise<string[]> {
    const flags = [BRIEF_HOLD, ...more];
    gateway = await startGateway({ dockerHost: engine.dockerHost, version, flags });
    await gateway.answers("/", 403);
    return [...flagsOf(gateway, engine, version), ...flags];
  }

  function status(target: string, Host: string, more: Record<string, string> = {}) {
    return gateway.get(target, { headers: { Host, ...more }, timeoutMs: 1_000 });
  }

  /** Waits until a container answers. */
  function served(target: string, host: string, by: Container): Promise<Answer> {
    return gateway.until(async () => {
      const answer = await status(target, host);
      expect(answer.status).toBe(200);
      const parsed = parseAnswer(answer.body);
      expect(parsed.name).toBe(by.name);
      return parsed;
    });
  }

  /** Nobody is served at a host once its container is gone. */
  async function gone(container: Container, host: string): Promise<void> {
    await container.remove();
    await gateway.until(async () => expect((await status("/", host)).status).toBe(403));
  }

  afterEach(async () => {
    await removeAll(engine);
    await gateway.idle();
    await gateway.stop();
    closeGateways();
  });

  detail("the variables of nginx-proxy", async () => {
    const flags = await start();
    const shop = await run(engine, "acme/shop:1", {
      env: {
        VIRTUAL_HOST: "n.test",
        VIRTUAL_PATH: "/app",
        VIRTUAL_DEST: "/",
        SECRET: "s3",
      },
    });
    expect((await served("/app/x?y", "n.test", shop)).target).toBe("/x?y");
    expect((await status("/acme/shop/", "n.test")).status).toBe(403);
    const inside = await run(engine, "acme/api:1", {
      env: { VIRTUAL_HOST: "in.test", NETWORK_ACCESS: "intern" },
    });
    await gateway.until(async () => expect((await status("/", "in.test")).status).toBe(403));
    await gateway.logged(`container ${inside.name}: NETWORK_ACCESS="intern"`);
    const { stdout } = await runToEnd(["explain", shop.name, "--as-labels", ...flags]);
    expect(stdout.split("\n")).toEqual([
      `# container ${shop.name}: its labels for nginx-proxy, and its own`,
      "labels:",
      '  "gateway.enable": "true"',
      '  "gateway.host": "n.test"',
      '  "gateway.path": "/app"',
      '  "gateway.service": "n.test-app-38ff162d"',
      '  "gateway.strip": "true"',
      "",
    ]);
    const text = await explained(shop.name, flags);
    expect(text).toContain(
      "labels     those for nginx-proxy are read as labels of the gateway; --as-labels shows them",
    );
    expect(text).toContain("host       http://n.test/app, from VIRTUAL_HOST and VIRTUAL_PATH");
    await gone(shop, "n.test");
  });

  test("who has variables is never served at its image's path, also not as it starts", async () => {
    await start();
    const env = { VIRTUAL_HOST: "in.test", NETWORK_ACCESS: "internal" };
    const state = { isOver: false };
    const statuses: number[] = [];
    const asking = (async () => {
      while (!state.isOver) {
        const { port } = gateway;
        const asked = { port, target: "/acme/shop/", headers: { Host: "any.test" } };
        statuses.push((await request({ ...asked, timeoutMs: 20_000 })).status);
      }
    })();
    for (let count = 0; count < 3; count++) {
      const shop = await run(engine, "acme/shop:1", { env });
      await served("/", "in.test", shop);
      await gone(shop, "in.test");
    }
    state.isOver = true;
    await asking;
    expect(statuses.length).toBeGreaterThan(20);
    expect(statuses.filter((each) => each === 200)).toEqual([]);
  });

  test("Traefik's labels, with a password and a prefix that is stripped", async () => {
    await start();
    const shop = await run(engine, "acme/shop:1", {
      labels: {
        "traefik.http.routers.shop.rule": "Host(`t.test`) && PathPrefix(`/in`)",
        "traefik.http.routers.shop.middlewares": "users,bare",
        "traefik.http.middlewares.users.basicauth.users": `bob:${SHA512}`,
        "traefik.http.middlewares.bare.stripprefix.prefixes": "/in",
        "traefik.http.services.shop.loadbalancer.server.port": "8000",
      },
    });
    await gateway.until(async () => expect((await status("/in/x", "t.test")).status).toBe(401));
    const answer = await gateway.until(async () => {
      const found = await status("/in/x", "t.test", { Authorization: AUTHORIZATION });
      expect(found.status).toBe(200);
      return found;
    });
    expect(parseAnswer(answer.body).target).toBe("/x");
    const port = await freePort();
    const bytes = await run(engine, "acme/api:1", {
      labels: {
        "traefik.tcp.routers.db.rule": "HostSNI(`*`)",
        "traefik.tcp.routers.db.entrypoints": `tcp-${port}`,
        "traefik.tcp.services.db.loadbalancer.server.port": "8000",
      },
    });
    await gateway.logged(`routed tcp port ${port} `);
    await gateway.until(async () => {
      const { body } = await request({ port, target: "/" });
      expect(parseAnswer(body).name).toBe(bytes.name);
    });
    await gone(shop, "t.test");
  });

  detail("caddy-docker-proxy's labels, and a label of ours that wins", async () => {
    await start();
    const shop = await run(engine, "acme/shop:1", {
      labels: {
        caddy: "c.test",
        "caddy.reverse_proxy": "{{upstreams 8000}}",
        "caddy.header.X-From": "caddy",
        "gateway.headers.response.X-Own": "ours",
      },
    });
    await served("/x", "c.test", shop);
    const answer = await status("/x", "c.test");
    expect([answer.header("X-From"), answer.header("X-Own")]).toEqual(["caddy", "ours"]);
    await gone(shop, "c.test");
  });

  detail("--compat none reads none of them", async () => {
    await start("--compat", "none");
    const shop = await run(engine, "acme/shop:1", {
      labels: { caddy: "c.test", "traefik.enable": "false" },
      env: { VIRTUAL_HOST: "n.test" },
    });
    await served("/acme/shop/", "any.test", shop);
    expect((await status("/", "n.test")).status).toBe(403);
  });
});
