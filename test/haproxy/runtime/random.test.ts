// Whatever containers go through, HAProxy runs what a fresh one would on the files that are written.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { basename } from "node:path";
import type { Files } from "../../../src/model.ts";
import { cli, haproxyVersions, startHaproxy } from "../../lab/haproxy.ts";
import { eventually } from "../../lab/http.ts";
import { labDir } from "../../lab/leftovers.ts";
import { namedFiles } from "../../lab/named-files.ts";
import { freePort, startApp, type App } from "../../lab/app.ts";
import { keepPort } from "../../lab/ports.ts";
import { Fleet, type Place } from "../../lab/fleet.ts";
import { Site, withPlainBackends, type Service } from "../../lab/proxy.ts";
import { Running } from "../../lab/running.ts";
import { viewOfFiles, viewOfHaproxy, type SiteView } from "../../lab/site-context.ts";

/** `LAB_SEQUENCES` takes more of them. */
const SEQUENCES = Number(process.env["LAB_SEQUENCES"] ?? 250);
const STEPS = 2;
/** A fresh HAProxy is started after so many sequences. */
const FRESH_EVERY = 25;
/** And HAProxy is reloaded, for whatever reason. */
const RELOAD_EVERY = 50;
/** `LAB_SEED` takes other ways through it. */
const SEED = Number(process.env["LAB_SEED"] ?? 2018);
/** A sequence takes some 80 ms, and longer on a busy machine. */
const LIMIT_MS = SEQUENCES * 300 + 30_000;

