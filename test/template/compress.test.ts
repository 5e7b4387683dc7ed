// Proves the labels gateway.compress and gateway.slowstart.

import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { reply, startApp, type App } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { serviceOf, Site, START_MS, type Service } from "../lab/proxy.ts";
import { Running } from "../lab/running.ts";

const TEXT = "All work and no play. ".repeat(200);

describe.each(haproxyVersions())("compression and slow starts, HAProxy %s", (version) => {
  let app: App;
  let other: App;
  let site: Site;
  let running: Running;

  const of = (image: string, labels: Record<string, string>, from = app): Service =>
    serviceOf(from, { image, name: `${image}-${from.name}`, labels });

  beforeAll(async () => {
    [app, other] = [await startApp(), await startApp()];
    site = await Site.make(version);
    running = await Running.start(site, site.render([]).files);
  }, START_MS);

  afterAll(async () => {
    await running.stop();
    await app.stop();
    await other.stop();
  });

  /** Whether the answer is compressed. */
  const isGzip = async (
    path: string,
    headers: readonly (readonly [string, string])[],
    accept = "gzip, br",
  ): Promise<boolean> => {
    app.answerer = () => reply(200, headers, TEXT);
    const { status, header } = await curl(path, accept);
    expect(status).toBe(200);
    return header === "gzip";
  };
  const curl = async (path: string, accept: string) => {
    const response = await fetch(`http://127.0.0.1:${site.port}${path}`, {
      headers: { "Accept-Encoding": accept },
      decompress: false,
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    const header = response.headers.get("Content-Encoding");
    if (header === "gzip" && bytes[0] === 0x1f) expect(gunzipSync(bytes).toString()).toBe(TEXT);
    return { status: response.status, header };
  };

  test("what is text is compressed, also of a service that came while HAProxy ran", async () => {
    const labels = { "gateway.compress": "true" };
    await running.serve([of("a", labels), of("plain", {})]);
    expect(await running.serve([of("a", labels), of("b", labels), of("plain", {})])).toBe(
      "commands",
    );
    for (const path of ["/a/x", "/b/x"]) {
      for (const type of ["text/html; charset=utf-8", "application/json", "image/svg+xml"]) {
        expect(await isGzip(path, [["Content-Type", type]])).toBe(true);
      }
      expect(await isGzip(path, [["Content-Type", "text/html"]], "identity")).toBe(false);
      expect(await isGzip(path, [["Content-Type", "image/png"]])).toBe(false);
      const fixed = ["Cache-Control", "no-transform"] as const;
      expect(await isGzip(path, [["Content-Type", "text/html"], fixed])).toBe(false);
      expect((await curl(path, "gzip")).header).toBe(null);
    }
    app.answerer = () =>
      reply(
        200,
        [
          ["Content-Type", "text/html"],
          ["Content-Encoding", "br"],
        ],
        TEXT,
      );
    expect((await curl("/a/x", "gzip, br")).header).toBe("br");
    expect(await isGzip("/plain/x", [["Content-Type", "text/html"]])).toBe(false);
    await running.verify();
    expect(running.applier.applied.doubt).toBeUndefined();
  });

  test("it is gone with its containers", async () => {
    expect(await running.serve([of("plain", {})])).toBe("commands");
    expect(await isGzip("/plain/x", [["Content-Type", "text/html"]])).toBe(false);
  });

  test("with slowstart a container that comes gets few requests at first", async () => {
    const labels = { "gateway.slowstart": "1m" };
    const [first, second] = [of("c", labels), of("c", labels, other)];
    await running.serve([first]);
    await eventually(async () => expect((await site.ask({ target: "/c/x" })).status).toBe(200));
    expect(await running.serve([first, second])).toBe("commands");
    await eventually(async () => {
      const states = Object.values(await running.servers());
      expect(states.filter(({ status }) => status === "UP").length).toBeGreaterThan(1);
    });
    app.forget();
    other.forget();
    for (let index = 0; index < 60; index++) await site.ask({ target: "/c/x" });
    expect(app.received.length + other.received.length).toBe(60);
    expect(other.received.length).toBeLessThan(20);
  });
});
