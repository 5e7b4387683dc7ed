// Proves that the label body keeps requests out that are too large, or whose size nobody knows.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { connect } from "node:http2";
import { haproxyVersions } from "../lab/haproxy.ts";
import { Labelled } from "../lab/labelled.ts";
import { START_MS } from "../lab/proxy.ts";

const LABELS = {
  plain: {},
  small: { body: "10" },
  none: { body: "0" },
  large: { body: "100k", "headers.request.X-Last": "1" },
  any: { body: "10", "body.unknown": "allow" },
  wrong: { body: "much" },
};

describe.each(haproxyVersions())("the size of bodies, HAProxy %s", (version) => {
  let site: Labelled;

  beforeAll(async () => {
    site = await Labelled.start(version, LABELS);
  }, START_MS);

  beforeEach(() => site.forget());
  afterAll(() => site.stop());

  async function send(name: string, size: number): Promise<number> {
    const question = { method: "PUT", body: "x".repeat(size) };
    return (await site.ask(`/${name}/x`, {}, question)).status;
  }

  test.each([
    ["plain", 100_000, 200],
    ["small", 0, 200],
    ["small", 10, 200],
    ["small", 11, 413],
    ["none", 0, 200],
    ["none", 1, 413],
    ["large", 102_400, 200],
    ["any", 11, 413],
    ["wrong", 1_000, 200],
  ])("%s: %i bytes answer %i", async (name, size, status) => {
    expect(await send(name, size)).toBe(status);
    expect(site.received()).toEqual(status === 200 ? [`${name} /x`] : []);
  });

  test("a GET without a body goes on", async () => {
    expect((await site.ask("/none/x")).status).toBe(200);
  });

  test("who asks before a large one is told so", async () => {
    const connection = await site.site.connect();
    connection.send(
      "PUT /large/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n",
    );
    expect((await connection.response("PUT")).status).toBe(413);
    connection.close();
    expect(site.received()).toEqual([]);
  });

  test.each([
    ["plain", 200],
    ["small", 411],
    ["any", 200],
  ])("%s: chunks answer %i", async (name, status) => {
    const connection = await site.site.connect();
    connection.send(
      `POST /${name}/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`,
    );
    expect((await connection.response("POST")).status).toBe(status);
    connection.close();
  });

  /** A request by HTTP/2, without a length. Its body comes after a while. */
  async function stream(path: string, method: string, body: string | undefined): Promise<number> {
    const session = connect(`http://127.0.0.1:${site.site.port}`);
    try {
      const request = session.request(
        { ":method": method, ":path": path, ":authority": "h" },
        { endStream: body === undefined },
      );
      const status = new Promise<number>((resolve, reject) => {
        request.on("response", (headers) => resolve(Number(headers[":status"])));
        request.on("error", reject);
      });
      if (body !== undefined) setTimeout(() => request.end(body), 50);
      request.resume();
      return await status;
    } finally {
      session.destroy();
    }
  }

  test.each([
    ["plain", "POST", "ab", 200],
    ["small", "POST", "ab", 411],
    ["small", "GET", "ab", 411],
    ["small", "GET", undefined, 200],
    ["small", "POST", undefined, 200],
    ["large", "POST", undefined, 200],
    ["large", "POST", "", 200],
    ["any", "POST", "ab", 200],
  ])("%s by HTTP/2: %s of %p answers %i", async (name, method, body, status) => {
    expect(await stream(`/${name}/x`, method, body)).toBe(status);
    expect(site.received()).toEqual(status === 200 ? [`${name} /x`] : []);
    // The rules behind the wait are heeded, too.
    const last = site.app("large").received.map((each) => each.values("X-Last"));
    expect(last).toEqual(name === "large" ? [["1"]] : []);
  });

  test("another size needs no reload", async () => {
    expect(await site.serve({ small: { body: "20" } })).toBe("commands");
    expect([await send("small", 20), await send("small", 21)]).toEqual([200, 413]);
    await site.running.verify();
    await site.serve({ small: {} });
    expect(await send("small", 1_000)).toBe(200);
  });
});
