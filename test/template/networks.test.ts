// Proves that the labels allow and deny keep out whom they should, and let in all others.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { haproxyVersions } from "../lab/haproxy.ts";
import { Labelled, type Labels } from "../lab/labelled.ts";
import { START_MS } from "../lab/proxy.ts";

/** The labels of each container, and whether a client at 127.0.0.1 gets in. */
const CASES: readonly (readonly [labels: Labels, status: number])[] = [
  [{}, 200],
  [{ allow: "127.0.0.0/8" }, 200],
  [{ allow: "127.0.0.1" }, 200],
  [{ allow: "0.0.0.0/0" }, 200],
  [{ allow: "10.0.0.0/8, 127.0.0.0/30" }, 200],
  [{ allow: "10.0.0.0/8" }, 403],
  [{ allow: "127.0.0.2" }, 403],
  // An IPv4 address is none of IPv6.
  [{ allow: "::/0" }, 403],
  [{ allow: "::ffff:0:0/96" }, 403],
  [{ deny: "10.0.0.0/8" }, 200],
  [{ deny: "127.0.0.1" }, 403],
  [{ deny: "0.0.0.0/0,::/0" }, 403],
  [{ deny: "::/0" }, 200],
  [{ allow: "127.0.0.0/8", deny: "127.0.0.1" }, 403],
  [{ allow: "127.0.0.0/8", deny: "127.0.0.2" }, 200],
  // What is wrong lets nobody in.
  [{ allow: "127.0.0.1,x" }, 503],
  [{ allow: "" }, 503],
  [{ deny: "10.0.0.0/33" }, 503],
];

describe.each(haproxyVersions())("networks, HAProxy %s", (version) => {
  let site: Labelled;

  beforeAll(async () => {
    site = await Labelled.start(
      version,
      Object.fromEntries(CASES.map(([labels], at) => [`s${at}`, labels])),
    );
  }, START_MS);

  beforeEach(() => site.forget());
  afterAll(() => site.stop());

  test.each(CASES.map(([labels, status], at) => [labels, status, at] as const))(
    "%j answers %i",
    async (_, status, at) => {
      for (const method of ["GET", "POST"]) {
        expect((await site.ask(`/s${at}/x`, {}, { method })).status).toBe(status);
      }
      expect(site.received()).toEqual(status === 200 ? [`s${at} /x`, `s${at} /x`] : []);
    },
  );

  test("another list needs no reload, and goes with its container", async () => {
    const statusWith = async (labels: Labels, way?: string): Promise<number> => {
      const how = await site.serve({ s0: labels });
      if (way !== undefined) expect(how).toBe(way as typeof how);
      await site.running.verify();
      return (await site.ask("/s0/")).status;
    };
    expect(await statusWith({ allow: "10.0.0.0/8" })).toBe(403);
    expect(await statusWith({ allow: "10.0.0.0/8,127.0.0.0/8" }, "commands")).toBe(200);
    expect(await statusWith({ deny: "127.0.0.0/9" }, "commands")).toBe(403);
    expect(await statusWith({ deny: "10.0.0.0/8" }, "commands")).toBe(200);
    expect(await site.remove("s1", "s5")).toBe("commands");
    expect(await site.serve({ s1: { allow: "10.0.0.0/8" } })).toBe("commands");
    expect((await site.ask("/s1/")).status).toBe(403);
    expect(await statusWith({})).toBe(200);
  });

  test("each of the routes of a container has its own", async () => {
    await site.serve({
      s0: {
        allow: "10.0.0.0/8",
        "route.open.path": "/open",
        "route.inner.host": "a.test",
        "route.inner.allow": "127.0.0.1",
      },
    });
    expect((await site.ask("/s0/")).status).toBe(403);
    expect((await site.ask("/open/")).status).toBe(200);
    expect((await site.ask("/", { Host: "a.test" })).status).toBe(200);
    expect(await site.serve({ s0: { "route.open.path": "/open" } })).toBe("reload");
    expect((await site.ask("/s0/")).status).toBe(200);
  });
});
