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
    test.each<[string, string[], string, RegExp]>([
      ["balance static-rr", ["balance static-rr"], "", /dynamic (servers|load balancing)/],
      ["balance uri", ["balance uri"], "", /dynamic (servers|load balancing)/],
      ["a setting of the server", [], " init-addr last", /'init-addr' option is not accepted/],
      ["another one", [], " non-stick", /'non-stick' option is not accepted/],
    ])("%s", async (_, lines, setting, reason) => {
      const foo = [...lines, `server one ${target}${setting}`];
      await start(route(foo));
      const both = [...foo, `server two ${target}${setting}`];
      expect(await go(route(both))).toBe("reload");
      expect(reasons()).toMatch(reason);
      expect(Object.keys(await running.servers())).toEqual(["foo/one", "foo/two"]);
      expect((await site.ask({ target: "/foo/" })).status).toBe(200);
    });

    test("a setting inherited from its defaults", async () => {
      const defaults = ["default-server init-addr last"];
      await start({ ...route([`server one ${target}`]), defaults });
      const both = [`server one ${target}`, `server two ${target}`];
      expect(await go({ ...route(both), defaults })).toBe("reload");
      expect(reasons()).toMatch(/'init-addr' option is not accepted for dynamic server/);
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
      expect(await running.entries(site.setup.files.mapPath("routes"))).toHaveLength(1);
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
      const map = site.setup.files.mapPath("routes");
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
      expect(reasons()).toContain("Permission denied");
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
