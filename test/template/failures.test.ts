// Proves that a container that fails costs nobody a request, and none is carried out twice.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cli, haproxyVersions, type Haproxy } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { claimSubnet } from "../lab/subnet.ts";
import { deadEnd, startApp, type Answerer, type App } from "../lab/app.ts";
import { serverName, serviceOf, Site, START_MS, type Service } from "../lab/proxy.ts";

setDefaultTimeout(START_MS);

const IDEMPOTENT = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"];
/** How many of each kind: enough for each of two servers to have its turn. */
const EACH = 6;

describe.each(haproxyVersions())("failures, HAProxy %s", (version) => {
  let live: App;
  let site: Site;
  let haproxy: Haproxy | undefined;

  beforeEach(async () => {
    live = await startApp({ name: "foo" });
    site = await Site.make(version);
  });

  afterEach(async () => {
    await haproxy?.stop();
    haproxy = undefined;
    await live.stop();
  });

  test("one that refuses connections beside a live one: nobody notices", async () => {
    const dead = { image: "foo", name: "dead", ...(await deadEnd()) };
    // Before the first check it is taken to be up.
    await start([dead, serviceOf(live, { name: "live" })]);
    const statuses = [];
    for (const method of [...IDEMPOTENT, "POST", "PATCH"]) {
      for (let count = 0; count < EACH; count++) {
        statuses.push((await site.ask({ method, target: "/foo/x" })).status);
      }
    }
    expect(statuses).toEqual(statuses.map(() => 200));
    expect(live.received.length).toBe(statuses.length);
    await eventually(async () => expect((await site.servers())["dead"]?.status).toBe("DOWN"));
  });

  test("one that dies while requests come: nobody notices", async () => {
    const dying = await startApp({ name: "foo" });
    await start([serviceOf(dying), serviceOf(live)]);
    const asked = Array.from({ length: 40 }, async (_, index) => {
      // One after the other, so that some come before the death, some in the middle and some after.
      await Bun.sleep(index * 2);
      if (index === 20) {
        // It has had its share before, or this proves nothing.
        await eventually(() => expect(dying.received.length).toBeGreaterThan(0));
        await dying.stop();
      }
      return (await site.ask({ target: "/foo/x" })).status;
    });
    expect(await Promise.all(asked)).toEqual(asked.map(() => 200));
  });

  const HANG_UP: readonly (readonly [how: string, answerer: Answerer])[] = [
    ["closes", (_, socket) => void socket.end()],
    ["resets", (_, socket) => void socket.resetAndDestroy()],
  ];

  test.each(HANG_UP)(
    "one that accepts and %s without an answer: GET goes elsewhere, nothing else is sent twice",
    async (_, answerer) => {
      const mute = await startApp({ name: "foo", answerer });
      try {
        await start([serviceOf(mute), serviceOf(live)]);
        for (let count = 0; count < EACH; count++) {
          const answer = await site.ask({ target: `/foo/${count}` });
          expect([answer.status, answer.body]).toEqual([200, "foo"]);
        }
        expect(mute.received.length).toBeGreaterThan(0);
        expect(live.received.length).toBe(EACH);

        for (const method of ["POST", "PATCH", "PUT", "DELETE"]) {
          for (const app of [mute, live]) app.forget();
          const statuses = [];
          for (let count = 0; count < EACH; count++) {
            const answer = await site.ask({ method, target: `/foo/${count}`, body: "pay" });
            statuses.push(answer.status);
          }
          // Each was carried out once, by whomever, and who may have failed said so.
          const targets = [...mute.received, ...live.received].map(({ target }) => target);
          expect(targets.toSorted()).toEqual(statuses.map((__, index) => `/${index}`));
          expect(statuses.filter((status) => status === 502).length).toBe(mute.received.length);
          expect(statuses.filter((status) => status === 200).length).toBe(live.received.length);
          expect(mute.received.length).toBe(EACH / 2);
        }
      } finally {
        await mute.stop();
      }
    },
  );

  test("one that closes without an answer: a GET that is counted by a rate goes elsewhere, too", async () => {
    const mute = await startApp({ name: "foo", answerer: (_, socket) => void socket.end() });
    const labels = { "gateway.rate": "1000/1m" };
    try {
      await start([serviceOf(mute, { labels }), serviceOf(live, { labels })]);
      const statuses = [];
      for (let count = 0; count < EACH; count++) {
        statuses.push((await site.ask({ target: `/foo/${count}` })).status);
      }
      expect(statuses).toEqual(statuses.map(() => 200));
      expect(mute.received.length).toBeGreaterThan(0);
    } finally {
      await mute.stop();
    }
  });

  test.each(HANG_UP)(
    "one that accepts and %s without an answer among four: two get a GET at the most, ever",
    async (_, answerer) => {
      const mute = await Promise.all(
        Array.from({ length: 4 }, () => startApp({ name: "foo", answerer })),
      );
      try {
        await start(mute.map((app) => serviceOf(app)));
        const outcome = await site.ask({ target: "/foo/kill" }).then(
          ({ status }) => `answered ${status}`,
          (error: unknown) => String(error),
        );
        expect(outcome).not.toContain("answered 200");
        const received = mute.flatMap((app) => app.received.map(({ target }) => target));
        expect(received.length).toBe(2);
        expect(Math.max(...mute.map((app) => app.received.length))).toBe(1);
      } finally {
        for (const app of mute) await app.stop();
      }
    },
  );

  test.each(HANG_UP)(
    "the only one, which accepts and %s without an answer: it gets a GET three times, anything else once",
    async (_, answerer) => {
      const mute = await startApp({ name: "foo", answerer });
      try {
        await start([serviceOf(mute)]);
        const ask = (method: string): Promise<unknown> =>
          site.ask({ method, target: `/foo/${method}` }).then(
            ({ status }) => status,
            () => "closed",
          );
        expect(await ask("GET")).toBe("closed");
        expect(await ask("DELETE")).toBe(502);
        const targets = mute.received.map(({ target }) => target);
        expect(targets).toEqual(["/GET", "/GET", "/GET", "/DELETE"]);
      } finally {
        await mute.stop();
      }
    },
  );

  test("an answer that breaks off is not begun again", async () => {
    const broken = await startApp({
      name: "foo",
      answerer: (_, socket) => {
        socket.end("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf");
        return undefined;
      },
    });
    try {
      await start([serviceOf(broken)]);
      const connection = await site.connect();
      connection.send("GET /foo/x HTTP/1.1\r\nHost: a\r\n\r\n");
      const outcome = await connection.response().then(
        ({ status }) => `answered ${status}`,
        (error: unknown) => String(error),
      );
      expect(outcome).toContain("closed the connection");
      await connection.closed;
      expect(broken.received.length).toBe(1);
      connection.close();
    } finally {
      await broken.stop();
    }
  });

  test("one whose network is gone, so that connections hang: nobody loses a request", async () => {
    const { network, bridge } = claimSubnet();
    const gone = { image: "foo", name: "gone", port: 8000, address: network.replace("0/24", "77") };
    // The host still believes that it is there, as it does right after a container's end.
    const neighbour = ["neigh", "add", gone.address, "lladdr", "02:00:00:00:00:77"];
    expect(Bun.spawnSync(["ip", ...neighbour, "dev", bridge, "nud", "permanent"]).exitCode).toBe(0);
    await start([gone, serviceOf(live, { name: "live" })]);
    // HAProxy's first check may have noticed already. It is in use when the requests come.
    const { statsSocket } = site.setup.paths.haproxy;
    await cli(statsSocket, `set server foo/${serverName(gone.name)} health up`);
    const methods = ["GET", "POST", "GET", "DELETE", "GET", "PUT"];
    const answers = await Promise.all(
      methods.map((method) => site.ask({ method, target: "/foo" })),
    );
    expect(answers.map(({ status }) => status)).toEqual(methods.map(() => 200));
    const { chosen = 0 } = (await site.servers())["gone"] ?? {};
    expect(chosen).toBeGreaterThan(0);
    await eventually(async () => expect((await site.servers())["gone"]?.status).toBe("DOWN"));
  });

  async function start(services: readonly Service[]): Promise<void> {
    haproxy = await site.start(services);
  }
});
