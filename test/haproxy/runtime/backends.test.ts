// Whole services that come and go while HAProxy runs: by backends of their own, or by spare ones.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { haproxyVersions } from "../../lab/haproxy.ts";
import { eventually, requestBytes } from "../../lab/http.ts";
import { reply, startApp, type App } from "../../lab/app.ts";
import { askAlways, holdNext } from "../../lab/asking.ts";
import { serviceOf, Site, START_MS, withPlainBackends, type Service } from "../../lab/proxy.ts";
import { Running, type RunningOptions } from "../../lab/running.ts";

setDefaultTimeout(START_MS);

const SPARES = 64;

describe.each(haproxyVersions())("services, HAProxy %s", (version) => {
  const addsBackends = Number(version) >= 3.4;
  let site: Site;
  let running: Running;
  let one: App;
  let two: App;

  beforeEach(async () => {
    site = await Site.make(version);
    one = await startApp();
    two = await startApp();
  });

  afterEach(async () => {
    await running.stop();
    await one.stop();
    await two.stop();
  });

  test("one that comes is served at once, one that goes is not", async () => {
    await start([]);
    expect(await running.serve([of(one)])).toBe("commands");
    expect(await answerOf(one.name)).toBe(one.name);
    expect(await running.serve([of(one), of(two)])).toBe("commands");
    expect(await answerOf(two.name)).toBe(two.name);
    expect(await running.serve([of(two)])).toBe("commands");
    expect(await answerOf(one.name)).toBe(403);
    expect(await answerOf(two.name)).toBe(two.name);
    await eventually(async () => expect(await served()).toEqual([two.name]));
    expect(running.reloads).toEqual([]);
  });

  test("one from the file goes and comes back", async () => {
    await start([of(one), of(two)]);
    await running.serve([of(two)]);
    await eventually(async () => expect(await served()).toEqual([two.name]));
    await running.serve([of(one), of(two)]);
    expect(await answerOf(one.name)).toBe(one.name);
    expect(running.reloads).toEqual([]);
  });

  test("one whose last container goes and that has another one at once is never unknown", async () => {
    await start([of(one, { image: "foo" })]);
    const stop = askAlways(site, "/foo");
    for (let count = 0; count < 10; count++) {
      await running.serve([of(count % 2 === 0 ? two : one, { image: "foo" })]);
    }
    expect(await stop()).toEqual([200]);
  });

  test("what comes, comes whole: no request finds a route without a server", async () => {
    await start([]);
    const statuses = new Set<number>();
    for (let count = 0; count < 10; count++) {
      const stop = askAlways(site, `/${one.name}`);
      // It may answer late on a busy machine: its requests wait, as with a gateway.
      await running.serve([of(one, { hold: "waiting" })]);
      expect(await answerOf(one.name)).toBe(one.name);
      for (const status of await stop()) statuses.add(status);
      await running.serve([]);
    }
    // Neither 503 for want of a server, nor whatever the default backend would say.
    expect([...statuses].filter((status) => ![200, 403].includes(status))).toEqual([]);
    expect(running.reloads).toEqual([]);
  });

  test("one that came while HAProxy ran: a GET that its servers leave unanswered reaches two", async () => {
    const mute = await Promise.all(
      Array.from({ length: 3 }, () => startApp({ answerer: (_, socket) => void socket.end() })),
    );
    try {
      await start([]);
      const servers = mute.map((app, index) => of(app, { image: "foo", name: `foo${index}` }));
      expect(await running.serve(servers)).toBe("commands");
      const outcome = site.ask({ target: "/foo/kill" }).then(({ status }) => status);
      expect(outcome).rejects.toThrow("closed the connection");
      await outcome.catch(() => undefined);
      const counts = mute.map((app) => app.received.length);
      expect(counts.toSorted((a, b) => a - b)).toEqual([0, 1, 1]);
    } finally {
      for (const app of mute) await app.stop();
    }
  });

  test("a request under way finishes, and then the service is gone", async () => {
    await start([of(one), of(two)]);
    const held = holdNext(one);
    const asked = site.ask({ target: `/${one.name}`, method: "POST" });
    await held.received;
    await running.serve([of(two)]);
    expect(await answerOf(one.name)).toBe(403);
    expect(await served()).toEqual([one.name, two.name].toSorted());
    held.answer();
    expect((await asked).body).toBe("held");
    await eventually(async () => expect(await served()).toEqual([two.name]));
    if (addsBackends) {
      await eventually(async () => expect(await running.backends()).toEqual([two.name]));
    }
  });

  test("a request under way is cut off after its time, and then the service is gone", async () => {
    await start([of(one)], { grace: 200 });
    const held = holdNext(one);
    const asked = site.ask({ target: `/${one.name}`, method: "POST" }).catch(() => undefined);
    await held.received;
    await running.serve([]);
    expect((await asked)?.status).not.toBe(200);
    await eventually(async () => expect(await served()).toEqual([]));
  });

  test("gone and wanted again before it went, it is served as before", async () => {
    await start([of(one)]);
    const held = holdNext(one);
    const asked = site.ask({ target: `/${one.name}`, method: "POST" });
    await held.received;
    await running.serve([]);
    expect(await running.serve([of(one), of(two)])).toBe("commands");
    expect(await answerOf(one.name)).toBe(one.name);
    held.answer();
    expect((await asked).body).toBe("held");
    // Longer than it takes to look whether it can go.
    await Bun.sleep(300);
    expect(await answerOf(one.name)).toBe(one.name);
    expect(await served()).toEqual([one.name, two.name].toSorted());
    expect(running.reloads).toEqual([]);
  });

  test("without a container it stays, and is unavailable", async () => {
    const looping = of(one, { state: "restarting" });
    await start([]);
    expect(await running.serve([looping])).toBe("commands");
    expect(await answerOf(one.name)).toBe(503);
    for (let count = 0; count < 5; count++) {
      await running.serve([of(one)]);
      // On a loaded machine its port may be known to answer a moment later.
      await eventually(async () => expect(await answerOf(one.name)).toBe(one.name));
      await running.serve([looping]);
      expect(await answerOf(one.name)).toBe(503);
    }
    expect(running.reloads).toEqual([]);
  });

  test("very many at once", async () => {
    const many = Array.from({ length: 50 }, (_, index) =>
      of(one, { image: `many${index}`, hold: "waiting" }),
    );
    await start([of(two)]);
    expect(await running.serve([of(two), ...many])).toBe("commands");
    for (const { image } of many) expect(await answerOf(image)).toBe(one.name);
    expect(await running.serve([of(two)])).toBe("commands");
    for (const { image } of many) expect(await answerOf(image)).toBe(403);
    await eventually(async () => expect(await served()).toEqual([two.name]));
    expect(running.reloads).toEqual([]);
  });

  test("one that was added keeps its connections, as those of the file do", async () => {
    await start([of(one)]);
    await running.serve([of(one), of(two)]);
    for (const app of [one, two]) {
      const connections = new Set<unknown>();
      app.answerer = (_, socket) => {
        connections.add(socket);
        return reply(200);
      };
      const client = await site.connect();
      const question = { port: site.port, target: `/${app.name}`, headers: { Connection: "" } };
      for (let count = 0; count < 20; count++) {
        client.send(requestBytes(question));
        expect((await client.response()).status).toBe(200);
      }
      client.close();
      expect(connections.size).toBeLessThan(5);
    }
  });

  test("there are so many new ones, and again after a reload", async () => {
    await start([]);
    for (let count = 0; count <= 2 * SPARES; count++) {
      await running.serve([of(one, { image: `new${count}` })]);
    }
    expect(await answerOf(`new${2 * SPARES}`)).toBe(one.name);
    const [major, minor] = version.split(".");
    const why = addsBackends
      ? "no spare backend is left"
      : `HAProxy ${major}.${minor} cannot add one at run time`;
    // The 65th finds none, and is in the file itself after the reload.
    expect(running.reloads).toEqual([[`backend "new${SPARES}" is new (${why})`]]);
    await running.serve([of(one, { image: "last" })]);
    expect(running.reloads.slice(1)).toEqual([[expect.stringContaining('backend "last" is new')]]);
  });

  if (addsBackends) {
    test("in backends with nothing but servers there is no end of new ones", async () => {
      running = await Running.start(site, withPlainBackends(site.render([]).files));
      const serve = (image: string): ReturnType<Running["go"]> =>
        running.go(withPlainBackends(site.render([of(one, { image })]).files));
      for (let count = 0; count < 2 * SPARES; count++) {
        expect(await serve(`new${count}`)).toBe("commands");
      }
      expect(await answerOf(`new${2 * SPARES - 1}`)).toBe(one.name);
      expect(running.reloads).toEqual([]);
      await eventually(async () => expect(await running.backends()).toHaveLength(1));
    });
  }

  test("one that comes again and again takes no second spare one", async () => {
    await start([]);
    for (let count = 0; count < 2 * SPARES; count++) {
      expect(await running.serve([of(one)])).toBe("commands");
      expect(await running.serve([])).toBe("commands");
    }
    expect(running.reloads).toEqual([]);
  });

  async function start(services: readonly Service[], options?: RunningOptions): Promise<void> {
    running = await Running.start(site, site.render(services).files, options);
  }

  /** Who answers; or the status, where HAProxy does. */
  async function answerOf(image: string): Promise<string | number> {
    const { status, body } = await site.ask({ target: `/${image}` });
    return status === 200 ? body : status;
  }

  /** The services that have a server in HAProxy, whether they are asked or not. */
  async function served(): Promise<string[]> {
    const ports = new Map([one, two].map(({ name, port }) => [`127.0.0.1:${port}`, name]));
    const servers = Object.values(await running.servers());
    return servers.map(({ address }) => ports.get(address) ?? address).toSorted();
  }
});

/** A container of its own for the app, in whatever order they come. */
function of(app: App, more: Partial<Service> = {}): Service {
  return serviceOf(app, { name: `${app.name}-${more.image ?? ""}`, ...more });
}
