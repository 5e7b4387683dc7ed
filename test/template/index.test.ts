// Proves that --index lists the routes at /, whatever comes and goes, without a reload.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseOptions } from "../../src/cli/options.ts";
import { prepare } from "../../src/cli/setup.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { Labelled } from "../lab/labelled.ts";
import { labDir } from "../lab/leftovers.ts";
import { silent, START_MS } from "../lab/proxy.ts";

const ROW = /<tr><td>(.*?)<\/td><td>(.*?)<\/td><\/tr>/g;

/** The rows of a page, as `PLACE SERVICE`. */
function rowsOf(page: string): string[] {
  return [...page.matchAll(ROW)].map(([, place = "", service = ""]) => `${place} ${service}`);
}

/** The row of a container that stays. */
const ODD = '<a href="//odd.test/a&amp;b&#39;c%3C/">odd.test/a&amp;b&#39;c%3C/</a> odd';
const SHOP = '<a href="/shop/">/shop/</a> shop';

describe.each(haproxyVersions())("the page of routes, HAProxy %s", (version) => {
  const labels = {
    shop: {},
    api: { host: "api.example.com, *.example.com", path: "/v1" },
    odd: { host: "odd.test", path: "/a&b'c%3C" },
  };
  let site: Labelled;

  beforeAll(async () => {
    site = await Labelled.start(version, labels, { index: true });
  }, START_MS);

  afterAll(() => site.stop());

  test("lists them by host and path, with links", async () => {
    const { status, body, ...rest } = await site.ask("/", { Host: "h:8080" });
    expect([status, rest.header("Content-Type")]).toEqual([200, "text/html; charset=utf-8"]);
    expect(rowsOf(body)).toEqual([
      "*.example.com/v1/ api",
      '<a href="//api.example.com:8080/v1/">api.example.com/v1/</a> api',
      ODD.replace("//odd.test", "//odd.test:8080"),
      SHOP,
    ]);
    expect(body).not.toContain("<script");
    expect(rest.header("Content-Security-Policy")).toContain("default-src 'none'");
  });

  test("is the same one asked with HEAD, with a query and at another host without a port", async () => {
    const whole = await site.ask("/");
    const head = await site.ask("/", {}, { method: "HEAD" });
    expect([head.status, head.body]).toEqual([200, ""]);
    expect(head.header("Content-Length")).toBe(String(Buffer.byteLength(whole.body)));
    const other = await site.ask("/?x=<y>", { Host: "api.example.com" });
    expect(other.body).toContain('href="//api.example.com/v1/"');
    expect(other.body).not.toContain("<y>");
  });

  test("takes no other method and no other path", async () => {
    expect((await site.ask("/", {}, { method: "POST", body: "x" })).status).toBe(403);
    expect((await site.ask("/index.html")).status).toBe(403);
  });

  test("changes with the routes, without a reload", async () => {
    expect(await site.remove("api")).toBe("commands");
    expect(rowsOf((await site.ask("/")).body)).toEqual([ODD, SHOP]);
    expect(await site.serve({ api: { path: "/v2" } })).toBe("commands");
    expect(rowsOf((await site.ask("/")).body)).toEqual([ODD, SHOP, '<a href="/v2/">/v2/</a> api']);
    const paths = Array.from({ length: 100 }, (_, index) => `/v3/${"x".repeat(40)}${index}`);
    expect(await site.serve({ api: { path: paths.join() } })).toBe("commands");
    const many = rowsOf((await site.ask("/")).body);
    expect(many.slice(0, 2)).toEqual([ODD, SHOP]);
    expect(many.length).toBe(102);
    expect(many).toEqual([...new Set(many)]);
    expect(await site.serve({ api: { path: "/v2" } })).toBe("commands");
    expect(rowsOf((await site.ask("/")).body).length).toBe(3);
    await site.running.verify();
    expect(site.running.applier.applied.doubt).toBeUndefined();
  });

  test("gives way to a route of a container", async () => {
    await site.serve({ api: { path: "/" } });
    expect((await site.ask("/")).body).not.toContain("<h1>Routes</h1>");
    await site.remove("api", "shop", "odd");
    expect((await site.ask("/")).body).toContain("There are none now.");
  });
});

test("a HAProxy without Lua is refused", async () => {
  const program = join(labDir("no-lua"), "haproxy");
  const script =
    "#!/bin/sh\necho 'HAProxy version 3.4.7-1 2026/01/01'\necho 'Feature list : -LUA'\n";
  writeFileSync(program, script, { mode: 0o755 });
  const options = parseOptions({ haproxy: program, index: true, "manage-haproxy": true });
  const failure = await prepare(options, {}, silent).catch((error: unknown) => error);
  expect(String(failure)).toContain("Cannot use --index: HAProxy 3.4.7 has no Lua");
});
