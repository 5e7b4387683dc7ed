// Proves that HAProxy remembers the servers that lead a client to the very URL that it asked for.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { cli, haproxyVersions, type Haproxy } from "../lab/haproxy.ts";
import { reply, startApp, type App } from "../lab/app.ts";
import { containerName, serviceOf, Site, START_MS } from "../lab/proxy.ts";
import { readCircles } from "../../src/haproxy/runtime/oddities.ts";

describe.each(haproxyVersions())(
  "answers that lead to where they came from, HAProxy %s",
  (version) => {
    let app: App;
    let left: App;
    let site: Site;
    let haproxy: Haproxy | undefined;

    beforeAll(async () => {
      [app, left] = [await startApp(), await startApp()];
      site = await Site.make(version);
      haproxy = await site.start([
        serviceOf(app, { image: "foo/bar", name: "bar" }),
        serviceOf(left, { image: "left", name: "left", labels: { "gateway.strip": "false" } }),
      ]);
    }, START_MS);

    beforeEach(async () => {
      await ask("clear table _http");
    });

    afterAll(async () => {
      await haproxy?.stop();
      await app.stop();
      await left.stop();
    });

    test.each([
      ["/foo/bar/", "/foo/bar/"],
      ["/foo/bar", "/foo/bar"],
      ["/foo/bar/x?y=/foo,bar", "/foo/bar/x?y=/foo,bar"],
      ["/foo/bar/%2F%c3%a9|x", "/foo/bar/%2F%c3%a9|x"],
      ["/foo/bar/x", "http://www.test:81/foo/bar/x"],
    ])("%s to %s is remembered", async (target, location) => {
      for (const status of [301, 302, 303, 307, 308]) await send(target, location, { status });
      await send(target, location, { method: "HEAD" });
      expect(await circles()).toEqual({ bar: 6 });
    });

    test.each<[string, string, string, Parameters<typeof send>[2]]>([
      ["another path", "/foo/bar", "/foo/bar/", {}],
      ["another query", "/foo/bar/?a", "/foo/bar/?b", {}],
      ["another letter's case", "/foo/bar/X", "/foo/bar/x", {}],
      ["another host", "/foo/bar/x", "http://other:81/foo/bar/x", {}],
      ["another scheme", "/foo/bar/x", "https://www.test:81/foo/bar/x", {}],
      // After the prefix is put before it, it is the same, but strip=false would be no remedy.
      ["one that does not know of the prefix", "/foo/bar/x", "/x", {}],
      ["after a form was sent", "/foo/bar/x", "/foo/bar/x", { method: "POST" }],
      ["with a cookie", "/foo/bar/x", "/foo/bar/x", { cookie: "a=b" }],
      ["no redirect", "/foo/bar/x", "/foo/bar/x", { status: 201 }],
      ["what is its own", "/foo/bar/x", "/foo/bar/x", { status: 304 }],
    ])("%s is not", async (_, target, location, options) => {
      await send(target, location, options);
      expect(await circles()).toEqual({});
    });

    test("nor is one whose prefix is left on", async () => {
      left.answerer = () => reply(302, [["Location", "/left/"]]);
      await site.ask({ target: "/left/" });
      expect(await circles()).toEqual({});
    });

    async function send(
      target: string,
      location: string,
      options: { status?: number; method?: string; cookie?: string } = {},
    ): Promise<void> {
      const { status = 302, method = "GET", cookie } = options;
      app.answerer = () =>
        reply(status, [
          ["Location", location],
          ...(cookie === undefined ? [] : [["Set-Cookie", cookie] as const]),
        ]);
      const answer = await site.ask({ target, method, headers: { Host: "www.test:81" } });
      expect(answer.status).toBe(status);
    }

    /** How often each container led a client in a circle, by its name. */
    async function circles(): Promise<Record<string, number>> {
      const found = await readCircles(ask);
      return Object.fromEntries(found.map(({ server, count }) => [containerName(server), count]));
    }

    function ask(line: string): Promise<string> {
      return cli(site.setup.paths.haproxy.statsSocket, line);
    }
  },
);
