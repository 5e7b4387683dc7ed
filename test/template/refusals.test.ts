// Proves what a client is told where there is no route, no usable server, or no decent request.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { cli, haproxyVersions, type Haproxy } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { deadEnd, reply, startApp, type App } from "../lab/app.ts";
import { serviceOf, Site, START_MS, type Service } from "../lab/proxy.ts";

setDefaultTimeout(START_MS);

describe.each(haproxyVersions())("refusals, HAProxy %s", (version) => {
  let app: App;
  let dead: Service;
  const running: Haproxy[] = [];

  beforeAll(async () => {
    app = await startApp({ name: "live" });
    dead = { image: "dead", ...(await deadEnd()) };
  });

  afterEach(async () => {
    for (const haproxy of running.splice(0)) await haproxy.stop();
    app.forget();
  });

  afterAll(() => app.stop());

  test("no route: 403 with a word to the reader", async () => {
    const site = await serve([serviceOf(app)]);
    for (const method of ["GET", "POST", "DELETE"]) {
      const answer = await site.ask({ method, target: "/nothing" });
      expect([answer.status, answer.body]).toEqual([403, "Nothing is served here.\n"]);
      expect(answer.header("Content-Type")).toBe("text/plain");
      expect(answer.header("Retry-After")).toBeUndefined();
    }
    expect(app.received).toEqual([]);
  });

  test("nothing is served at all: 403", async () => {
    const site = await serve([]);
    expect((await site.ask({ target: "/" })).status).toBe(403);
    expect((await site.ask({ target: "/foo/bar" })).status).toBe(403);
  });

  const OUT: readonly (readonly [why: string, services: () => Service[]])[] = [
    ["it restarts, so that it has no server", () => [serviceOf(app, { state: "restarting" })]],
    ["it is paused", () => [serviceOf(app, { state: "paused" })]],
    ["it is starting", () => [serviceOf(app, { health: "starting" })]],
    [
      "all are paused or not healthy",
      () => [
        serviceOf(app, { health: "unhealthy" }),
        serviceOf(app, { health: "starting" }),
        serviceOf(app, { state: "paused" }),
      ],
    ],
  ];

  test.each(OUT)("a route whose container is out (%s): 503, come back", async (_, services) => {
    const site = await serve(services());
    const answer = await site.ask({ target: "/live/x" });
    expect([answer.status, answer.header("Retry-After")]).toEqual([503, "5"]);
    expect((await site.ask({ target: "/other" })).status).toBe(403);
    expect(app.received).toEqual([]);
  });

  test("a route whose servers are down: 503, come back", async () => {
    const site = await serve([dead, { ...dead, ...(await deadEnd()) }]);
    await eventually(async () => {
      const states = await cli(`${site.dir}/haproxy.admin.sock`, "show servers state dead");
      expect(states.match(/ [0-9a-f]{12} 127\S* 0 /g)).toHaveLength(2);
    });
    const answer = await site.ask({ target: "/dead/x" });
    expect([answer.status, answer.header("Retry-After")]).toEqual([503, "5"]);
  });

  test("a route whose server refuses, before that is found out: 503, come back", async () => {
    const site = await serve([dead]);
    const answer = await site.ask({ target: "/dead/x" });
    expect([answer.status, answer.header("Retry-After")]).toEqual([503, "5"]);
  });

  test("the same by host name", async () => {
    const site = await serve([serviceOf(app, { state: "paused" })], "api.test");
    const ask = (host: string) => site.ask({ headers: { Host: host } });
    const answer = await ask("live.api.test");
    expect([answer.status, answer.header("Retry-After")]).toEqual([503, "5"]);
    const none = await ask("other.api.test");
    expect([none.status, none.body]).toEqual([403, "Nothing is served here.\n"]);
    expect(none.header("Retry-After")).toBeUndefined();
  });

  test("a container's own 503 is its own", async () => {
    const site = await serve([serviceOf(app)]);
    app.answerer = () => reply(503, [["X-Own", "yes"]], "busy");
    const bare = await site.ask({ target: "/live" });
    expect([bare.status, bare.body, bare.header("X-Own")]).toEqual([503, "busy", "yes"]);
    expect(bare.header("Retry-After")).toBeUndefined();

    app.answerer = () => reply(503, [["Retry-After", "120"]]);
    const answer = await site.ask({ target: "/live" });
    const all = answer.headers.filter(([name]) => name.toLowerCase() === "retry-after");
    expect(all.map(([, value]) => value)).toEqual(["120"]);
  });

  test("other statuses of a container pass as they are", async () => {
    const site = await serve([serviceOf(app)]);
    for (const status of [204, 304, 400, 401, 403, 404, 410, 429, 500, 502, 504]) {
      app.answerer = () => reply(status, [["X-Own", "yes"]]);
      const answer = await site.ask({ target: "/live" });
      expect([answer.status, answer.header("X-Own")]).toEqual([status, "yes"]);
    }
  });

  test("a Host with a slash is refused", async () => {
    for (const domain of [undefined, "api.test"]) {
      const site = await serve([serviceOf(app)], domain);
      for (const host of ["live.api.test/", "live.api.test/live", "/live", "a/../live"]) {
        expect((await site.ask({ target: "/live", headers: { Host: host } })).status).toBe(400);
      }
      expect(app.received).toEqual([]);
    }
  });

  async function serve(services: readonly Service[], domain?: string): Promise<Site> {
    const site = await Site.make(version, domain === undefined ? {} : { domain });
    running.push(await site.start(services));
    return site;
  }
});
