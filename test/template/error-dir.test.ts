// Proves that pages of --error-dir come in place of the gateway's own errors, and of nobody else's.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { reply } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { Labelled } from "../lab/labelled.ts";
import { labDir } from "../lab/leftovers.ts";
import { START_MS } from "../lab/proxy.ts";

const PAGE = '<h1>Nothing\'s "here" \u00e9 %[src] $HOME \\n</h1>\n';
const HTML = "text/html; charset=utf-8";

describe.each(haproxyVersions())("pages for the gateway's own errors, HAProxy %s", (version) => {
  const folder = labDir("own-errors");
  const own = join(folder, "own.html");
  const dir = join(folder, "errors");
  const labels = {
    plain: {},
    gone: {},
    labelled: { "errors.503": own },
    inside: { allow: "10.0.0.0/8" },
    slow: { rate: "1/1h" },
    small: { body: "10" },
    secret: { auth: "bob:$2y$05$abcdefghijklmnopqrstuuDIEddBSuRWBBEY6g5zv60IAP5bSSfki" },
    wrong: { allow: "x" },
  };
  let site: Labelled;

  beforeAll(async () => {
    mkdirSync(dir);
    writeFileSync(own, "own");
    for (const status of [400, 401, 403, 411, 413]) {
      writeFileSync(join(dir, `${status}.html`), `${status} ${PAGE}`);
    }
    writeFileSync(join(dir, "503.html"), "x".repeat(32_000));
    const head = 'HTTP/1.0 429 Slow\r\nX-Word: 100% "sure" %[src]\r\nContent-Type: text/plain\r\n';
    writeFileSync(join(dir, "429.http"), `${head}Connection: close\r\n\r\n${PAGE}`);
    site = await Labelled.start(version, labels, { "error-dir": dir, "label-files": folder });
  }, START_MS);

  afterAll(() => site.stop());

  async function answer(...question: Parameters<Labelled["ask"]>) {
    const { status, body, ...rest } = await site.ask(...question);
    return [status, rest.header("Content-Type"), body];
  }

  test("what rules answer has the page", async () => {
    expect(await answer("/nothing")).toEqual([403, HTML, `403 ${PAGE}`]);
    expect(await answer("/inside/")).toEqual([403, HTML, `403 ${PAGE}`]);
    expect(await answer("/wrong/")).toEqual([503, HTML, "x".repeat(32_000)]);
    expect(await answer("/secret/")).toEqual([401, HTML, `401 ${PAGE}`]);
    const asked = await site.ask("/secret/");
    expect(asked.header("WWW-Authenticate")).toStartWith("Basic realm=");
    const post = { method: "POST", body: "x".repeat(11) };
    expect(await answer("/small/", {}, post)).toEqual([413, HTML, `413 ${PAGE}`]);
  });

  test("what HAProxy denies has the page", async () => {
    expect(await answer("/plain/%2e%2e/x")).toEqual([400, HTML, `400 ${PAGE}`]);
  });

  test("a whole answer keeps its headers, and those that the rule says", async () => {
    await site.ask("/slow/");
    const { status, body, ...rest } = await site.ask("/slow/");
    expect([status, body, rest.header("X-Word"), rest.header("Content-Type")]).toEqual([
      429,
      PAGE,
      '100% "sure" %[src]',
      "text/plain",
    ]);
    expect(Number(rest.header("Retry-After"))).toBeGreaterThan(3_000);
  });

  test("what a container answers stays as it is", async () => {
    site.app("plain").answerer = () => reply(503);
    const [status, , body] = await answer("/plain/x");
    expect([status, String(body).startsWith("xxx")]).toEqual([503, false]);
  });

  test("where no container answers, a label's page comes before it", async () => {
    for (const name of ["gone", "labelled"]) await site.app(name).stop();
    expect(await answer("/labelled/x")).toEqual([503, HTML, "own"]);
    const { status, body, ...rest } = await site.ask("/gone/x");
    expect([status, body, rest.header("Retry-After")]).toEqual([503, "x".repeat(32_000), "5"]);
  });

  test("another page is a reload, and one that is gone is not used any more", async () => {
    writeFileSync(join(dir, "403.html"), "new");
    expect(await site.serve({})).toBe("reload");
    expect(await answer("/nothing")).toEqual([403, HTML, "new"]);
    expect(await site.serve({})).toBe("nothing");
    rmSync(join(dir, "403.html"));
    expect(await site.serve({})).toBe("reload");
    expect(await answer("/nothing")).toEqual([403, "text/plain", "Nothing is served here.\n"]);
    await site.running.verify();
    expect(site.running.applier.applied.doubt).toBeUndefined();
  });
});
