// Labels say where containers are served: hosts, paths, services, other prefixes, whose route it is.

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
import { importImage } from "../lab/images.ts";
import { explained, flagsOf, pairs, routesOf, statesOf } from "./asking.ts";
import { detailsOf } from "./details.ts";
import { BRIEF_HOLD, closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { runToEnd } from "./program.ts";
import { labels } from "../lab/labels.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  for (const name of ["acme/shop:1", "acme/api:1", "acme/blog:1"]) {
    await importImage(engine, name, { expose: [8000] });
  }
});

afterAll(closeGateways);

/** Waits until a container answers a request of a host. */
function served(gateway: Gateway, host: string, target: string, by: Container): Promise<Answer> {
  return gateway.until(async () => {
    const { status, body } = await gateway.get(target, { headers: { Host: host }, timeoutMs: 500 });
    expect(status).toBe(200);
    const answer = parseAnswer(body);
    expect(answer.name).toBe(by.name);
    return answer;
  });
}

async function explain(what: string, flags: readonly string[]): Promise<Record<string, string>> {
  return pairs(await explained(what, flags));
}

describe.each(haproxyVersions())(`places by label, ${testFlavour()}, HAProxy %s`, (version) => {
  // What does not depend on HAProxy's version is tested once.
  const detail = detailsOf(version);
  let gateway: Gateway;

  async function start(...flags: string[]): Promise<string[]> {
    const all = [BRIEF_HOLD, ...flags];
    gateway = await startGateway({ dockerHost: engine.dockerHost, version, flags: all });
    await gateway.answers("/", 403);
    return [...flagsOf(gateway, engine, version), ...flags];
  }

  afterEach(async () => {
    await removeAll(engine);
    await gateway.idle();
    await gateway.stop();
    closeGateways();
  });

  test("hosts, wildcards and paths, each by the narrowest that has one", async () => {
    const flags = await start();
    const shop = await run(engine, "acme/shop:1", {
      labels: labels({ host: "shop.test, www.shop.test" }),
    });
    const api = await run(engine, "acme/api:1", {
      labels: labels({ host: "*.shop.test,shop.test", path: "/api" }),
    });
    const blog = await run(engine, "acme/blog:1");
    expect((await served(gateway, "shop.test", "/a?b", shop)).target).toBe("/a?b");
    expect((await served(gateway, "SHOP.test.:80", "/api/x", api)).target).toBe("/x");
    await served(gateway, "eu.shop.test", "/api/x", api);
    // A host of its own is narrower than a wildcard, whatever the path.
    await served(gateway, "www.shop.test", "/api/x", shop);
    await served(gateway, "www.shop.test", "/x", shop);
    await served(gateway, "other.test", "/acme/blog/", blog);
    expect((await gateway.get("/x", { headers: { Host: "eu.shop.test" } })).status).toBe(403);
    expect((await gateway.get("/acme/shop/", { headers: { Host: "other.test" } })).status).toBe(
      403,
    );

    const said = await explain("http://eu.shop.test/api/x", flags);
    expect(said["route"]).toBe(
      "http://*.shop.test/api, of the longest wildcard that has one, the longest that matches whole segments",
    );
    expect(said["sent as"]).toBe("/x");
    const about = await explained(shop.name, flags);
    expect(about).toContain("host       http://shop.test/, from label gateway.host");
    expect(about).toContain("route      http://shop.test/ -> backend acme:shop");
    await gateway.until(async () => {
      const rows = await routesOf(flags);
      expect(statesOf(rows["http://*.shop.test/api"])).toEqual({ [api.name]: "up" });
      expect(statesOf(rows["http://www.shop.test/"])).toEqual({ [shop.name]: "up" });
      expect(statesOf(rows["/acme/blog"])).toEqual({ [blog.name]: "up" });
    });
  });

  test("further hosts come and go without a reload", async () => {
    await start();
    const first = await run(engine, "acme/shop:1", { labels: labels({ host: "one.test" }) });
    await served(gateway, "one.test", "/", first);
    await gateway.logged(/^routed http:\/\/one\.test\//);
    const before = gateway.count(/^reload: /);
    const second = await run(engine, "acme/api:1", {
      labels: labels({ host: "*.two.test", "route.b.host": "two.test", "route.b.path": "/b" }),
    });
    await served(gateway, "a.two.test", "/x", second);
    expect((await served(gateway, "two.test", "/b/x", second)).target).toBe("/x");
    await second.remove();
    await gateway.until(async () => {
      const { status } = await gateway.get("/x", { headers: { Host: "a.two.test" } });
      expect(status).toBe(403);
    });
    expect(gateway.count(/^reload: /)).toBe(before);
  });

  test("one service of several images, one image as several services", async () => {
    await start();
    const shop = await run(engine, "acme/shop:1", {
      labels: labels({ service: "web", path: "/web" }),
    });
    const api = await run(engine, "acme/api:1", {
      labels: labels({ service: "web", path: "/web" }),
    });
    const canary = await run(engine, "acme/shop:1", {
      labels: labels({ service: "canary", path: "/canary" }),
    });
    const own = await run(engine, "acme/shop:1");
    await served(gateway, "h", "/web/", shop);
    await served(gateway, "h", "/web/", api);
    await served(gateway, "h", "/canary/", canary);
    await served(gateway, "h", "/acme/shop/", own);
    for (let count = 0; count < 6; count++) {
      const answer = parseAnswer((await gateway.get("/acme/shop/")).body);
      expect(answer.name).toBe(own.name);
    }
  });

  test("another prefix in the place of the outer one", async () => {
    const flags = await start();
    const app = await run(engine, "acme/shop:1", {
      labels: labels({
        path: "/shop",
        rewrite: "/app",
        "route.r.host": "r.test",
        "route.r.rewrite": "/ui",
      }),
    });
    const answer = await served(gateway, "h", "/shop/x?y", app);
    expect(answer.target).toBe("/app/x?y");
    expect(answer.header("X-Forwarded-Prefix")).toBeUndefined();
    expect((await served(gateway, "r.test", "/x", app)).target).toBe("/ui/x");
    const said = await explained(app.name, flags);
    expect(said).toContain(
      "request    http://HOST/shop/x goes there as /app/x (/app takes its prefix's place, from label gateway.rewrite)",
    );
    expect((await explain("http://r.test/x", flags))["sent as"]).toBe("/ui/x");
  });

  test("a route is that of the container that was there first, after a restart too", async () => {
    let flags = await start();
    const first = await run(engine, "acme/shop:1", { labels: labels({ host: "a.test" }) });
    await served(gateway, "a.test", "/", first);
    const thief = await run(engine, "acme/api:1", { labels: labels({ host: "a.test" }) });
    const half = await run(engine, "acme/blog:1", { labels: labels({ host: "a.test, b.test" }) });
    const reason = (name: string): string =>
      `http://a.test/ belongs to service acme/shop, whose container ${first.name} is older than ${name}`;
    const check = async (): Promise<void> => {
      await served(gateway, "b.test", "/", half);
      await gateway.logged(
        `not routed: container ${thief.name} (image acme/api:1): ${reason(thief.name)}`,
      );
      await gateway.logged(
        `service acme/blog is not served at http://a.test/: ${reason(half.name)}`,
      );
      for (let count = 0; count < 6; count++) await served(gateway, "a.test", "/", first);
      expect((await explain(thief.name, flags))["not routed"]).toBe(reason(thief.name));
      expect((await explain(half.name, flags))["refused"]).toBe(reason(half.name));
      const { stdout } = await runToEnd(["routes", ...flags]);
      expect(stdout).toContain(`\nnot routed: container ${thief.name}: ${reason(thief.name)}\n`);
    };
    await check();
    await gateway.stop();
    flags = await start();
    await check();
    expect(gateway.count(reason(thief.name))).toBe(1);
    // When it goes, the next one has it.
    await first.remove();
    await served(gateway, "a.test", "/", thief);
  });

  detail("a claim says who may have a host at all", async () => {
    const flags = await start("--claim", "a.test=label:team=web");
    const thief = await run(engine, "acme/api:1", { labels: labels({ host: "a.test" }) });
    const reason = `http://a.test/ is kept from container ${thief.name} by --claim a.test=label:team=web`;
    await gateway.logged(`not routed: container ${thief.name} (image acme/api:1): ${reason}`);
    const owner = await run(engine, "acme/shop:1", {
      labels: { ...labels({ host: "a.test" }), team: "web" },
    });
    await served(gateway, "a.test", "/", owner);
    expect((await explain(thief.name, flags))["not routed"]).toBe(reason);
    const table = await runToEnd(["routes", ...flags]);
    expect(table.stdout).toContain(`\nnot routed: container ${thief.name}: ${reason}\n`);
  });

  detail("explain tells what is wrong with labels, who has a URL and who does not", async () => {
    const flags = await start();
    const hosts = Array.from({ length: 7 }, (_, at) => `${"abcdefg"[at]}.test`);
    const first = await run(engine, "acme/shop:1", {
      labels: labels({ host: hosts.join(), weight: "heavy" }),
    });
    await served(gateway, "a.test", "/", first);
    const second = await run(engine, "acme/api:1", {
      labels: labels({ host: "a.test", "route.b.path": "/b" }),
    });
    await served(gateway, "h", "/b", second);
    const said = (await explained(first.name, flags)).join("\n");
    expect(said).toMatch(/^warning +container \S+: label gateway\.weight="heavy" is not a weight/m);
    expect(said).toMatch(/^request +and so on for 2 more$/m);
    const url = await explain("http://a.test/x", flags);
    expect(url["route"]).toStartWith("http://a.test/");
    expect(url["refused"]).toBe(
      `http://a.test/ belongs to service acme/shop, whose container ${first.name} is older than ${second.name}`,
    );
  });

  detail("--filter takes some in, and --default-rule says where they are served", async () => {
    const flags = await start(
      "--filter",
      "label=team=web",
      "--default-rule",
      "{{container.name}}.test",
      "--trusted-proxies",
      "127.0.0.1",
    );
    const team = { team: "web" };
    const first = await run(engine, "acme/shop:1", { labels: team });
    const second = await run(engine, "acme/shop:1", { labels: team });
    const own = await run(engine, "acme/blog:1", {
      labels: { ...team, ...labels({ host: "own.test", allow: "192.0.2.0/24" }) },
    });
    const other = await run(engine, "acme/api:1");
    await served(gateway, `${first.name}.test`, "/x", first);
    await served(gateway, `${second.name}.test`, "/x", second);
    const asked = (client: string) =>
      gateway.get("/", { headers: { Host: "own.test", "X-Forwarded-For": client } });
    await gateway.until(async () => {
      const answer = await asked("192.0.2.7");
      expect(answer.status).toBe(200);
      expect(parseAnswer(answer.body).name).toBe(own.name);
    });
    expect((await asked("192.0.3.7")).status).toBe(403);
    expect((await explain(other.name, flags))["not routed"]).toBe(
      "--filter label=team=web leaves it out",
    );
    const said = await explain(`http://${second.name}.test/`, flags);
    expect(said["to"]).toStartWith(`${second.name} at `);
    await second.remove();
    await gateway.until(async () => {
      const gone = await gateway.get("/x", { headers: { Host: `${second.name}.test` } });
      expect(gone.status).toBe(403);
    });
  });

  detail(
    "a wrong host puts a container nowhere else, another prefix changes all labels",
    async () => {
      const flags = await start("--label-prefix", "my.gw", "--only-enabled");
      const on = { "my.gw.enable": "true" };
      const wrong = await run(engine, "acme/shop:1", {
        labels: { ...on, "my.gw.host": "a_test!" },
      });
      const other = await run(engine, "acme/api:1", {
        labels: labels({ host: "a.test", enable: "true" }),
      });
      const right = await run(engine, "acme/blog:1", { labels: { ...on, "my.gw.host": "a.test" } });
      await served(gateway, "a.test", "/", right);
      const line = await gateway.logged(`not routed: container ${wrong.name} `);
      expect(line.reason).toStartWith('label my.gw.host="a_test!" is not a host name');
      expect((await gateway.get("/acme/shop/")).status).toBe(403);
      expect((await explain(other.name, flags))["not routed"]).toBe(
        "label my.gw.enable is not true, and --only-enabled",
      );
    },
  );
});
