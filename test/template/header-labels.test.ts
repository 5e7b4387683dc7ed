// Proves that labels set headers of requests and answers, and take them off.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { reply } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { Labelled } from "../lab/labelled.ts";
import { START_MS } from "../lab/proxy.ts";

/** What means something to HAProxy, to a map, or to the decoding of a URL. */
const ODD = `a "b" 'c' %20 %[src] \\n $HOME #x = + ? ; | ~ , {} <<`;

const LABELS = {
  plain: {},
  own: {
    "headers.request.X-Own": ODD,
    "headers.request.x-gone": "",
    "headers.request.X-Forwarded-Proto": "https",
    "headers.response.X-Frame-Options": "DENY",
    "headers.response.Server": "",
    "headers.response.X-Odd": ODD,
    // These are the gateway's.
    "headers.request.Host": "evil.test",
    "headers.request.Transfer-Encoding": "chunked",
    "headers.response.Content-Length": "1",
    "headers.response.a:b": "1",
  },
  other: { "headers.response.X-Own": "acme:shop" },
};

describe.each(haproxyVersions())("headers by label, HAProxy %s", (version) => {
  let site: Labelled;

  beforeAll(async () => {
    site = await Labelled.start(version, LABELS);
  }, START_MS);

  beforeEach(() => {
    site.forget();
    for (const app of site.apps.values()) {
      app.answerer = () =>
        reply(200, [
          ["Server", "app"],
          ["X-Own", "app"],
          ["X-Frame-Options", "SAMEORIGIN"],
          ["X-Frame-Options", "ALLOWALL"],
        ]);
    }
  });

  afterAll(() => site.stop());

  /** A header as a container saw it. */
  function seen(name: string, header: string): string[] | undefined {
    return site.app(name).received[0]?.values(header);
  }

  /** The headers of an answer, of those that this is about. */
  async function answered(name: string): Promise<string[][]> {
    const { headers } = await site.ask(`/${name}/x`);
    const lower = headers.map(([key, value]) => [key.toLowerCase(), value]);
    return lower.filter(([key]) =>
      ["server", "x-own", "x-frame-options", "x-odd", "a:b"].includes(key ?? ""),
    );
  }

  test("of requests", async () => {
    const sent = { "X-Gone": "1", "X-Own": "evil", "X-Other": "2" };
    for (const name of ["own", "plain"]) {
      const { status } = await site.ask(`/${name}/x`, sent, { method: "POST", body: "four" });
      expect(status).toBe(200);
    }
    expect(seen("own", "X-Own")).toEqual([ODD]);
    expect(seen("own", "X-Gone")).toEqual([]);
    expect(seen("own", "X-Other")).toEqual(["2"]);
    expect(seen("own", "X-Forwarded-Proto")).toEqual(["https"]);
    expect(seen("own", "Host")).toEqual(["h"]);
    expect(seen("own", "Content-Length")).toEqual(["4"]);
    expect(seen("own", "Transfer-Encoding")).toEqual([]);
    expect(seen("plain", "X-Own")).toEqual(["evil"]);
    expect(seen("plain", "X-Gone")).toEqual(["1"]);
    expect(seen("plain", "X-Forwarded-Proto")).toEqual(["http"]);
  });

  test("of answers", async () => {
    expect(await answered("own")).toEqual([
      ["x-own", "app"],
      ["x-frame-options", "DENY"],
      ["x-odd", ODD],
    ]);
    expect(await answered("other")).toContainEqual(["x-own", "acme:shop"]);
    expect(await answered("plain")).toEqual([
      ["server", "app"],
      ["x-own", "app"],
      ["x-frame-options", "SAMEORIGIN"],
      ["x-frame-options", "ALLOWALL"],
    ]);
  });

  test("another text needs no reload, another header does", async () => {
    const labels = { ...LABELS.own, "headers.response.X-Frame-Options": "SAMEORIGIN" };
    expect(await site.serve({ own: labels })).toBe("commands");
    expect((await site.ask("/own/")).header("X-Frame-Options")).toBe("SAMEORIGIN");
    await site.running.verify();
    expect(await site.serve({ own: { ...labels, "headers.response.X-New": "1" } })).toBe("reload");
    expect(site.running.reloads.at(-1)).toEqual(['defaults "_rules" changed']);
    expect((await site.ask("/own/")).header("X-New")).toBe("1");
    await site.serve({ own: {} });
    expect((await site.ask("/own/")).header("X-Odd")).toBeUndefined();
  });
});
