// Proves that a request that waits goes on as soon as HAProxy has a server for it, and not when it looks
// for one the next time.

import { basename } from "node:path";
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { startApp, type App } from "../lab/app.ts";
import { cli, haproxyVersions, startHaproxy, type Haproxy } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { namedFiles } from "../lab/named-files.ts";
import { serviceOf, Site, START_MS } from "../lab/proxy.ts";

setDefaultTimeout(START_MS);

/** In milliseconds: longer than any test lasts. */
const NEVER = 3_600_000;

describe.each(haproxyVersions())("a request that waits, HAProxy %s", (version) => {
  let app: App;
  let site: Site;
  let haproxy: Haproxy | undefined;
  let server = "";

  beforeEach(async () => {
    app = await startApp();
    site = await Site.make(version);
    const { files } = site.render([serviceOf(app, { image: "foo" })]);
    const name = /^backend foo from .*\n(?:.*\n)*? +server (\S+) /m.exec(files.config)?.[1];
    server = `foo/${name}`;
    const maps = Object.entries(namedFiles(files)).map(([path, text]) => {
      if (!path.endsWith("waiting.lua")) return [basename(path), text];
      const patient = text.replace("milliseconds() + 500", `milliseconds() + ${NEVER}`);
      // From 3.2 on it is woken. Here it does not look by itself.
      return [basename(path), patient.replace("core.wait(20)", `core.wait(${NEVER})`)];
    });
    haproxy = await startHaproxy({
      version,
      config: files.config,
      maps: Object.fromEntries(maps) as Record<string, string>,
      dir: site.dir,
    });
    await tell(`set server foo/_wait state ready`, `set server ${server} state maint`);
  });

  afterEach(async () => {
    await haproxy?.stop();
    haproxy = undefined;
    await app.stop();
  });

  async function tell(...commands: readonly string[]): Promise<void> {
    for (const command of commands) await cli(site.setup.paths.haproxy.statsSocket, command);
  }

  /** How many requests are at HAProxy. */
  async function requests(): Promise<number> {
    const stat = await cli(site.setup.paths.haproxy.statsSocket, "show stat foo 2 -1");
    // Its sessions. Source: management guide, section 9.1 (CSV format).
    return Number(stat.split("\n")[1]?.split(",")[4]);
  }

  /** Waits until so many requests are at HAProxy. None is at a server. */
  async function wait(count: number): Promise<void> {
    await eventually(async () => expect(await requests()).toBeGreaterThanOrEqual(count));
    expect(app.received).toEqual([]);
  }

  test.each(["enabled", "drained before"])("goes on at once, a server is %s", async (how) => {
    if (how === "drained before") {
      await tell(`set server ${server} state drain`);
    }
    const answers = Promise.all([1, 2, 3].map(() => site.ask({ target: "/foo/x" })));
    await wait(3);
    await tell(`set server ${server} state ready`);
    expect((await answers).map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  test("one whose client has gone disturbs nobody", async () => {
    for (let round = 0; round < 5; round++) {
      const clients = await Promise.all(Array.from({ length: 20 }, () => site.connect()));
      for (const client of clients) client.send("GET /foo/gone HTTP/1.1\r\nHost: a\r\n\r\n");
      await wait(clients.length);
      for (const client of clients) client.close();
      const answer = site.ask({ target: "/foo/x" });
      await wait(1);
      await tell(`set server ${server} state ready`);
      expect((await answer).status).toBe(200);
      // Some versions notice only now that the clients have gone, and may still ask.
      await eventually(async () => expect(await requests()).toBe(0));
      await tell(`set server ${server} state maint`);
      app.received.length = 0;
    }
  });
});