describe.each(haproxyVersions())("by chance, HAProxy %s", (version) => {
  const addsBackends = Number(version) >= 3.4;
  // Each version takes another way.
  const seed = SEED + Math.round(Number(version) * 10);
  const apps: App[] = [];
  let site: Site;
  let running: Running;
  let map: string;
  let places: Place[];
  /** Keeps the port where nobody answers. */
  let kept: Socket;

  beforeEach(async () => {
    for (const address of ["127.0.0.1", "127.0.0.2", "::1"]) apps.push(await startApp({ address }));
    const alive = apps.map(({ address, port }) => ({ address, port, alive: true }));
    const dead = { address: "127.0.0.3", port: await freePort(), alive: false };
    places = [...alive, dead];
    kept = await keepPort(dead.port, alive[0]?.port ?? 0);
    site = await Site.make(version, { ports: [dead.port, alive[0]?.port ?? 0] });
    map = site.setup.files.pathOf("routes.map");
  });

  afterEach(async () => {
    await running.stop();
    kept.destroy();
    for (const app of apps.splice(0)) await app.stop();
  });

  test(
    `${SEQUENCES} sequences of changes, LAB_SEED=${SEED}`,
    async () => {
      const fleet = new Fleet(seed, places, addsBackends);
      running = await Running.start(site, render([]), { grace: 100 });
      let desired = render([]);
      for (let sequence = 1; sequence <= SEQUENCES; sequence++) {
        for (let count = 0; count < STEPS; count++) {
          drainSomething(desired, sequence);
          fleet.step();
          desired = render(fleet.services);
          await running.go(desired);
          await compare(desired, fleet);
        }
        if (sequence % FRESH_EVERY !== 0) continue;
        await compareWithFresh(desired);
        if (sequence % RELOAD_EVERY === 0) await running.applier.reload(desired);
        await running.verify();
        const done = await running.go(desired);
        expect([done, done === "reload" ? running.reloads.at(-1) : []]).toEqual(["nothing", []]);
      }
      if (addsBackends) expect(running.reloads).toEqual([]);
      const reasons = running.reloads
        .flat()
        .filter((why) => !/cannot add one at run time/.test(why));
      expect(reasons).toEqual([]);
    },
    LIMIT_MS,
  );

  /** With backends that HAProxy adds and removes, where it can; else with spare ones. */
  function render(services: readonly Service[]): Files {
    const { files } = site.render(services);
    return addsBackends ? withPlainBackends(files) : files;
  }

  /** Now and then a server is drained ahead of all else, whatever becomes of it. */
  function drainSomething(desired: Files, sequence: number): void {
    if (sequence % 3 !== 0) return;
    const keys = Object.entries(viewOfFiles(desired)).flatMap(([route, servers]) =>
      Object.keys(servers).map((name) => [backendOf(route), name] as const),
    );
    const [backend, name] = keys[sequence % Math.max(1, keys.length)] ?? [];
    if (backend === undefined || name === undefined) return;
    running.runtime.drain(running.applier.runningName(backend), name);
  }

  async function compare(desired: Files, fleet: Fleet): Promise<void> {
    const expected = viewOfFiles(desired);
    const found = await viewOfHaproxy((command) => running.ask(command), map);
    try {
      // What is on its way out may still be there, drained.
      for (const [route, servers] of Object.entries(found)) {
        for (const [name, state] of Object.entries(servers)) {
          const isLeaving = expected[route]?.[name] === undefined && state.endsWith(" off");
          if (isLeaving) delete servers[name];
        }
      }
      expect(found).toEqual(expected);
      await usable(expected);
    } catch (error) {
      if (error instanceof Error) error.message += `\n${fleet.history.join("\n")}`;
      throw error;
    }
  }

  /** The living get requests, soon; the dead never do. */
  async function usable(expected: SiteView): Promise<void> {
    const living = new Set(
      places.filter(({ alive }) => alive).map(({ address, port }) => `${address}:${port} on`),
    );
    const wanted = Object.values(expected).flatMap((servers) => Object.entries(servers));
    const up = wanted.filter(([, state]) => living.has(state)).map(([name]) => name);
    const known = new Set(up);
    expect((await upNow()).filter((name) => !known.has(name))).toEqual([]);
    await eventually(async () => expect((await upNow()).toSorted()).toEqual(up.toSorted()));
  }

  /** The names of the servers that are up. */
  async function upNow(): Promise<string[]> {
    const servers = Object.entries(await running.servers());
    return servers
      .filter(([, { status }]) => status.startsWith("UP"))
      .map(([key]) => key.slice(key.indexOf("/") + 1));
  }

  /** Starts another HAProxy on a copy of what is on disk, and compares it with this one. */
  async function compareWithFresh(desired: Files): Promise<void> {
    await running.written(desired);
    const dir = labDir("fresh");
    const port = await freePort();
    const moved = (text: string): string =>
      text.replaceAll(site.dir, dir).replaceAll(`127.0.0.1:${site.port}`, `127.0.0.1:${port}`);
    const fresh = await startHaproxy({
      version,
      config: moved(readFileSync(site.setup.paths.output, "utf8")),
      maps: {
        ...Object.fromEntries(
          Object.entries(namedFiles(desired)).map(([path, text]) => [basename(path), text]),
        ),
        [basename(map)]: readFileSync(map, "utf8"),
      },
      dir,
    });
    try {
      const { statsSocket } = site.setup.paths.haproxy;
      const ask = (command: string): Promise<string> => cli(moved(statsSocket), command);
      const expected = await viewOfHaproxy(ask, moved(map));
      const lines = async (from: typeof ask, command: string): Promise<string[]> =>
        (await from(command)).split("\n").toSorted();
      const own = (command: string): Promise<string> => running.ask(command);
      await eventually(async () => {
        expect(await viewOfHaproxy(own, map)).toEqual(expected);
        // Nothing is left behind, of whole services neither.
        const servers = await lines(ask, "show servers state");
        expect(await lines(own, "show servers state")).toHaveLength(servers.length);
        if (!addsBackends) return;
        expect(await lines(own, "show backend")).toEqual(await lines(ask, "show backend"));
      });
    } finally {
      await fresh.stop();
    }
  }
});

/** The backend of a route such as `/foo/bar/ /foo/bar`. */
function backendOf(route: string): string {
  return route.replace(/^\/|\/ .*$/g, "").replaceAll("/", ":");
}
