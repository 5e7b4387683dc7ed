// Proves that labels errors.* put a page of their own in the place of what a container answers, and of what
// the gateway answers where none does.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { reply } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { Labelled } from "../lab/labelled.ts";
import { labDir } from "../lab/leftovers.ts";
import { START_MS } from "../lab/proxy.ts";

const PAGE = '<h1>Nothing\'s "here" \u00e9 %[src] $HOME \\n</h1>\n';

describe.each(haproxyVersions())("pages for errors, HAProxy %s", (version) => {
  const folder = labDir("pages");
  const page = (name: string): string => join(folder, name);
  const labels = {
    plain: {},
    shop: { "errors.404": page("404.html"), "errors.5xx": page("5xx.json") },
    both: { "errors.4xx": page("4xx.txt"), "errors.404": page("404.html"), allow: "127.0.0.0/8" },
    large: { "errors.500": page("large.html") },
    gone: { "errors.503": page("404.html"), deny: "10.0.0.0/8" },
    none: { "errors.404": page("none.html"), "errors.410": "/etc/passwd" },
  };
  let site: Labelled;

  beforeAll(async () => {
    writeFileSync(page("404.html"), PAGE);
    writeFileSync(page("5xx.json"), "{}");
    writeFileSync(page("4xx.txt"), "4xx");
    writeFileSync(page("large.html"), "x".repeat(32_000));
    site = await Labelled.start(version, labels, { "label-files": folder });
  }, START_MS);

  beforeEach(() => site.forget());

  afterAll(() => site.stop());

  /** What is answered where a container answers with this status. */
  async function answer(name: string, status: number) {
    site.app(name).answerer = () => reply(status);
    const { status: got, body, ...rest } = await site.ask(`/${name}/x`);
    return [got, rest.header("Content-Type"), body];
  }

  test("a page comes in place of the container's", async () => {
    const type = "text/html; charset=utf-8";
    expect(await answer("shop", 404)).toEqual([404, type, PAGE]);
    expect(await answer("shop", 500)).toEqual([500, "application/json; charset=utf-8", "{}"]);
    expect(await answer("both", 404)).toEqual([404, type, PAGE]);
    expect(await answer("both", 410)).toEqual([410, "text/plain; charset=utf-8", "4xx"]);
    expect(await answer("large", 500)).toEqual([500, type, "x".repeat(32_000)]);
  });

  test("other statuses stay as they are", async () => {
    for (const [name, status] of [
      ["shop", 200],
      ["shop", 403],
      ["both", 401],
      ["both", 500],
      ["plain", 404],
      ["none", 404],
      ["none", 410],
    ] as const) {
      const [got, type] = await answer(name, status);
      expect([name, got, type === undefined || !String(type).includes("utf-8")]).toEqual([
        name,
        status,
        true,
      ]);
    }
  });

  test("a HEAD gets no page", async () => {
    site.app("shop").answerer = () => reply(404);
    const { status, body } = await site.ask("/shop/x", {}, { method: "HEAD" });
    expect([status, body.length]).toEqual([404, 0]);
  });

  test("so does what the gateway answers itself", async () => {
    for (const name of ["gone", "shop"]) await site.app(name).stop();
    const { status, body, ...rest } = await site.ask("/gone/x");
    expect([status, body, rest.header("Retry-After")]).toEqual([503, PAGE, "5"]);
    expect((await site.ask("/shop/x")).body).toBe("{}");
  });

  test("another page is a reload, a missing one costs only itself", async () => {
    expect(await answer("both", 404)).toContain(PAGE);
    writeFileSync(page("404.html"), "new");
    expect(await site.serve({})).toBe("reload");
    expect(await answer("both", 404)).toContain("new");
    rmSync(page("404.html"));
    expect(await site.serve({})).toBe("reload");
    expect((await answer("both", 404))[2]).toBe("4xx");
    writeFileSync(page("404.html"), PAGE);
    expect(await site.serve({ both: {} })).toBe("reload");
    expect((await answer("both", 404))[1]).not.toBe("text/html; charset=utf-8");
    await site.running.verify();
    expect(site.running.applier.applied.doubt).toBeUndefined();
  });
});
