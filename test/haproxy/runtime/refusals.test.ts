// What HAProxy will not have done to it while it runs becomes a reload that says why.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { haproxyVersions } from "../../lab/haproxy.ts";
import { startApp, type App } from "../../lab/app.ts";
import { handmade, type Handmade } from "../../lab/handmade.ts";
import { Site, START_MS } from "../../lab/proxy.ts";
import { startRecorder, type Recorder } from "../../lab/recorder.ts";
import { Running, type RunningOptions } from "../../lab/running.ts";

setDefaultTimeout(START_MS);

describe.each(haproxyVersions())("refused, HAProxy %s", (version) => {
  const addsBackends = Number(version) >= 3.4;
  let site: Site;
  let app: App;
  let running: Running;
  let recorder: Recorder | undefined;
  /** A server that answers, as a line's end. */
  let target: string;

  beforeEach(async () => {
    site = await Site.make(version);
    app = await startApp();
    target = `127.0.0.1:${app.port}`;
  });

  afterEach(async () => {
    await running.stop();
    await recorder?.close();
    recorder = undefined;
    await app.stop();
  });

  describe("by what the files say", () => {
    const takesNo = (setting: string): string =>
      `HAProxy ${version} takes no "${setting}" on a server that is added while it runs`;

    test.each([
      ["balance static-rr"],
      ["balance uri"],
      ["balance source"],
      ["balance hdr(X-User)"],
    ])("%s, which is known beforehand", async (line) => {
      const proxy = await record();
      const foo = [line, `server one ${target}`];
      await start(route(foo), { socket: proxy.socket });
      expect(await go(route([...foo, `server two ${target}`]))).toBe("reload");
      expect(reasons()).toBe(
        `backend "foo" has "${line}", with which HAProxy adds no server while it runs`,
      );
      // It would have been refused.
      expect(proxy.sent.join()).not.toContain("add server");
      expect(await running.ask("add server foo/three 127.0.0.9:1")).toMatch(/dynamic/);
      expect(Object.keys(await running.servers())).toEqual(["foo/one", "foo/two"]);
      expect((await site.ask({ target: "/foo/" })).status).toBe(200);
    });

    test.each([
      ["init-addr", "init-addr last"],
      ["non-stick", "non-stick"],
      // From 3.0 on it is taken.
      ...(version === "2.6" ? [["cookie", "check cookie two"]] : []),
    ])("%s of a server: once, and from then on it is known", async (name = "", setting = "") => {
      const proxy = await record();
      const [one, two, three] = ["one", "two", "three"].map(
        (server) => `server ${server} ${target} ${setting}`,
      ) as [string, string, string];
      await start(route([one]), { socket: proxy.socket });
      expect(await go(route([one, two]))).toBe("reload");
      expect(await go(route([one, two, three]))).toBe("reload");
      expect(running.reloads).toEqual([[takesNo(name)], [takesNo(name)]]);
      expect(proxy.sent.filter((text) => text.startsWith("add server"))).toHaveLength(1);
      expect((await site.ask({ target: "/foo/" })).status).toBe(200);

      // All else goes on as before, and what depends on the moment is tried again.
      running.reloads.length = 0;
      const four = `server four ${target}`;
      expect(await go(route([one, two, three, four]))).toBe("commands");
      await running.ask("add server foo/five 127.0.0.9:1");
      const five = `server five ${target}`;
      expect(await go(route([one, two, three, four, five]))).toBe("reload");
      expect(reasons()).toContain("Already exists a server with the same name in backend");
      expect(await go(route([one, two, three, four]))).toBe("commands");
      expect(await go(route([one, two, three, four, five]))).toBe("commands");
    });

    test("each of several settings", async () => {
      const lines = ["init-addr last", "non-stick", "init-addr last non-stick"].map(
        (setting, index) => `server s${index} ${target} ${setting}`,
      );
      await start(route([]));
      for (let count = 1; count <= lines.length; count++) await go(route(lines.slice(0, count)));
      expect(running.reloads).toEqual([
        [takesNo("init-addr")],
        [takesNo("non-stick")],
        [takesNo("init-addr")],
      ]);
    });

    test("a setting inherited from its defaults", async () => {
      const defaults = ["default-server init-addr last"];
      await start({ ...route([`server one ${target}`]), defaults });
      const both = [`server one ${target}`, `server two ${target}`];
      expect(await go({ ...route(both), defaults })).toBe("reload");
      expect(reasons()).toBe(takesNo("init-addr"));
    });

    test("balance uri, but only what goes", async () => {
      const [one, two] = [`server one ${target}`, `server two ${target}`];
      await start(route(["balance uri", one, two]));
      expect(await go(route(["balance uri", one, `${two} disabled`]))).toBe("commands");
      expect(await go(route(["balance uri", one]))).toBe("commands");
      expect((await site.ask({ target: "/foo/" })).status).toBe(200);
    });

    test("a route too long for its command line", async () => {
      await start(route([`server one ${target}`]));
      const long = `/${"x".repeat(15_000)}/`;
      expect(await go({ ...route([`server one ${target}`]), routes: [`${long} foo`] })).toBe(
        "reload",
      );
      expect(reasons()).toMatch(/^A command of \d+ bytes is too long$/);
      expect(await running.entries(site.setup.files.pathOf("routes.map"))).toHaveLength(1);
    });
  });

  describe("by what somebody did by hand", () => {
    test("a server of that name", async () => {
      await start(route([`server one ${target}`]));
      await running.ask("add server foo/two 127.0.0.9:1");
      expect(await go(route([`server one ${target}`, `server two ${target}`]))).toBe("reload");
      expect(reasons()).toContain("Already exists a server with the same name in backend");
      expect((await running.servers())["foo/two"]?.address).toBe(target);
    });

    test("a server that is gone", async () => {
      await start(route([`server one ${target}`, `server two ${target}`]));
      await running.ask("set server foo/two state maint;del server foo/two");
      const disabled = [`server one ${target}`, `server two ${target} disabled`];
      expect(await go(route(disabled))).toBe("reload");
      expect(reasons()).toContain("No such server");
      expect(await running.status("foo/two")).toStartWith("MAINT");
    });

    test("a route that is gone", async () => {
      const routes = ["/a/ foo", "/b/ foo"];
      const foo = [`server one ${target}`];
      await start({ ...route(foo), routes });
      const map = site.setup.files.pathOf("routes.map");
      await running.ask(`del map ${map} /a/`);
      expect(await go({ ...route(foo), routes: ["/a/ foo|1", "/b/ foo"] })).toBe("reload");
      expect(reasons()).toContain("entry not found");
      expect(await running.entries(map)).toEqual(["/a/ foo|1", "/b/ foo"]);
    });

    if (addsBackends) {
      test("a backend of that name", async () => {
        const one = route([`server one ${target}`]);
        await start(one);
        await running.ask("add backend bar from _back");
        const both = { ...one.backends, bar: [`server one ${target}`] };
        expect(await go({ routes: ["/bar/ bar"], backends: both })).toBe("reload");
        expect(reasons()).toContain("name is already used by other proxy");
        expect((await site.ask({ target: "/bar/" })).status).toBe(200);
      });

      test("a backend that is gone", async () => {
        const [one, bar] = [[`server one ${target}`], [`server one ${target}`]];
        await start({ backends: { foo: one, bar } });
        for (const command of [
          "unpublish backend bar",
          "set server bar/one state maint",
          "del server bar/one",
          "del backend bar",
        ]) {
          await running.ask(command);
        }
        expect(await go(route(one))).toBe("reload");
        expect(reasons()).toContain("No such backend");
      });
    }
  });

  describe("by the socket", () => {
    const [one, two] = ["server one ", "server two "];

    test("that gives too few rights", async () => {
      await start(route([one + target]));
      const weak = { ...files(route([one + target])) };
      const config = weak.config.replace("level admin", "level operator");
      await running.go({ ...weak, config });
      running.reloads.length = 0;
      const wanted = files(route([one + target, two + target]));
      const restricted = wanted.config.replace("level admin", "level operator");
      expect(await running.go({ ...wanted, config: restricted })).toBe("reload");
      expect(reasons()).toMatch(/is not of level admin/);
      expect(await running.ask("disable server foo/two")).toContain("Permission denied");
      expect(Object.keys(await running.servers())).toEqual(["foo/one", "foo/two"]);
    });

    test("that is gone, and comes back with the reload", async () => {
      await start(route([one + target]));
      await running.runtime.capabilities();
      const { statsSocket } = site.setup.paths.haproxy;
      rmSync(statsSocket);
      expect(await go(route([two + target]))).toBe("reload");
      expect(reasons()).toContain(`Cannot ask HAProxy at "${statsSocket}"`);
      expect((await site.ask({ target: "/foo/" })).status).toBe(200);

      running.reloads.length = 0;
      await running.verify();
      expect(await go(route([one + target, two + target]))).toBe("commands");
      expect((await site.ask({ target: "/foo/" })).status).toBe(200);
    });

    test("that closes in the middle of a command", async () => {
      const proxy = await startRecorder(site.setup.paths.haproxy.statsSocket);
      recorder = proxy;
      await start(route([one + target]), { socket: proxy.socket });
      await running.runtime.capabilities();
      proxy.onSent = (text) => {
        if (text.startsWith("add server")) void proxy.close();
      };
      expect(await go(route([one + target, two + target]))).toBe("reload");
      expect(reasons()).toMatch(
        /^HAProxy refused to be changed: it hung up \(in "add server foo\/two/,
      );
      expect(await running.status("foo/two")).toBe("no check");
    });
  });

  // It takes its time, and is the same whatever the version.
  if (version === haproxyVersions()[0]) {
    test("by silence", async () => {
      const proxy = await startRecorder(site.setup.paths.haproxy.statsSocket);
      recorder = proxy;
      await start(route([`server one ${target}`]), { socket: proxy.socket });
      await running.runtime.capabilities();
      proxy.silence();
      const wanted = route([`server one ${target}`, `server two ${target}`]);
      expect(await go(wanted)).toBe("reload");
      expect(reasons()).toBe(`Cannot ask HAProxy at "${proxy.socket}": no answer in 10 s`);
      expect(await running.status("foo/two")).toBe("no check");
    });
  }

  test("afterwards all is as before: the next change is made by commands", async () => {
    const first = [`server one ${target} cookie a`, `server two ${target} init-addr last`];
    await start(route(first.slice(0, 1)));
    await go(route(first));
    running.reloads.length = 0;
    expect(await go(route([...first, `server three ${target}`]))).toBe("commands");
    expect(await go(route([`server three ${target}`]))).toBe("commands");
    expect((await site.ask({ target: "/foo/" })).body).toBe(app.name);
    expect(running.reloads).toEqual([]);
  });

  function files(parts: Handmade) {
    return handmade(site, parts);
  }

  async function start(parts: Handmade, options?: RunningOptions): Promise<void> {
    running = await Running.start(site, files(parts), options);
  }

  function go(parts: Handmade): ReturnType<Running["go"]> {
    return running.go(files(parts));
  }

  /** Records what HAProxy is told. */
  async function record(): Promise<Recorder> {
    recorder = await startRecorder(site.setup.paths.haproxy.statsSocket);
    return recorder;
  }

  /** The reasons of the only reload. */
  function reasons(): string {
    expect(running.reloads).toHaveLength(1);
    return running.reloads.flat().join();
  }
});

/** A backend with these lines, and a route to it. */
function route(foo: string[]): Handmade {
  return { backends: { foo }, routes: ["/foo/ foo"] };
}
