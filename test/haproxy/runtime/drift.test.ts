// A HAProxy that is not what it was left as: changed by hand, restarted, replaced; files that were edited.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Files } from "../../../src/model.ts";
import { haproxyVersions } from "../../lab/haproxy.ts";
import { eventually } from "../../lab/http.ts";
import { startApp, type App } from "../../lab/app.ts";
import { holdNext } from "../../lab/asking.ts";
import { containerName, serviceOf, Site, START_MS, type Service } from "../../lab/proxy.ts";
import { Running } from "../../lab/running.ts";
import { findDrift } from "../../../src/haproxy/runtime/drift.ts";

setDefaultTimeout(START_MS);

describe.each(haproxyVersions())("compared, HAProxy %s", (version) => {
  const addsBackends = Number(version) >= 3.4;
  let site: Site;
  let running: Running;
  let app: App;
  let services: Service[];
  let wanted: Files;
  let map: string;
  /** The servers as commands name them: the first is in the file, the last was added. */
  let first: string;
  let last: string;

  beforeEach(async () => {
    site = await Site.make(version);
    app = await startApp();
    map = site.setup.files.pathOf("routes.map");
    services = [of("foo", "one"), of("foo", "two"), of("bar", "three")];
    wanted = site.render(services).files;
    // One server and one service are there by commands, the others by the file.
    running = await Running.start(site, site.render(services.slice(0, 1)).files);
    expect(await running.go(wanted)).toBe("commands");
    const keys = Object.keys(await running.servers());
    first = keys.find((key) => named(key).endsWith("/one")) ?? "";
    last = keys.find((key) => named(key).endsWith("/three")) ?? "";
  });

  afterEach(async () => {
    await running.stop();
    await app.stop();
  });

  test("as it was left, there is nothing to do", async () => {
    expect(await verified()).toBe("nothing");
    expect(await verified()).toBe("nothing");
    expect(running.log.filter((line) => !line.startsWith("debug: "))).toEqual([]);
  });

  describe("what was done by hand is undone", () => {
    test.each<[string, (one: string, three: string, map: string) => string, RegExp]>([
      ["a server drained", (one) => `set server ${one} state drain`, /disabled server foo\/one/],
      [
        "a server stopped",
        (_, three) => `set server ${three} state maint`,
        /disabled server \S+three/,
      ],
      [
        "a server moved",
        (one) => `set server ${one} addr 127.0.0.9 port 9`,
        /one at 127\.0\.0\.9:9$/,
      ],
      ["a server weighed", (one) => `set server ${one} weight 9`, /one with weight 9$/],
      [
        "a server removed",
        (_, three) => `set server ${three} state maint;del server ${three}`,
        /has no server \S+three/,
      ],
      [
        "a server added",
        () => "add server foo/x 127.0.0.9:9",
        /a server foo\/x that should be gone/,
      ],
      ["a route removed", (_1, _2, path) => `del map ${path} /foo/`, /other entries in map/],
      ["a route added", (_1, _2, path) => `add map ${path} /baz/ foo|1`, /other entries in map/],
      ["a route changed", (_1, _2, path) => `set map ${path} /foo/ foo|0`, /other entries in map/],
      ["no route left", (_1, _2, path) => `clear map ${path}`, /other entries in map/],
    ])("%s", async (_, command, reason) => {
      await running.ask(command(first, last, map));
      expect(await verified()).toBe("reload");
      expect(reasons()).toEqual([expect.stringMatching(reason)]);
      await asWanted();
    });

    test("several things, with the first of them named", async () => {
      await running.ask(`clear map ${map};set server ${first} state drain`);
      for (const name of ["a", "b", "c"]) await running.ask(`add server foo/${name} 127.0.0.9:9`);
      expect(await verified()).toBe("reload");
      expect(running.reloads[0]?.[0]?.split(", ")).toHaveLength(3);
      await asWanted();
    });

    if (addsBackends) {
      test("a backend added", async () => {
        await running.ask("add backend baz from _backend");
        expect(await verified()).toBe("reload");
        expect(running.reloads).toEqual([["HAProxy has a backend baz that should be gone"]]);
        expect((await running.backends()).toSorted()).toEqual(["bar", "foo"]);
      });

      test("a backend removed", async () => {
        const bar = last.slice(0, last.indexOf("/"));
        await running.ask(
          `set server ${last} state maint;del server ${last};del server ${bar}/_wait`,
        );
        await running.ask(`unpublish backend ${bar};del backend ${bar}`);
        expect(await verified()).toBe("reload");
        expect(running.reloads).toEqual([[expect.stringContaining(`has no backend ${bar}`)]]);
        await asWanted();
      });
    }

    test("a server enabled that should get nothing", async () => {
      await running.serve([of("foo", "one"), of("foo", "two", { state: "paused" })]);
      const keys = Object.keys(await running.servers());
      const [two = ""] = keys.filter((key) => named(key).endsWith("/two"));
      await running.ask(`set server ${two} state ready`);
      wanted = site.render([of("foo", "one"), of("foo", "two", { state: "paused" })]).files;
      expect(await verified()).toBe("reload");
      expect(reasons()).toEqual([expect.stringMatching(/enabled server foo\/two/)]);
      expect(await running.status(two)).toStartWith("MAINT");
    });
  });

  test("what is on its way out, or drained ahead of all else, is as it should be", async () => {
    const held = holdNext(app);
    const asked = site.ask({ target: "/bar" });
    await held.received;
    wanted = site.render(services.slice(0, 2)).files;
    expect(await running.go(wanted)).toBe("commands");
    running.runtime.drain("foo", first.slice("foo/".length));
    await eventually(async () => expect(await running.status(first)).toStartWith("DRAIN"));
    expect(await running.status(last)).toStartWith("DRAIN");
    await running.verify();
    // It is meant to serve, and was drained by nobody else.
    expect(await running.go(wanted)).toBe("commands");
    await eventually(async () => expect(await running.status(first)).toStartWith("UP"));
    expect(running.reloads).toEqual([]);
    held.answer();
    expect((await asked).body).toBe("held");
  });

  test("what is removed while HAProxy answers is no difference", async () => {
    const { runtime, applier } = running;
    const two = Object.keys(await running.servers()).find((key) => named(key).endsWith("/two"));
    const without = site.render([of("foo", "one"), of("bar", "three")]).files;
    const capabilities = await runtime.capabilities();
    const found = (...leaving: string[]): Promise<readonly string[]> => {
      const compared = {
        ask: (line: string) => runtime.ask(line),
        overridden: new Set<string>(),
        // They were on their way out when HAProxy was asked, and are gone when its answer is there.
        removals: { names: new Set(leaving), hasServer: () => false, hasBackend: () => false },
      };
      if (capabilities === undefined) throw new Error("HAProxy does not answer");
      return findDrift(compared, without, applier.applied.aliases, capabilities);
    };
    expect(await found(two ?? "")).toEqual([]);
    expect(await found()).toEqual([`HAProxy has a server ${two} that should be gone`]);
  });

  describe("files that somebody edited are written again", () => {
    test.each<[string, (config: string, routes: string) => string | undefined]>([
      ["the configuration", (config) => append(config, "# mine\n")],
      ["a map", (_, routes) => append(routes, "/mine/ foo|1\n")],
      ["no configuration left", gone],
      ["no map left", (_, routes) => gone(routes)],
    ])("%s", async (_, edit) => {
      await running.written(wanted);
      const edited = edit(site.setup.paths.output, map);
      const mine = edited === undefined ? undefined : readFileSync(edited, "utf8");
      expect(await verified()).toBe("nothing");
      await running.written(wanted);
      expect(running.log.filter((line) => line.startsWith("warn: "))).toEqual([
        expect.stringMatching(
          / was (changed|removed) by somebody else: it is written again(, and what .*)?$/,
        ),
      ]);
      // What was there is not lost.
      if (edited !== undefined) expect(readFileSync(`${edited}.edited`, "utf8")).toBe(mine ?? "");
    });

    test("and not run, if HAProxy has read them", async () => {
      await running.written(wanted);
      const { output } = site.setup.paths;
      const edited = readFileSync(output, "utf8").replace("status 403", "status 404");
      writeFileSync(output, edited);
      await running.reloadByHand();
      expect((await site.ask({ target: "/baz" })).status).toBe(404);
      expect(await verified()).toBe("reload");
      expect(running.reloads).toEqual([[`${output} was changed by somebody else`]]);
      await asWanted();
      await running.written(wanted);
    });
  });

  test("a gateway that starts anew takes it as it is", async () => {
    await running.written(wanted);
    await running.takeOver(wanted);
    expect(await running.go(wanted)).toBe("nothing");
    wanted = site.render([...services, of("baz", "four")]).files;
    expect(await running.go(wanted)).toBe("commands");
    expect((await site.ask({ target: "/baz" })).status).toBe(200);
    expect(await running.serve(services)).toBe("commands");
    await eventually(asWanted);
    expect(running.reloads).toEqual([]);
  });

  test("a gateway that starts anew sets right what is not as its files say", async () => {
    await running.written(wanted);
    await running.ask(`set map ${map} /foo/ foo|0`);
    await running.takeOver(wanted);
    expect(await running.go(wanted)).toBe("reload");
    await asWanted();
  });

  describe("another process on the same files is taken as it is", () => {
    test.each<[string, () => Promise<void>]>([
      ["reloaded by hand", () => running.reloadByHand()],
      ["restarted by hand", () => running.restart()],
    ])("%s", async (_, act) => {
      await running.written(wanted);
      await act();
      expect(await verified()).toBe("nothing");
      await asWanted();
      expect(await running.serve([...services, of("baz", "four")])).toBe("commands");
      expect((await site.ask({ target: "/baz" })).status).toBe(200);
      expect(running.reloads).toEqual([]);
    });

    // Files for 3.4 have words that 2.6 does not know.
    test.if(!addsBackends)("of a later version, it is spoken to in its own way", async () => {
      await running.written(wanted);
      await running.restart("3.4");
      expect(await verified()).toBe("nothing");
      await asWanted();
      // It can remove a backend that its files have.
      expect(await running.serve(services.filter(({ image }) => image !== "bar"))).toBe("commands");
      await eventually(async () => expect(await running.backends()).toEqual(["foo"]));
      await running.restart();
    });

    test("unless it read them before the last change", async () => {
      await running.written(wanted);
      const paths = [site.setup.paths.output, map];
      const current = paths.map((path) => readFileSync(path, "utf8"));
      const { config, assets } = site.render(services.slice(0, 1)).files;
      writeFileSync(site.setup.paths.output, config);
      writeFileSync(map, assets[map]?.text ?? "");
      await running.restart();
      for (const [index, path] of paths.entries()) writeFileSync(path, current[index] ?? "");
      expect(await verified()).toBe("reload");
      expect(reasons()[0]).toContain("HAProxy has no server foo/two");
      await asWanted();
    });
  });

  function of(image: string, name: string, more: Partial<Service> = {}): Service {
    return serviceOf(app, { image, name, ...more });
  }

  /** The reasons of the last reload, with the names of containers. */
  function reasons(): string[] {
    return (running.reloads.at(-1) ?? []).map(named);
  }

  /** Compares, and does what has to be done then. */
  async function verified(): ReturnType<Running["go"]> {
    await running.verify();
    return running.go(wanted);
  }

  /** Whether all is served, and nothing else. */
  async function asWanted(): Promise<void> {
    const statuses = await Promise.all(
      ["/foo", "/bar", "/baz"].map(async (target) => (await site.ask({ target })).status),
    );
    expect(statuses).toEqual([200, 200, 403]);
    const servers = Object.keys(await running.servers()).map(
      (key) => named(key).split("/")[1] ?? "",
    );
    expect(servers.toSorted()).toEqual(["one", "three", "two"]);
  }
});

/** A text with the names of containers in the place of their IDs. */
function named(text: string): string {
  return text.replaceAll(/\b[0-9a-f]{12}\b/g, containerName);
}

function gone(path: string): undefined {
  rmSync(path);
}

/** Adds a text to a file, and gives the file's path. */
function append(path: string, text: string): string {
  writeFileSync(path, readFileSync(path, "utf8") + text);
  return path;
}
