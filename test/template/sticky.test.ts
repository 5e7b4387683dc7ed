// Proves the label gateway.sticky and its kin: a client keeps its container, also one that was added while
// HAProxy runs, until that is taken out. Then it gets another one, and no error.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { reply, startApp, type App } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { serviceOf, Site, START_MS, type Service } from "../lab/proxy.ts";
import { Running } from "../lab/running.ts";

describe.each(haproxyVersions())("sticky clients, HAProxy %s", (version) => {
  let apps: App[];
  let site: Site;
  let running: Running;

  beforeAll(async () => {
    apps = [await startApp(), await startApp(), await startApp()];
    site = await Site.make(version);
    running = await Running.start(site, site.render([]).files);
  }, START_MS);

  beforeEach(() => {
    for (const app of apps) {
      app.forget();
      app.answerer = () => reply(200, [], app.name);
    }
  });

  afterAll(async () => {
    await running.stop();
    for (const app of apps) await app.stop();
  });

  const containers = (count: number, labels: Record<string, string> = {}): Service[] =>
    apps.slice(0, count).map((app) =>
      serviceOf(app, {
        image: "foo",
        name: app.name,
        labels: { "gateway.sticky": "place", ...labels },
      }),
    );
  const serve = async (services: readonly Service[]): Promise<string> => {
    const how = await running.serve(services);
    const backend = running.applier.runningName("foo");
    await eventually(async () => {
      const states = Object.entries(await running.servers());
      const up = states.filter(
        ([key, { status }]) => key.startsWith(`${backend}/`) && status === "UP",
      );
      expect(up).toHaveLength(services.length);
    });
    return how;
  };
  const ask = async (cookie = "") => {
    const headers = cookie === "" ? {} : { Cookie: `a=b; ${cookie}` };
    const answer = await site.ask({ target: "/foo/x", headers });
    const { status, body } = answer;
    const set = answer.header("Set-Cookie") ?? "";
    return { status, body, set, cookie: set.split(";")[0] ?? "" };
  };
  /** A client of each container, as the cookies by the names of the apps. */
  const clients = async (count: number): Promise<Map<string, string>> => {
    const found = new Map<string, string>();
    for (let index = 0; index < 30 && found.size < count; index++) {
      const { body, cookie } = await ask();
      found.set(body, cookie);
    }
    expect(found.size).toBe(count);
    return found;
  };
  const expectKept = async (cookies: ReadonlyMap<string, string>): Promise<void> => {
    for (const [name, cookie] of cookies) {
      for (let index = 0; index < 5; index++) {
        expect(await ask(cookie)).toEqual({ status: 200, body: name, set: "", cookie: "" });
      }
    }
  };

  test("each client keeps its container, also one that was added while HAProxy runs", async () => {
    await serve(containers(2));
    await expectKept(await clients(2));
    expect(await serve(containers(3))).toBe("commands");
    const cookies = await clients(3);
    expect(new Set(cookies.values()).size).toBe(3);
    await expectKept(cookies);
    await running.verify();
    expect(running.applier.applied.doubt).toBeUndefined();
  });

  test("the cookie is not shown to the container, and is for all of the host", async () => {
    const { set, cookie } = await ask();
    expect(set).toMatch(/^place=[0-9a-f]{16}; path=\/; HttpOnly$/i);
    await ask(cookie);
    const last = apps
      .flatMap(({ received }) => received.slice(-1))
      .flatMap((each) => each.values("Cookie"));
    expect(last).toContain("a=b");
  });

  test("a client keeps its container over a reload", async () => {
    const cookies = await clients(3);
    await running.written(site.render(containers(3)).files);
    await running.reloadByHand();
    await running.verify();
    await expectKept(cookies);
  });

  test("the clients of one that is taken out go to others, and stay there", async () => {
    const cookies = await clients(3);
    const [first] = apps as [App];
    const [one, ...others] = containers(3) as [Service, ...Service[]];
    const desired = site.render([{ ...one, stopping: 9 }, ...others]);
    const server = desired.model.services[0]?.servers.find(({ disabled }) => disabled)?.name ?? "";
    const backend = running.applier.runningName("foo");
    // As the gateway does it at once, and by its next pass.
    running.runtime.drain(backend, server, running.applier.bindsClients("foo"));
    await eventually(async () =>
      expect(await running.status(`${backend}/${server}`)).toBe("MAINT"),
    );
    for (const isPlanned of [false, true]) {
      if (isPlanned) await running.go(desired.files);
      first.forget();
      const { status, body, cookie } = await ask(cookies.get(first.name));
      expect(status).toBe(200);
      expect(body).not.toBe(first.name);
      expect(first.received).toEqual([]);
      await expectKept(new Map([[body, cookie]]));
    }
    expect(await running.serve(others)).toBe("commands");
    expect((await ask(cookies.get(first.name))).status).toBe(200);
    cookies.delete(first.name);
    await expectKept(cookies);
  });

  test("one that is enabled again is the same one", async () => {
    await serve(containers(2));
    const cookies = await clients(2);
    const [one, other] = containers(2) as [Service, Service];
    expect(await running.serve([{ ...one, stopping: 9 }, other])).toBe("commands");
    await serve([one, other]);
    await expectKept(cookies);
  });

  test("its words are as the labels say", async () => {
    await serve(
      containers(1, { "gateway.sticky.secure": "true", "gateway.sticky.samesite": "none" }),
    );
    expect((await ask()).set).toMatch(/; HttpOnly; Secure; SameSite=None$/i);
  });

  test("without the label there is no cookie", async () => {
    const [app] = apps as [App];
    await serve([serviceOf(app, { image: "foo", name: "plain" })]);
    expect((await ask()).set).toBe("");
  });
});
