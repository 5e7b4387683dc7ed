// Proves that links work which forget the prefix of their page, and that a page at the prefix has a slash.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { haproxyVersions, type Haproxy } from "../lab/haproxy.ts";
import { reply, startApp, type App } from "../lab/app.ts";
import type { RawResponse } from "../lab/http.ts";
import { serviceOf, Site, START_MS, type ProxyOptions } from "../lab/proxy.ts";

const HOST = "www.test:81";
const PAGE = `http://${HOST}/foo/bar/page`;

describe.each(haproxyVersions())("links, HAProxy %s", (version) => {
  let app: App;
  let site: Site;
  let haproxy: Haproxy | undefined;

  beforeAll(async () => {
    app = await startApp();
    [site, haproxy] = await start();
  }, START_MS);

  afterAll(async () => {
    await haproxy?.stop();
    await app.stop();
  });

  async function start(options: ProxyOptions = {}): Promise<[Site, Haproxy]> {
    const made = await Site.make(version, options);
    const services = ["foo", "foo/bar"].map((image) => serviceOf(app, { image }));
    return [made, await made.start(services)];
  }

  function follow(target: string, referer: string, method = "GET"): Promise<RawResponse> {
    app.forget();
    const body = method === "POST" ? "a=b" : "";
    return site.ask({ target, method, body, headers: { Host: HOST, Referer: referer } });
  }

  function askFor(target: string, accept: string, method = "GET"): Promise<RawResponse> {
    app.forget();
    return site.ask({ target, method, headers: { Host: HOST, Accept: accept } });
  }

  test.each([
    ["/assets/app.js?v=1&w=/x", PAGE, "/foo/bar/assets/app.js?v=1&w=/x"],
    ["/", PAGE, "/foo/bar/"],
    ["/a", `http://${HOST}/foo/bar`, "/foo/bar/a"],
    ["/a", `http://${HOST}/foo/bar/?q=/foo#f`, "/foo/bar/a"],
    ["/a", `http://${HOST}/foo/bar?q`, "/foo/bar/a"],
    ["/a", `http://${HOST}/foo/barn`, "/foo/a"],
    ["/a", `https://${HOST}/foo/x`, "/foo/a"],
    ["/a", `http://WWW.test:81/foo/x`, "/foo/a"],
    ["//other/x", PAGE, "/foo/bar//other/x"],
    ["/foobar", PAGE, "/foo/bar/foobar"],
  ])("%s on the page %s leads to %s", async (target, referer, location) => {
    for (const method of ["GET", "POST", "HEAD"]) {
      const answer = await follow(target, referer, method);
      expect([answer.status, answer.header("Location")]).toEqual([307, location]);
      expect(answer.header("Vary")).toBe("Referer");
    }
    expect(app.received).toEqual([]);
  });

  test.each([
    ["/a", "http://other/foo/bar/"],
    ["/a", "http://www.test/foo/bar/"],
    ["/a", "http://www.test:8181/foo/bar/"],
    ["/a", "http://other/?http://www.test:81/foo/bar/"],
    ["/a", `http://${HOST}.other/foo/bar/`],
    ["/a", `http://user@${HOST}/foo/bar/`],
    ["/a", `ftp://${HOST}/foo/bar/`],
    ["/a", `http://${HOST}/`],
    ["/a", `http://${HOST}`],
    ["/a", `http://${HOST}/x/foo/bar/`],
    ["/a", "/foo/bar/"],
    ["/a", "about:blank"],
    ["/a", ""],
  ])("%s on the page %s leads nowhere", async (target, referer) => {
    const answer = await follow(target, referer);
    expect([answer.status, answer.header("Location")]).toEqual([403, undefined]);
  });

  test.each([100, 20_000, 5_000_000])(
    "a form with a body of %d bytes arrives, however slowly it comes",
    async (size) => {
      app.forget();
      const body = "x".repeat(size);
      const head = `POST /picture HTTP/1.1\r\nHost: ${HOST}\r\nReferer: ${PAGE}\r\nContent-Length: ${size}\r\n\r\n`;
      const client = await site.connect();
      client.send(head);
      for (const part of [body.slice(0, size / 2), body.slice(size / 2)]) {
        await Bun.sleep(50);
        client.send(part);
      }
      const answer = await client.response("POST");
      client.close();
      // It is led there, or goes there at once: HAProxy 2.6 cannot lead a long one.
      if (answer.status === 307) expect(answer.header("Location")).toBe("/foo/bar/picture");
      else
        expect([answer.status, app.received[0]?.target, app.received[0]?.body]).toEqual([
          200,
          "/picture",
          body,
        ]);
      if (size < 1_000 || version !== "2.6") expect(answer.status).toBe(307);
    },
  );

  test("a body without a length arrives, too", async () => {
    app.forget();
    const client = await site.connect();
    client.send(
      `POST /picture HTTP/1.1\r\nHost: ${HOST}\r\nReferer: ${PAGE}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    await Bun.sleep(50);
    client.send("5\r\nhello\r\n0\r\n\r\n");
    const { status } = await client.response("POST");
    client.close();
    expect(status).toBe(version === "2.6" ? 200 : 307);
  });

  test.each([
    ["no-referrer", "same-origin"],
    ["No-Referrer", "same-origin"],
    ["strict-origin", "strict-origin-when-cross-origin"],
    ["same-origin", "same-origin"],
    ["no-referrer, unsafe-url", "no-referrer, unsafe-url"],
  ])("an application's Referrer-Policy %s becomes %s", async (sent, got) => {
    app.answerer = () => reply(200, [["Referrer-Policy", sent]]);
    const answer = await site.ask({ target: "/foo/bar/" });
    app.answerer = () => reply(200);
    expect(answer.header("Referrer-Policy")).toBe(got);
  });

  test("a path with a route of its own stays where it is", async () => {
    expect((await follow("/foo/a", PAGE)).status).toBe(200);
    expect(app.received.map(({ target }) => target)).toEqual(["/a"]);
  });

  test("without a Referer it leads nowhere", async () => {
    const answer = await site.ask({ target: "/a", headers: { Host: HOST } });
    expect(answer.status).toBe(403);
  });

  test("with --no-mend-links none of that", async () => {
    const [other, running] = await start({ mendLinks: false });
    const answer = await other.ask({ target: "/a", headers: { Host: HOST, Referer: PAGE } });
    expect(answer.status).toBe(403);
    await running.stop();
  });

  describe("the prefix without its slash", () => {
    const HTML = "text/html,application/xhtml+xml,*/*;q=0.8";

    test.each([
      ["/foo/bar", "/foo/bar/"],
      ["/foo/bar?", "/foo/bar/?"],
      ["/foo/bar?a=b/c?d", "/foo/bar/?a=b/c?d"],
      ["/foo", "/foo/"],
    ])("%s leads a browser to %s", async (target, location) => {
      const answer = await askFor(target, HTML);
      expect([answer.status, answer.header("Location")]).toEqual([308, location]);
      expect(answer.header("Vary")).toBe("Accept");
      expect(app.received).toEqual([]);
    });

    test.each([
      ["/foo/bar", "*/*", "GET", "/"],
      ["/foo/bar?a", "application/json", "GET", "/?a"],
      ["/foo/bar", HTML, "POST", "/"],
      ["/foo/bar", HTML, "HEAD", "/"],
      ["/foo/bar/", HTML, "GET", "/"],
      ["/foo/bar/x", HTML, "GET", "/x"],
    ])(
      "%s of a client that accepts %s (%s) reaches the container",
      async (target, accept, method, seen) => {
        expect((await askFor(target, accept, method)).status).toBe(200);
        expect(app.received.map((request) => request.target)).toEqual([seen]);
      },
    );
  });

  test.each([
    ["http://www.test:81/foo/bar/c.txt", "http://www.test:81/c.txt"],
    ["http://WWW.TEST/foo/bar/c.txt?x", "http://WWW.TEST/c.txt?x"],
    ["https://www.test:443/foo/bar/a/b/", "https://www.test:443/a/b/"],
    ["//www.test:81/foo/bar/c", "//www.test:81/c"],
    ["/foo/bar/c.txt", "/c.txt"],
    ["/foo/bar", "/"],
    // Somewhere else: the container has to refuse it.
    ["http://other/foo/bar/c", "http://other/foo/bar/c"],
    ["http://www.test:81/foo/c", "http://www.test:81/foo/c"],
    ["/foo/barn/c", "/foo/barn/c"],
    ["c.txt", "c.txt"],
    ["/foo/bar/a|b|c", "/a|b|c"],
    ["/foo/bar/..a/b../c", "/..a/b../c"],
  ])("WebDAV's Destination %s is %s for the container", async (sent, got) => {
    for (const method of ["MOVE", "COPY"]) {
      app.forget();
      await site.ask({ target: "/foo/bar/x", method, headers: { Host: HOST, Destination: sent } });
      expect(app.received.map((request) => request.values("Destination"))).toEqual([[got]]);
    }
  });

  test.each([
    "/foo/bar/../x",
    "http://www.test:81/foo/bar/a/%2E./",
    "/foo/bar/x/..%2fy",
    "/foo/bar/..",
  ])("a Destination that climbs (%s) is answered 400", async (sent) => {
    app.forget();
    const headers = { Host: HOST, Destination: sent };
    expect((await site.ask({ target: "/foo/bar/x", method: "MOVE", headers })).status).toBe(400);
    expect(app.received).toEqual([]);
  });

  test("nobody gets a Destination who sent none, and other methods keep theirs", async () => {
    app.forget();
    await site.ask({ target: "/foo/bar/x", method: "MOVE", headers: { Host: HOST } });
    await site.ask({ target: "/foo/bar/x", headers: { Host: HOST, Destination: "/foo/bar/y" } });
    const found = app.received.map((request) => request.values("Destination"));
    expect(found).toEqual([[], ["/foo/bar/y"]]);
  });
});
