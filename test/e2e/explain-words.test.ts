// `explain` and other words: an image, a URL and where it goes, and what is none of them.

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
import { importImage } from "../lab/images.ts";
import { explained, flagsOf, pairs, titleOf } from "./asking.ts";
import { closeGateways, gatewayDir, startGateway } from "./gateway.ts";
import { runToEnd } from "./program.ts";

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

async function at(container: Container): Promise<string> {
  return `${container.name} at ${await container.ip()}:8000`;
}

describe("an image", () => {
  test("is all its containers, whatever their tags, or those of one", async () => {
    await importImage(engine, "why/shop:2", { expose: [8000] });
    const first = await run(engine, "why/shop:1.2", { name: "s-1" });
    const second = await run(engine, "why/shop:2", { name: "s-2" });
    const other = await run(engine, "why/bare:1", { name: "other" });
    const lines = await explain("why/shop");
    const titles = lines.filter((line) => line.startsWith("container "));
    expect(titles.toSorted()).toEqual([
      `container  ${title(first)}`,
      `container  ${title(second, "why/shop:2")}`,
    ]);
    expect(lines.filter((line) => line === "")).toHaveLength(1);
    expect(lines.filter((line) => line.endsWith("why:shop, shared by 2 containers"))).toHaveLength(
      2,
    );
    expect((await explain("why/shop:2"))[0]).toBe(`container  ${title(second, "why/shop:2")}`);
    expect(await explain("why/shop:2")).not.toContain("");
    expect(pairs(await explain("why/bare:1"))["container"]).toBe(title(other, "why/bare:1"));
  });

  test("gives way to a stopped container of that very name", async () => {
    await importImage(engine, "whoami:1", { expose: [8000] });
    await run(engine, "whoami:1", { name: "runs" });
    expect(pairs(await explain("whoami"))["container"]).toStartWith("runs (");
    const named = await create(engine, "why/shop:1.2", { name: "whoami" });
    expect(pairs(await explain("whoami"))["container"]).toBe(title(named));
  });
});

describe("a URL", () => {
  test("goes to the longest route, without the prefix, byte for byte", async () => {
    await importImage(engine, "why:1", { expose: [8000] });
    const short = await run(engine, "why:1", { name: "short" });
    const one = await run(engine, "why/shop:1.2", { name: "one" });
    const two = await run(engine, "why/shop:1.2", { name: "two" });
    const shop = `${await at(one)}, or ${await at(two)}`;
    for (const [url, route, path, to] of [
      ["/why/shop/cart?id=1&b=/why", "/why/shop", "/cart?id=1&b=/why", shop],
      ["http://user@example.com:8080/why/shop?x", "/why/shop", "/?x", shop],
      ["HTTPS://EXAMPLE.COM/why/shop/#part", "/why/shop", "/", shop],
      ["/why/shop/a%2Fb%20%c3%a9/", "/why/shop", "/a%2Fb%20%c3%a9/", shop],
      ["/why/shop//x", "/why/shop", "//x", shop],
      ["/why/shopping", "/why", "/shopping", await at(short)],
      ["/why%2Fshop", "", "", ""],
      ["/why", "/why", "/", await at(short)],
    ] as const) {
      const said = pairs(await explain(url));
      if (route === "") expect(said["answer"]).toBe("403: no route matches it");
      else {
        expect(said["route"]).toBe(`${route}, the longest that matches whole segments`);
        expect([said["sent as"], said["to"]]).toEqual([path, to]);
      }
    }
  });

  test("is answered by HAProxy where it does what it says", async () => {
    const gateway = await startGateway({ dockerHost: engine.dockerHost });
    const own = flagsOf(gateway, engine);
    await run(engine, "why/shop:1.2", { name: "told" });
    await gateway.served("/why/shop/", "told");
    for (const path of ["/why/shop/a%2Fb?c=/d", "/why/shop", "/why/shop//x/"]) {
      const { target } = await gateway.served(path);
      expect(pairs(await explain(path, own))["sent as"]).toBe(target);
    }
    for (const path of ["/why/shop/../x", "/why/shop/a/%2E./..%5cx?y"]) {
      const { status } = await gateway.get(path);
      expect(pairs(await explain(path, own))["answer"]).toStartWith(`${status}: by its dots`);
    }
    for (const path of ["/why/shopping", "/why%2Fshop", "/", "/none?a=/why/shop"]) {
      expect(pairs(await explain(path, own))["answer"]).toStartWith("403");
      expect((await gateway.get(path)).status).toBe(403);
    }
  });

  test("tells which containers do not answer, as HAProxy knows", async () => {
    const gateway = await startGateway({ dockerHost: engine.dockerHost });
    const own = flagsOf(gateway, engine);
    const mute = await run(engine, "why/shop:1.2", { name: "mute", cmd: ["sleep", "1000"] });
    await gateway.logged(/^routed .* \(container mute,/);
    const refused = /^mute at \S+:8000, down for \d+ s: its port does not answer$/;
    await gateway.until(async () => {
      const said = pairs(await explain("/why/shop/x", own));
      expect(said["answer"]).toBe("503: no container of it answers");
      expect(said["not to"]).toMatch(refused);
    });
    const talks = await run(engine, "why/shop:1.2", { name: "talks" });
    await gateway.served("/why/shop/", "talks");
    const said = pairs(await explain("/why/shop/x", own));
    expect(said["to"]).toBe(await at(talks));
    expect(said["not to"]).toStartWith(await at(mute));
    // Where nobody can be asked, both may answer.
    const { to } = pairs(await explain("/why/shop/x"));
    expect(to).toBe(`${await at(mute)}, or ${await at(talks)}`);
  });

  test("that nothing matches lists what is served", async () => {
    expect(await explain("http://example.com/none?a=b")).toEqual([
      "url     example.com/none?a=b",
      "answer  403: no route matches it",
      "served  nothing",
    ]);
    await run(engine, "why/shop:1.2");
    expect(pairs(await explain("/none"))["served"]).toBe("/why/shop");
  });

  test("whose containers get no requests", async () => {
    const container = await run(engine, "why/shop:1.2");
    await engine.docker.getContainer(container.id).pause();
    const said = pairs(await explain("/why/shop/x"));
    expect(said["answer"]).toBe("503: no container of it can be used now");
  });

  test("goes by its host, in whatever case, with --domain", async () => {
    await run(engine, "why/shop:1.2");
    const more = [...flags, "--domain=api.example.com"];
    for (const url of ["http://shop.api.example.com/a?b", "http://SHOP.API.example.com.:80/a?b"]) {
      expect(pairs(await explain(url, more))["sent as"]).toBe("/a?b");
    }
    for (const url of ["http://example.com/why/shop", "/why/shop"]) {
      expect(pairs(await explain(url, more))["answer"]).toBe("403: no route matches it");
    }
  });
});

describe("nonsense", () => {
  test.each(["no-such", "no/such:1", "a b", "..", ".", "", "../json", "$(id)", "%2e%2e", "ä", "-"])(
    "%p is nothing to explain",
    async (word) => {
      const { status, stdout, stderr } = await runToEnd(["explain", ...flags, "--", word]);
      expect([status, stdout]).toEqual([2, ""]);
      expect(stderr).toStartWith(`Cannot explain "${word}": there is no such container`);
      expect(stderr).toContain("docker ps -a");
    },
  );

  test("no word, and two", async () => {
    expect((await runToEnd(["explain", ...flags])).stderr).toContain("WHAT is missing");
    expect((await runToEnd(["explain", ...flags, "a", "b"])).status).toBe(2);
  });
});
